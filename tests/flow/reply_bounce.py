# SPDX-License-Identifier: GPL-3.0-or-later
"""Replies that come back: refused by the next hop, or taken and reported by a real Postfix, which
returns the content in clear. The user is told by sealed mail in our own words, once; no report that
came back is kept or passed on, and nobody is suspended for it. Answers of responders are sealed for
the alias. A script plays rspamd."""
import email
import email.policy
import glob
import os
import re
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '../support'))
import front
import hop
import judge
import mail
import marked
import relay
import replies
import reply as single
import stage
from reply import ALIAS, STUB, Conversation, arrived, receive

CASES = []
DAVE = 'dave@shop.example.net'
THERE = [name + '@shop.example.net' for name in ('bob', 'carol')]
SAMPLES = os.path.join(os.path.dirname(os.path.abspath(__file__)), '../fuzz/corpus/report_fuzz')
SAY_SO = ('answer-gmail', 'answer-outlook', 'answer-sieve')  # in Auto-Submitted


def case(function):
    CASES.append(function)
    return function


def returned(r):
    return r.sealctl('status')['relay']['returned']


def report(status='5.1.1', action='failed', diagnostic='smtp; 550 5.1.1 User unknown', body=b''):
    return (b'From: MAILER-DAEMON@mx.shop.example.net\r\nTo: <x@relay.example.com>\r\n'
            b'Subject: Undelivered\r\nContent-Type: multipart/report; report-type=delivery-status;'
            b' boundary=x\r\n\r\n--x\r\n\r\nYour message could not be delivered, see'
            b' http://mx.shop.example.net/why\r\n\r\n--x\r\nContent-Type: message/delivery-status'
            b'\r\n\r\nReporting-MTA: dns; mx.shop.example.net\r\n\r\nFinal-Recipient: rfc822; '
            + DAVE.encode() + b'\r\nAction: ' + action.encode() + b'\r\nStatus: ' + status.encode()
            + b'\r\nDiagnostic-Code: ' + diagnostic.encode() + b'\r\n\r\n--x\r\n'
            b'Content-Type: message/rfc822\r\n\r\nSubject: returned\r\n\r\n' + body
            + b'\r\n--x--\r\n')


class Sent:
    """A reply that the relay has taken."""

    def __init__(self, r, talk, **header):
        self.secret = marked.secret(marked.marker())
        self.ident = replies.fresh_id()
        self.talk = talk
        text = single.reply(r, single.good(r, talk, b'The word is %s.\n' % self.secret * 3,
                                           ident=self.ident, **header), talk.reverse)
        self.id = re.search('queued as ([a-z2-7]{16})', text).group(1)

    def on_disk(self, r):
        found = []
        for form in marked.word_forms(self.secret):
            found += r.found_in_clear(form, next_hop_too=False)
            found += front.nameless_files_with(os.path.join(r.dir, 'relay'), form)
        return found

    def return_path(self, r):
        """Where a report about it goes, once it has arrived."""
        data = self.talk.box.next()
        r.wait_until(lambda: r.sealctl('queue', 'show', self.id)['state'] == 'delivered', 'done')
        return mail.field_value(mail.split(data)[0], b'Return-Path').decode().strip('<>')


def open_read(path):
    with open(path, 'rb') as file:
        return file.read()


def notice(r):
    """The one notice in the user's mailbox: (its outer header, its text)."""
    found = r.inbox.wait()
    assert len(found) == 1, '%d notices' % len(found)
    with open(found[0], 'rb') as file:
        data = mail.to_crlf(file.read())
    outer = email.message_from_bytes(data, policy=email.policy.default)
    assert outer['Return-Path'] == '<>' and outer['Auto-Submitted'] == 'auto-generated', outer
    return mail.split(data)[0].decode(), r.user.open(data)[0].decode()


def judged(said, sent, status):
    """In our own words, of this reply, and of nobody but its reverse alias."""
    assert sent.talk.reverse in said and sent.ident in said, said
    assert 'Status: %s\r\n' % status in said, said
    body = said.split('\r\n\r\n', 1)[1]
    for word in (sent.secret.decode(), 'dave', 'shop.example.net', '127.0.0.1', 'hop.example',
                 'mx.', 'http', 'unixtime', 'postfix'):
        assert word not in body.lower(), '%r in %s' % (word, body)


