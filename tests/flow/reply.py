# SPDX-License-Identifier: GPL-3.0-or-later
"""Replies: from the user's client to a reverse alias, and on to whom it stands for. What is proven
arrives without a trace of the user and threads on both sides; whatever is not gets one answer, equal
in bytes. A script plays rspamd; replies are built by openssl cms."""
import email
import email.policy
import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '../support'))
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '../verdict'))
import hop
import judge
import mail
import relay
import replies
import stage
from replies import ALIAS, MAILBOX
from stub_rspamd import Stub, answer, symbol

CASES = []
STUB = Stub()
PASS = answer(symbol('DMARC_POLICY_ALLOW', 'home.example.com', 'reject'))
SHOP = answer(symbol('DMARC_POLICY_ALLOW', 'shop.example.net', 'reject'))
HOW = b'\nHow are you?\n'
REFUSED = '550 5.7.1 Message refused'
DEFAULTS = {'reply-pass': 'required', 'reply-signature': 'required', 'plain': 'no',
            'onward': 'when-known'}


def case(function):
    CASES.append(function)
    return function


class Conversation:
    """A stranger who has written to the alias; what the user has of them."""

    def __init__(self, r, name='bob', cc='', alias=ALIAS, content=HOW):
        self.name = name
        self.address = name + '@shop.example.net'
        self.alias = alias
        self.ident = replies.fresh_id('shop.example.net')
        self.sealed = receive(r, self.ident, self.address, cc=cc, alias=alias, content=content)
        self.reverse = judge.from_address(mail.split(self.sealed)[0])
        self.bag = replies.bag_of(r.user, self.sealed)
        self.cert = self.bag[self.reverse]
        self.box = replies.Box(r, name)


def receive(r, ident, sender, references=(), cc='', alias=ALIAS, mail_from=None, content=HOW,
            verdict=SHOP):
    """A stranger's message, as it arrives at the user's."""
    data = 'From: %s\nTo: %s\n%sSubject: hello\nMessage-ID: %s\n' % (
        sender, alias, 'Cc: %s\n' % cc if cc else '', ident)
    if references:
        data += 'In-Reply-To: %s\nReferences: %s\n' % (references[-1], ' '.join(references))
    STUB.set(verdict)
    r.inbox.fresh()
    send(r, [alias], mail.to_crlf(data.encode() + content),
         sender if mail_from is None else mail_from, '250')
    found = r.inbox.wait()
    assert len(found) == 1, '%d arrived' % len(found)
    with open(found[0], 'rb') as file:
        return mail.to_crlf(file.read())


def send(r, rcpts, data, mail_from=MAILBOX, want=None, where=None):
    """The last answer, without the id it names."""
    session = mail.Smtp(where or r.smtp_port,
                        ('LHLO' if where else 'EHLO') + ' client.home.example.com')
    try:
        text = session.send(mail_from, rcpts, data)
    except mail.Refused as refusal:
        text = refusal.text
    finally:
        session.close()
    assert want is None or text.startswith(want), text
    return text


def reply(r, data, to, want='250', passed=True, **how):
    STUB.set(PASS if passed else answer())
    return send(r, [to] if isinstance(to, str) else to, data, want=want, **how)


def good(r, talk, body=b'Hello Bob.\n', **header):
    """A signed and encrypted reply."""
    return replies.message(replies.fields(talk.reverse, **header),
                           r.client.sealed(replies.entity(body), [talk.cert, r.user_cert]))


def policy(r, **words):
    wanted = {**DEFAULTS, **{name.replace('_', '-'): word for name, word in words.items()}}
    profile = next(p['profile'] for p in r.sealctl('profile', 'list') if p['state'] == 'active')
    r.sealctl('profile', 'policy', profile,
              *[w for name, word in wanted.items() for w in ('--' + name, word)])
    return profile


def clean(data, *more):
    """Nothing of the user is in what arrives at a correspondent."""
    for word in (b'alice', b'home.example', b'client.home', *more):
        assert word not in data.lower(), '%r is in it' % word


def arrived(box):
    data = box.next()
    header, body = mail.split(data)
    # what the next hop wrote itself is not ours
    for name in (b'Delivered-To', b'X-Original-To', b'Return-Path', b'Received'):
        for found, whole in mail.fields(header):
            if found == name and name != b'Return-Path':
                header = header.replace(whole, b'')
    clean(header + b'\r\n' + body)
    return email.message_from_bytes(header + b'\r\n' + body, policy=email.policy.default)