def told(r, sent, status):
    outer, said = notice(r)
    judged(said, sent, status)
    assert sent.talk.reverse not in outer and status not in outer, outer
    assert not sent.on_disk(r), sent.on_disk(r)
    entry = r.sealctl('queue', 'show', sent.id)
    assert entry['direction'] == 'reply' and entry['state'] == 'failed', entry
    assert not r.inbox.wait(1, 2), 'told twice'
    return said


def tidy(r):
    for entry in r.sealctl('queue', 'list'):
        r.sealctl('queue', 'drop', entry['id'], '--yes')
    r.next_hop.postconf('-e', 'smtpd_end_of_data_restrictions=')
    r.next_hop.has(hop.USER, DAVE, *THERE)


def sent_on(r, path, data, mail_from='', want=250):
    paths = [path] if isinstance(path, str) else path
    session = mail.Smtp(r.smtp_port, 'EHLO mx.shop.example.net')
    try:
        code = 250
        session.send(mail_from, paths, data)
    except mail.Refused as refusal:
        code = refusal.code
    finally:
        session.close()
    assert code == want, code


@case
def refused_at_rcpt_it_is_told(r):
    talk = Conversation(r, 'dave')
    r.next_hop.has(hop.USER, *THERE, refuses=True)
    r.inbox.fresh()
    sent = Sent(r, talk)
    said = told(r, sent, '5.1.1')
    assert 'mailbox does not exist' in said, said
    tidy(r)


@case
def refused_behind_the_dot_it_is_told(r):
    talk = Conversation(r, 'dave')
    r.next_hop.postconf('-e', 'smtpd_end_of_data_restrictions=check_recipient_access'
                        ' inline:{ {%s=550 5.7.1 no spam from 127.0.0.1, see http://x.example/} }'
                        % DAVE)
    r.next_hop.has(hop.USER, DAVE, *THERE)
    r.inbox.fresh()
    sent = Sent(r, talk)
    said = told(r, sent, '5.7.1')
    assert 'mail system refused it' in said, said
    assert 'Answer: 550 5.7.1 Recipient address rejected no spam\r\n' in said, said
    tidy(r)


@case
def taken_and_reported_it_is_told_and_the_report_is_not_passed_on(r):
    """Postfix's report brings the whole reply back in clear."""
    talk = Conversation(r, 'dave')
    r.next_hop.has(hop.USER, *THERE)
    r.inbox.fresh()
    before = returned(r)
    sent = Sent(r, talk)
    told(r, sent, '5.1.1')
    after = returned(r)
    assert after['failed'] == before['failed'] + 1, after
    assert after['senders_told'] == before['senders_told'] + 1, after
    row = next(e for e in r.sealctl('queue', 'list') if e['id'] == sent.id)
    assert row['direction'] == 'reply' and row['last_result'] == 'reported failed: 5.1.1', row
    assert 'rcpt_to' not in row and 'mail_from' not in row, row
    failure = r.sealctl('status')['relay']['failures'][0]
    assert failure['id'] == sent.id, failure
    tidy(r)


@case
def of_several_correspondents_the_one_that_failed_is_named(r):
    dave = Conversation(r, 'dave')
    bob = Conversation(r, 'bob')
    r.next_hop.has(hop.USER, *THERE)
    r.inbox.fresh()
    ident = replies.fresh_id()
    data = replies.message(replies.fields(dave.reverse, cc=bob.reverse, ident=ident),
                           r.client.sealed(replies.entity(), [dave.cert, bob.cert]))
    single.reply(r, data, [bob.reverse, dave.reverse])
    arrived(bob.box)
    _, said = notice(r)
    assert dave.reverse in said and bob.reverse not in said and ident in said, said
    tidy(r)


@case
def what_a_report_says_is_told_in_harmless_words_only(r):
    talk = Conversation(r, 'dave')
    for diagnostic, answer in (
            ('smtp; 552 5.2.2 mailbox full, contact dave@shop.example.net at http://mx.shop.'
             'example.net/dave or 127.0.0.1', 'Answer: 552 5.2.2 mailbox full at\r\n'),
            ('smtp; <script>alert(1)</script> click http://evil.example', None),
            ('x-unix; ' + 'A' * 5000, None), ('', None)):
        sent = Sent(r, talk)
        path = sent.return_path(r)
        r.inbox.fresh()
        sent_on(r, path, report('5.2.2', diagnostic=diagnostic, body=sent.secret))
        said = told(r, sent, '5.2.2')
        assert (answer in said) if answer else ('Answer:' not in said), said
        tidy(r)