@case
def a_reply_arrives_from_the_alias_and_the_answer_threads(r):
    talk = Conversation(r)
    ident = replies.fresh_id()
    data = good(r, talk, b'Dear Bob, gr\xc3\xbc\xc3\x9fe. alice@home.example.com\n', ident=ident,
                references=[talk.ident])
    reply(r, data, talk.reverse)
    got = arrived(talk.box)
    assert got['From'] == ALIAS and got['To'] == 'bob@shop.example.net', got.items()
    assert got['In-Reply-To'] == talk.ident and got['References'] == talk.ident
    assert got.get_content().splitlines()[0] == 'Dear Bob, gr\xfc\xdfe. ' + ALIAS, got.get_content()
    assert got['Message-ID'].endswith('@relay.example.com>')
    back = receive(r, replies.fresh_id('shop.example.net'), 'bob@shop.example.net',
                   [talk.ident, got['Message-ID']])
    inner, _ = mail.split(r.user.open(back)[0])
    for header in (mail.split(back)[0], inner):
        assert mail.field_value(header, b'In-Reply-To').decode() == ident
        assert mail.field_value(header, b'References').decode().split() == [talk.ident, ident]
    later = replies.fresh_id()
    reply(r, good(r, talk, references=[talk.ident, ident, later]), talk.reverse)
    assert arrived(talk.box)['References'].split()[1] == got['Message-ID']


@case
def a_reply_to_all_reaches_each_with_addresses_of_their_world(r):
    talk = Conversation(r, 'bob', cc='carol@shop.example.net')
    others = {name: pem for name, pem in talk.bag.items()
              if name.startswith('r-') and name != talk.reverse}
    assert len(others) == 1, others.keys()
    carol, carol_cert = next(iter(others.items()))
    carol_box = replies.Box(r, 'carol')
    for rcpts in ([ALIAS, talk.reverse, carol], [talk.reverse, carol, ALIAS],
                  [talk.reverse, ALIAS, carol, talk.reverse]):
        ident = replies.fresh_id()
        data = replies.message(
            replies.fields('%s, %s' % (talk.reverse, ALIAS), cc=carol, ident=ident),
            r.client.sealed(replies.entity(), [talk.cert, carol_cert, r.user_cert]))
        r.inbox.fresh()
        reply(r, data, rcpts)
        got, other = arrived(talk.box), arrived(carol_box)
        for one in (got, other):
            assert one['From'] == ALIAS and one['To'] == 'bob@shop.example.net', one.items()
            assert one['Cc'] == 'carol@shop.example.net', one.items()
        assert got['Message-ID'] == other['Message-ID']
    # split into transactions by a front
    data = replies.message(replies.fields(talk.reverse, cc=carol),
                           r.client.sealed(replies.entity(), [talk.cert, carol_cert]))
    reply(r, data, talk.reverse)
    reply(r, data, carol)
    arrived(talk.box)
    arrived(carol_box)
    r.wait_until(lambda: not r.sealctl('queue', 'list'), 'the queue is empty')
    assert not r.inbox.fresh(), 'the user got a copy'


@case
def what_clients_write_is_opened(r):
    talk = Conversation(r)
    bodies = {}
    for name, words in {'aes128': ['-aes128'], 'aes192': ['-aes192'], '3des': ['-des3'],
                        'gcm': ['-aes-256-gcm'], 'indefinite': ['-aes256', '-stream'],
                        'oaep': ['-aes256', '-keyopt', 'rsa_padding_mode:oaep']}.items():
        signed = r.client.sign(replies.entity())
        recipient = ['-recip'] if name == 'oaep' else []
        bodies[name] = r.client.encrypt(signed, [] if recipient else [talk.cert], *(
            words if not recipient else [words[0], *recipient, r.file('oaep.pem', talk.cert),
                                         *words[1:]]))
    bodies['opaque'] = r.client.sealed(replies.entity(), [talk.cert], opaque=True)
    bodies['several'] = r.client.sealed(replies.entity(), [r.user_cert, talk.cert])
    bodies['signed only'] = r.client.sign(replies.entity())
    bodies['signed only, opaque'] = r.client.sign(replies.entity(), opaque=True)
    for name, body in bodies.items():
        try:
            reply(r, replies.message(replies.fields(talk.reverse), body), talk.reverse)
            arrived(talk.box)
        except AssertionError as failure:
            raise AssertionError('%s: %s' % (name, failure)) from failure


@case
def a_profile_may_waive_the_pass_or_the_signature(r):
    talk = Conversation(r)
    policy(r, reply_pass='waived')
    reply(r, good(r, talk), talk.reverse, passed=False)
    arrived(talk.box)
    bare = replies.message(replies.fields(talk.reverse),
                           r.client.encrypt(replies.entity(), [talk.cert]))
    assert reply(r, bare, talk.reverse, want=None) == REFUSED
    policy(r, reply_signature='waived')
    assert reply(r, bare, talk.reverse, want=None, passed=False) == REFUSED
    reply(r, bare, talk.reverse)
    arrived(talk.box)
    plain = replies.message(replies.fields(talk.reverse), replies.entity())
    assert reply(r, plain, talk.reverse, want=None) == REFUSED
    bad = replies.message(replies.fields(talk.reverse), r.client.sealed(
        replies.entity(), [talk.cert], identity=r.stranger))
    assert reply(r, bad, talk.reverse, want=None) == REFUSED
    profile = policy(r, reply_signature='waived', plain='yes')
    reply(r, plain, talk.reverse)
    arrived(talk.box)
    for words in (['--reply-pass', 'waived'], ['--reply-signature', 'required']):
        try:
            r.sealctl('profile', 'policy', profile, *words)
        except AssertionError:
            continue
        raise AssertionError('%s was taken' % words)
    policy(r)