@case
def a_report_that_comes_again_is_told_once(r):
    sent = Sent(r, Conversation(r, 'dave'))
    path = sent.return_path(r)
    r.inbox.fresh()
    for status in ('5.1.1', '5.1.1', '5.7.1'):
        sent_on(r, path, report(status))
    told(r, sent, '5.1.1')
    tidy(r)


@case
def delays_successes_and_forged_reports_change_nothing(r):
    sent = Sent(r, Conversation(r, 'dave'))
    path = sent.return_path(r)
    r.inbox.fresh()
    before = returned(r)
    for action, status in (('delayed', '4.4.1'), ('relayed', '2.0.0'), ('delivered', '2.1.5')):
        sent_on(r, path, report(status, action, body=sent.secret))
    forged = path[:6] + ('a' if path[6] != 'a' else 'b') + path[7:]
    sent_on(r, forged, report(), want=550)
    sent_on(r, path, report(), mail_from='mallory@shop.example.net', want=550)
    after = returned(r)
    assert {name: after[name] - before[name] for name in after if after[name] != before[name]} == \
        {'delayed': 1, 'passed': 2, 'refused': 1}, (before, after)
    assert r.sealctl('queue', 'show', sent.id)['state'] == 'delivered'
    assert not r.inbox.wait(1, 2) and not sent.on_disk(r)


def sample(name, path, **header):
    """What a real system wrote, as Dave's answer to the return path."""
    with open(os.path.join(SAMPLES, name + '.eml'), 'rb') as file:
        data = mail.to_crlf(file.read()).replace(b'alice@home.example.com', DAVE.encode())
    fields = {'To': path, 'Message-ID': replies.fresh_id('shop.example.net'), **header}
    if b'\nTo: ' in data:
        data = data.replace(b'b-code@relay.example.com', fields.pop('To').encode())
    if b'Message-ID: ' in data:
        del fields['Message-ID']
    return b''.join(b'%s: %s\r\n' % (n.encode(), v.encode()) for n, v in fields.items()) + data


def difference(r, before):
    after = returned(r)
    return {name: after[name] - before[name] for name in after if after[name] != before[name]}


def answered(r, talk, path):
    """The one sealed message in the mailbox: (its outer header, what was signed)."""
    found = r.inbox.wait()
    assert len(found) == 1, '%d arrived' % len(found)
    with open(found[0], 'rb') as file:
        data = mail.to_crlf(file.read())
    inner, _ = r.user.open(data)
    outer, body = mail.split(data)
    assert judge.from_address(outer) == judge.from_address(inner) == talk.reverse
    assert email.message_from_bytes(outer, policy=email.policy.default)['To'] == ALIAS, outer
    # Return-Path is of the message's own way to the mailbox
    assert path[:36].encode() not in (outer + inner).lower(), (outer, inner)
    assert b'away' not in body and b'Hello' not in body
    return outer, inner


@case
def answers_of_machines_and_people_come_as_mail_for_the_alias(r):
    """RFC 3834 4: responders write to the return path, most of them without a sender."""
    talk = Conversation(r, 'dave')
    sent = Sent(r, talk)
    got = email.message_from_bytes(talk.box.next(), policy=email.policy.default)
    path = got['Return-Path'].strip('<>')
    r.inbox.fresh()
    names = sorted(os.path.basename(p)[:-4] for p in glob.glob(SAMPLES + '/answer-*.eml'))
    assert len(names) == 6, names
    for name in names:
        for mail_from in ('', DAVE):
            before = returned(r)
            sent_on(r, path, sample(name, path, **{'In-Reply-To': got['Message-ID']}), mail_from)
            outer, inner = answered(r, talk, path)
            header, body = mail.split(inner)
            for fields in (outer, header):
                assert mail.field_value(fields, b'In-Reply-To').decode() == sent.ident, fields
            assert body.strip() in (b'I am away until Monday.', b'Hello yourself.'), body
            to = [value for field, value in mail.fields(header) if field.lower() == b'to']
            assert len(to) == 1 and to[0].count(ALIAS.encode()) == 1, to
            marks = [mail.field_value(fields, b'Auto-Submitted') for fields in (outer, header)]
            assert (b'auto-' in (marks[0] or b'')) == (name in SAY_SO), (name, marks)
            assert difference(r, before) == {'answers': 1}, (name, difference(r, before))
    before = returned(r)
    sent_on(r, [path, path], sample('answer-sieve', path))
    answered(r, talk, path)
    assert difference(r, before) == {'answers': 1}
    again = receive(r, replies.fresh_id('shop.example.net'), talk.address)
    assert judge.from_address(mail.split(again)[0]) == talk.reverse