@case
def a_verdict_that_cannot_be_had_defers(r):
    talk = Conversation(r)
    STUB.set(trouble='closed')
    text = send(r, [talk.reverse], good(r, talk))
    assert text.startswith('451 4.7.0'), text
    reply(r, good(r, talk), talk.reverse)
    arrived(talk.box)


def notice(r):
    found = r.inbox.wait()
    assert len(found) == 1, '%d notices' % len(found)
    with open(found[0], 'rb') as file:
        return r.user.open(mail.to_crlf(file.read()))[0].decode()


@case
def a_proven_reply_that_cannot_leave_is_explained_by_sealed_mail(r):
    talk = Conversation(r)
    r.inbox.fresh()
    data = replies.message(replies.fields('%s, outside@shop.example.net' % talk.reverse),
                           r.client.sealed(replies.entity(), [talk.cert]))
    text = reply(r, data, talk.reverse, want=None)
    assert text == '550 5.6.0 Reply cannot be sent on, a sealed notice says why', text
    said = notice(r)
    assert talk.reverse in said and 'To or Cc names an address' in said, said
    policy(r, onward='required')
    assert reply(r, good(r, talk), talk.reverse, want=None).startswith('550 5.6.0')
    assert 'certificate' in notice(r)
    policy(r)
    reply(r, good(r, talk), talk.reverse)
    arrived(talk.box)


@case
def who_may_be_written_to_is_said_at_rcpt(r):
    def rcpt(*words):
        return send(r, list(words), b'x')
    talk = Conversation(r)
    unknown = 'r-aaaaaaaaaaaaaaaa@relay.example.com'
    assert rcpt(unknown).startswith('550 5.1.1'), rcpt(unknown)
    assert rcpt(unknown.replace('relay', 'no-relay')).startswith('550 5.1.1')
    nobody = receive(r, replies.fresh_id('shop.example.net'), 'nobody-at-all', mail_from='')
    nobody = judge.from_address(mail.split(nobody)[0])
    assert rcpt(nobody).startswith('550 5.1.1'), rcpt(nobody)
    foreign = receive(r, replies.fresh_id('shop.example.net'), 'b\u00fcro@shop.example.net',
                      mail_from='bob@shop.example.net')
    foreign = judge.from_address(mail.split(foreign)[0])
    assert rcpt(foreign).startswith('550 5.6.7'), rcpt(foreign)
    r.stop('sealhsmd')
    text = rcpt(talk.reverse)
    r.start('sealhsmd')
    assert text.startswith('45'), text
    r.wait_until(lambda: reply(r, good(r, talk), talk.reverse, want=None).startswith('250'), 'back')


@case
def a_reply_that_comes_back_is_told_to_the_user_and_counts_for_nothing(r):
    talk = Conversation(r, 'dave')
    r.next_hop.has(hop.USER, hop.SENDER)  # and dave is gone
    r.inbox.fresh()
    ident = replies.fresh_id()
    reply(r, good(r, talk, b'A secret for Dave.\n', ident=ident), talk.reverse)
    said = notice(r)
    assert talk.reverse in said and 'Status: 5.1.1' in said and ident in said, said
    assert 'secret' not in said and 'hop' not in said and 'dave' not in said, said
    assert r.sealctl('profile', 'list')[0]['state'] == 'active'
    for entry in r.sealctl('queue', 'list'):
        r.sealctl('queue', 'drop', entry['id'], '--yes')
    r.next_hop.has(hop.USER, *(name + '@shop.example.net' for name in ('bob', 'carol', 'dave')))


def stranger(r):
    """A key with a certificate for the user's mailbox that nobody has enrolled."""
    path = os.path.join(r.user_folder, 'stranger.pem')
    key = judge.run(['openssl', 'req', '-x509', '-newkey', 'rsa:2048', '-nodes', '-keyout', path,
                     '-subj', '/CN=Alice', '-days', '30', '-addext',
                     'subjectAltName=email:' + MAILBOX])
    with open(path, 'ab') as file:
        file.write(key)
    return path


def main(build, cases=None):
    cases = cases or CASES
    with relay.Relay(build, {'RAISED': 'yes'}) as r:
        next_hop = hop.Hop(r)
        next_hop.has(hop.USER, *(name + '@shop.example.net' for name in ('bob', 'carol', 'dave')))
        r.next_hop = next_hop
        r.client = replies.Client(r.user.identity, r.user_folder)
        r.stranger = stranger(r)
        r.user_cert = judge.run(['openssl', 'x509', '-in', r.user.identity])
        r.configure('sealrelayd', 'verdict', 'source = rspamd',
                    'rspamd = http://127.0.0.1:%d' % STUB.port, 'timeout = 2s')
        r.restart('sealrelayd')
        return stage.run(cases, r, r.inbox.fresh, os.path.join(r.dir, 'log', 'sealrelayd.log'))


if __name__ == '__main__':
    sys.exit(main(sys.argv[1], [c for c in CASES if c.__name__ in sys.argv[2:]]))