@case
def nobody_is_told_of_an_answer_that_cannot_be_delivered(r):
    sent = Sent(r, Conversation(r, 'dave'))
    path = sent.return_path(r)
    r.inbox.fresh()
    before = returned(r)
    r.next_hop.has(DAVE, *THERE, refuses=True)
    sent_on(r, path, sample('answer-sieve', path))
    r.wait_until(lambda: difference(r, before).get('senders_not_told'), 'it failed')
    r.next_hop.has(hop.USER, DAVE, *THERE)
    assert difference(r, before) == {'answers': 1, 'senders_not_told': 1}
    sent.talk.box.nothing()
    tidy(r)


@case
def reports_and_receipts_are_never_passed_on(r):
    sent = Sent(r, Conversation(r, 'dave'))
    path = sent.return_path(r)
    r.inbox.fresh()
    before = returned(r)
    for name in ('read-receipt', 'exim-old', 'qmail', 'report-without-status'):
        sent_on(r, path, sample(name, path))
    sent_on(r, path, b'From: <postmaster@shop.example.net>\r\nSubject: Nicht zustellbar\r\n\r\n'
            b'Das Postfach gibt es nicht.\r\n')
    sent_on(r, path, sample('postfix-failed', path), mail_from=DAVE)
    for name in ('read-receipt', 'postfix-expired', 'qmail'):
        sent_on(r, path, sample(name, path), mail_from=DAVE, want=550)
    assert difference(r, before) == {'auto_replies': 2, 'unparsed': 4, 'refused': 3}
    assert not r.inbox.wait(1, 2)


@case
def an_answer_for_an_alias_that_is_gone_or_out_of_use_waits_or_ends(r):
    alias = 'gone@relay.example.com'
    r.sealctl('alias', 'add', alias, 'alice')
    sent = Sent(r, Conversation(r, 'dave', alias=alias))
    path = sent.return_path(r)
    r.inbox.fresh()
    profile = r.sealctl('profile', 'list')[0]['profile']
    before = returned(r)
    r.sealctl('profile', 'suspend', profile)
    sent_on(r, path, sample('answer-sieve', path), want=450)
    r.sealctl('profile', 'resume', profile)
    r.sealctl('profile', 'notify', profile)
    r.sealctl('profile', 'activate', profile, r.code(r.user))
    r.inbox.wait()
    assert difference(r, before) == {}
    sent_on(r, path, sample('answer-sieve', path))
    assert r.inbox.wait()
    r.sealctl('alias', 'remove', alias, '--yes')
    sent_on(r, path, sample('answer-sieve', path))
    sent_on(r, path, sample('answer-person', path), mail_from=DAVE, want=550)
    # whoever has it next is somebody else, also where it is the same
    r.sealctl('alias', 'add', alias, 'alice')
    sent_on(r, path, sample('answer-sieve', path))
    assert difference(r, before) == {'answers': 1, 'auto_replies': 2, 'refused': 1}
    assert not r.inbox.wait(1, 2)


@case
def any_number_of_them_suspends_nobody(r):
    talk = Conversation(r, 'dave')
    r.next_hop.has(hop.USER, *THERE)
    for _ in range(7):
        r.inbox.fresh()
        told_of = Sent(r, talk)
        judged(notice(r)[1], told_of, '5.1.1')
    assert r.sealctl('profile', 'list')[0]['state'] == 'active'
    tidy(r)


@case
def a_notice_that_bounces_itself_ends_there(r):
    talk = Conversation(r, 'dave')
    for refuses in (True, False):
        r.next_hop.has(*THERE, refuses=refuses)  # the user's mailbox is gone as well
        r.inbox.fresh()
        before = returned(r)
        sent = Sent(r, talk)
        r.wait_until(lambda: returned(r)['senders_told'] > before['senders_told'], 'it is told')
        r.wait_until(lambda: not [e for e in r.sealctl('queue', 'list')
                                  if e['state'] in ('ready', 'active')], 'all has ended')
        time.sleep(3)
        after = returned(r)
        assert after['senders_told'] == before['senders_told'] + 1, after
        assert after['senders_not_told'] == before['senders_not_told'], after
        kinds = [e['direction'] for e in r.sealctl('queue', 'list')]
        assert sorted(kinds) == (['notice', 'reply'] if refuses else ['reply']), kinds
        assert r.sealctl('queue', 'show', sent.id)['state'] == 'failed'
        assert r.sealctl('profile', 'list')[0]['state'] == 'active'
        tidy(r)
    assert not r.inbox.wait(1, 2)


@case
def without_the_key_service_it_is_told_later_and_once(r):
    sent = Sent(r, Conversation(r, 'dave'))
    path = sent.return_path(r)
    r.inbox.fresh()
    r.stop('sealhsmd')
    sent_on(r, path, report())
    time.sleep(3)
    assert not r.inbox.fresh()
    r.start('sealhsmd')
    told(r, sent, '5.1.1')
    tidy(r)


@case
def a_user_whose_profile_is_suspended_meanwhile_is_told_when_it_is_active_again(r):
    sent = Sent(r, Conversation(r, 'dave'))
    path = sent.return_path(r)
    r.inbox.fresh()
    profile = r.sealctl('profile', 'list')[0]['profile']
    r.sealctl('profile', 'suspend', profile)
    before = returned(r)
    sent_on(r, path, report())
    time.sleep(3)
    assert difference(r, before) == {'failed': 1}
    assert r.sealctl('queue', 'show', sent.id)['state'] == 'failed'
    r.sealctl('profile', 'resume', profile)
    r.inbox.fresh()
    r.sealctl('profile', 'notify', profile)
    r.sealctl('profile', 'activate', profile, r.code(r.user))
    letters = [r.user.open(mail.to_crlf(open_read(path)))[0] for path in r.inbox.wait(2, 60)]
    said = next(text for text in letters if b'not delivered' in text).decode()
    judged(said, sent, '5.1.1')
    assert not r.inbox.wait(1, 2), 'told twice'
    tidy(r)


def sealctl_text(r, *words):
    done = subprocess.run(r.facts['sealctl'].split() + list(words), capture_output=True, check=False)
    return done.returncode, done.stdout.decode(), done.stderr.decode()


@case
def the_operator_sees_a_reply_as_one(r):
    talk = Conversation(r, 'bob')
    r.stop('sealdeliver')
    sent = Sent(r, talk)
    _, table, _ = sealctl_text(r, 'queue', 'list')
    line = next(line for line in table.splitlines() if sent.id in line)
    assert ' reply ' in line and 'shop.example' not in line, table
    _, text, _ = sealctl_text(r, 'queue', 'show', sent.id)
    assert 'reply' in text, text
    code, out, text = sealctl_text(r, 'message', 'test', r.file('reply.eml', b'From: x\r\n\r\nx'),
                                   talk.reverse)
    assert code and not out and 'reverse alias' in text, (code, text)
    r.start('sealdeliver')
    arrived(talk.box)
    _, text, _ = sealctl_text(r, 'queue', 'show', sent.id)
    assert 'reply' in text and 'delivered' in text and 'bob' not in text, text


def main(build, names):
    cases = [run for run in CASES if not names or run.__name__ in names]
    with relay.Relay(build, {'RAISED': 'yes'}) as r:
        r.next_hop = hop.Hop(r)
        r.next_hop.has(hop.USER, DAVE, *THERE)
        r.client = replies.Client(r.user.identity, tempfile.mkdtemp(dir=r.user_folder))
        r.user_cert = single.judge.run(['openssl', 'x509', '-in', r.user.identity])
        r.configure('sealrelayd', 'verdict', 'source = rspamd',
                    'rspamd = http://127.0.0.1:%d' % STUB.port, 'timeout = 2s')
        r.restart('sealrelayd')
        return stage.run(cases, r, r.inbox.fresh, os.path.join(r.dir, 'log', 'sealrelayd.log'),
                         tidy)


if __name__ == '__main__':
    sys.exit(main(sys.argv[1], sys.argv[2:]))
