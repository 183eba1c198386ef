# SPDX-License-Identifier: GPL-3.0-or-later
"""What comes back: reports and automatic answers to return paths, what the operator sees, when a
profile is suspended, and whom a failure is told. The reports are those of a real Postfix behind the
relay; what is told is read by Python's email package."""
import email
import email.policy
import glob
import os
import re
import sys
import tempfile
import time
import uuid

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '../support'))
import hop
import mail
import relay
import stage

CASES = []
SAMPLES = os.path.join(relay.TOP, 'tests/fuzz/corpus/report_fuzz')
CORPUS = os.path.join(os.path.dirname(relay.TOP), 'shared/corpus/messages.tar.gz')
FRONT = b'Received: from client.example (client.example [192.0.2.7])\r\n\tby mx.example.com ' \
        b'(Postfix) with ESMTP id 1; Sun, 22 Nov 2026 10:00:00 +0000\r\n'
PASS = b'Authentication-Results: mx.example.com; dkim=pass header.d=shop.example.net;\r\n' \
       b'\tspf=pass smtp.mailfrom=shop.example.net; dmarc=pass header.from=shop.example.net\r\n'
NAMES = re.compile(rb'alice|home\.example|' + re.escape(tempfile.gettempdir().encode()), re.I)


def case(function):
    CASES.append(function)
    return function


def message(aligned=False, extra=b'', body=b'Hello.\r\n'):
    ident = uuid.uuid4().hex.encode() + b'@shop.example.net'
    return ident, (PASS if aligned else b'') + FRONT + (
        b'From: Bob <bob@shop.example.net>\r\nTo: <shop@relay.example.com>\r\nSubject: secret plan\r\n'
        b'Message-ID: <' + ident + b'>\r\nDate: Sun, 22 Nov 2026 10:00:00 +0000\r\n'
        + extra + b'\r\n' + body)


def send(r, rcpts, data, mail_from, where=None):
    """(code, text) of the answer that decides."""
    lmtp = where is not None
    session = mail.Smtp(where or r.smtp_port, 'LHLO hop.example.com' if lmtp else
                        'EHLO hop.example.com')
    try:
        return 250, session.send(mail_from, rcpts, data)
    except mail.Refused as refusal:
        return refusal.code, refusal.text
    finally:
        session.close()


def put(r, data, mail_from=hop.SENDER):
    """A message to the alias; its id."""
    code, text = send(r, [r.alias], data, mail_from)
    assert code == 250, text
    return re.search('queued as ([a-z2-7]{16})', text).group(1)


def status(r):
    return r.sealctl('status')['relay']


def counts(r):
    return status(r)['returned']


def dealt_with(r, before, failures=1):
    """Wait until so many more failures are closed; the difference of all counters."""
    def closed():
        now = counts(r)
        return now['senders_told'] + now['senders_not_told'] - \
            before['senders_told'] - before['senders_not_told'] >= failures
    r.wait_until(closed, '%d failures are dealt with' % failures)
    now = counts(r)
    return {name: now[name] - before[name] for name in now if now[name] != before[name]}


def return_path(r, aligned=False):
    """(id, return path, Message-ID) of a message that was delivered."""
    ident, data = message(aligned)
    return (*delivered(r, data), ident)


def delivered(r, data, mail_from=hop.SENDER):
    """(id, return path) of a message, once it has arrived."""
    queue_id = put(r, data, mail_from)
    found = r.inbox.wait()
    assert len(found) == 1, '%d arrived' % len(found)
    with open(found[0], 'rb') as file:
        header = mail.split(mail.to_crlf(file.read()))[0]
    path = mail.field_value(header, b'Return-Path').decode().strip('<>')
    assert re.fullmatch(r'b-[a-z2-7]+@relay\.example\.com', path), path
    r.wait_until(lambda: r.sealctl('queue', 'show', queue_id)['state'] == 'delivered', 'delivered')
    return queue_id, path


def sample(name, **change):
    with open(os.path.join(SAMPLES, name + '.eml'), 'rb') as file:
        data = mail.to_crlf(file.read())
    for before, after in change.items():
        data = data.replace(before.encode().replace(b'_', b'.'), after.encode())
    return data


def report(status_code='5.1.1', action='failed'):
    return (b'From: MAILER-DAEMON@hop.example.com\r\nSubject: Undelivered\r\n'
            b'Content-Type: multipart/report; report-type=delivery-status; boundary=x\r\n\r\n'
            b'--x\r\nContent-Type: message/delivery-status\r\n\r\nReporting-MTA: dns; h\r\n\r\n'
            b'Final-Recipient: rfc822; alice@home.example.com\r\nAction: ' + action.encode() +
            b'\r\nStatus: ' + status_code.encode() + b'\r\nDiagnostic-Code: smtp; 550 5.1.1 '
            b'<alice@home.example.com>: User unknown at mx.home.example.com alice\r\n\r\n--x--\r\n')


def log(r, word):
    with open(os.path.join(r.dir, 'log', 'sealrelayd.log'), encoding='utf-8') as file:
        return [line for line in file if word in line]


def parts(data):
    """Every part's content, decoded, and the header block."""
    parsed = email.message_from_bytes(data, policy=email.policy.default)
    found = [mail.split(mail.to_crlf(data))[0]]
    for part in parsed.walk():
        if not part.is_multipart():
            found.append(part.get_payload(decode=True) or b'')
        found.append(str(part).encode('utf-8', 'replace'))
    return parsed, found


def told(r, box, ident, code):
    """The one notice in bob's mailbox, read by the letter."""
    found = box.wait()
    assert len(found) == 1, '%d notices' % len(found)
    with open(found[0], 'rb') as file:
        data = file.read()
    data = b''.join(line for line in data.splitlines(True)
                    if not re.match(rb'(Delivered-To|X-Original-To): ', line))
    parsed, decoded = parts(data)
    for text in decoded:
        assert not NAMES.search(text), 'names the mailbox: %r' % NAMES.search(text)
        assert b'secret plan' not in text and b'Hello' not in text, 'tells content'
    assert parsed['Return-Path'] == '<>', parsed['Return-Path']
    assert parsed['From'] == 'Mail Delivery System <MAILER-DAEMON@relay.example.com>'
    assert parsed['To'] == hop.SENDER
    assert parsed['Auto-Submitted'] == 'auto-replied'
    assert parsed['In-Reply-To'] == parsed['References'] == '<%s>' % ident.decode()
    assert parsed.get_content_type() == 'multipart/report'
    assert parsed.get_param('report-type') == 'delivery-status'
    text, machine, header = parsed.get_payload()
    assert text.get_content_type() == 'text/plain' and r.alias in text.get_content()
    of_message, of_recipient = machine.get_payload()
    assert of_message['Reporting-MTA'] == 'dns; relay.example.com'
    assert email.utils.parsedate_to_datetime(of_message['Arrival-Date'])
    assert of_recipient['Final-Recipient'] == 'rfc822; ' + r.alias
    assert of_recipient['Action'] == 'failed' and of_recipient['Status'] == code, of_recipient
    assert header.get_content_type() == 'text/rfc822-headers'
    assert header.get_payload().strip() == 'Message-ID: <%s>' % ident.decode()
    return of_recipient['Diagnostic-Code']


@case
def a_bounce_of_the_next_hop_fails_the_delivery_and_alarms_the_operator(r):
    before = counts(r)
    r.hop.has(hop.SENDER)
    queue_id = put(r, message()[1])
    seen = dealt_with(r, before)
    r.hop.has(hop.USER, hop.SENDER)
    assert seen == {'failed': 1, 'senders_not_told': 1}, seen
    entry = r.sealctl('queue', 'show', queue_id)
    assert entry['state'] == 'failed' and entry['last_result'] == 'reported failed: 5.1.1', entry
    assert entry['hop_id'] and 'rcpt_to' not in entry, entry
    assert [e['id'] for e in r.sealctl('queue', 'list', '--state', 'failed')] == [queue_id]
    alarm = status(r)['failures'][0]
    assert alarm['id'] == queue_id and alarm['profile'] == r.active and \
        abs(alarm['failed_at'] - time.time()) < 60, alarm
    lines = log(r, 'bounce.failed')
    assert len(lines) == 1 and queue_id in lines[0] and lines[0].startswith('<3>'), lines
    assert not r.box.wait(1, 2), 'a sender who may be forged was told'
    r.sealctl('queue', 'drop', queue_id, '--yes')
    assert not r.sealctl('queue', 'list') and not status(r)['failures']
    assert r.sealctl('queue', 'show', queue_id)['state'] == 'failed'


@case
def a_proven_sender_is_told_once_and_the_mailbox_is_not_named(r):
    before = counts(r)
    ident, data = message(aligned=True)
    r.hop.has(hop.SENDER)
    put(r, data)
    assert dealt_with(r, before) == {'failed': 1, 'senders_told': 1}
    r.hop.has(hop.USER, hop.SENDER)
    diagnostic = told(r, r.box, ident, '5.1.1')
    assert diagnostic in (None, 'smtp; unknown user'), diagnostic
    assert not r.box.wait(1, 2)


@case
def a_report_that_comes_again_changes_nothing(r):
    before = counts(r)
    _, path, ident = return_path(r, aligned=True)
    for _ in range(3):
        assert send(r, [path], report('5.7.1'), '')[0] == 250
    assert dealt_with(r, before) == {'failed': 1, 'senders_told': 1}
    assert told(r, r.box, ident, '5.7.1') == 'smtp; 550 5.1.1 User unknown at'
    assert send(r, [path], report('5.2.2'), '')[0] == 250
    assert not r.box.wait(1, 3)
    assert counts(r)['failed'] - before['failed'] == 1


@case
def delayed_and_relayed_reports_are_counted_only(r):
    before = counts(r)
    queue_id, path, _ = return_path(r, aligned=True)
    for action, code in (('delayed', '4.4.1'), ('relayed', '2.0.0'), ('delivered', '2.1.5'),
                         ('expanded', '2.0.0')):
        assert send(r, [path], report(code, action), '')[0] == 250
    assert send(r, [path], sample('qmail'), '')[0] == 250
    now = counts(r)
    assert {name: now[name] - before[name] for name in now if now[name] != before[name]} == \
        {'delayed': 1, 'passed': 3, 'unparsed': 1}
    assert r.sealctl('queue', 'show', queue_id)['state'] == 'delivered'
    assert not r.box.wait(1, 2) and not r.inbox.wait(1, 1)


@case
def automatic_answers_are_taken_and_dropped_and_people_are_refused(r):
    _, path, _ = return_path(r)
    before = counts(r)
    names = sorted(os.path.basename(p)[:-4] for p in glob.glob(SAMPLES + '/answer-*.eml'))
    names.remove('answer-person')
    assert len(names) == 5, names
    for name in names + ['read-receipt']:
        sender = '' if name == 'read-receipt' else hop.USER
        code, text = send(r, [path], sample(name), sender)
        assert code == 250, (name, text)
    assert counts(r)['auto_replies'] - before['auto_replies'] == 6
    code, text = send(r, [path], sample('answer-person'), hop.USER)
    assert code == 550 and '5.7.1' in text, text
    dropped = status(r)['receive']['dropped']
    code, text = send(r, [path], sample('answer-person'), hop.USER, r.facts_lmtp)
    assert code == 250, text
    assert status(r)['receive']['dropped'] == dropped + 1
    assert counts(r)['refused'] - before['refused'] == 2
    assert not r.inbox.wait(1, 2), 'an answer was forwarded'


@case
def forged_and_expired_return_paths_are_nobodys(r):
    _, path, _ = return_path(r)
    changed = path[:5] + ('a' if path[5] != 'a' else 'b') + path[6:]
    for rcpt in (changed, 'b-@relay.example.com', 'b-aaaa@relay.example.com',
                 path.replace('relay.example.com', 'sub.relay.example.com')):
        for where in (None, r.facts_lmtp):
            code, text = send(r, [rcpt], report(), '', where)
            assert code == 550 and '5.1.1' in text, (rcpt, text)
    assert send(r, [path.upper()], report('4.4.1', 'delayed'), '')[0] == 250
    r.clock(15 * 86400)
    try:
        code, text = send(r, [path], report(), '')
        assert code == 550 and '5.1.1' in text, text
    finally:
        r.clock(0)


@case
def one_direction_a_transaction(r):
    _, path, _ = return_path(r)
    for where in (None, r.facts_lmtp):
        for rcpts in ([path, r.alias], [r.alias, path]):
            code, text = send(r, rcpts, report(), '', where)
            assert code == 452 and '4.5.3' in text, text


@case
def mail_without_a_sender_to_an_alias_is_sealed_and_never_bounced(r):
    before = counts(r)
    code, text = send(r, [r.alias], message(aligned=True)[1], '')
    assert code == 250, text
    assert len(r.inbox.wait()) == 1
    r.hop.has(hop.SENDER)
    code, text = send(r, [r.alias], message(aligned=True)[1], '')
    assert code == 250, text
    assert dealt_with(r, before) == {'failed': 1, 'senders_not_told': 1}
    r.hop.has(hop.USER, hop.SENDER)
    assert not r.box.wait(1, 2)


@case
def lists_machines_and_unproven_envelopes_are_not_told(r):
    before = counts(r)
    spf_fail = PASS.replace(b'spf=pass', b'spf=fail')
    cases = [(message(True, b'List-Id: <l.shop.example.net>\r\n')[1], hop.SENDER),
             (message(True, b'List-Unsubscribe: <https://shop.example.net/u>\r\n')[1], hop.SENDER),
             (message(True, b'Precedence: bulk\r\n')[1], hop.SENDER),
             (message(True, b'Auto-Submitted: auto-generated\r\n')[1], hop.SENDER),
             (message(True)[1], 'news-request@shop.example.net'),
             (message(True)[1], 'owner-news@shop.example.net'),
             (message(True)[1], 'shop@relay.example.com'),
             (message(True)[1].replace(PASS, spf_fail), 'bob@victim.example.org'),
             (message(True)[1].replace(PASS, PASS.replace(b'dmarc=pass', b'dmarc=none')),
              hop.SENDER),
             (message()[1], hop.SENDER)]
    for data, sender in cases:
        path = delivered(r, data, sender)[1]
        assert send(r, [path], report('5.7.1'), '')[0] == 250
    seen = dealt_with(r, before, len(cases))
    assert seen == {'failed': len(cases), 'senders_not_told': len(cases)}, seen
    assert not r.box.wait(1, 2)


@case
def a_refusal_at_the_next_hop_is_told_too(r):
    before = counts(r)
    ident, data = message(aligned=True)
    r.hop.has(hop.SENDER, refuses=True)
    queue_id = put(r, data)
    assert dealt_with(r, before) == {'senders_told': 1}
    r.hop.has(hop.USER, hop.SENDER)
    diagnostic = told(r, r.box, ident, '5.1.1')
    assert diagnostic.startswith('smtp; 550 5.1.1 '), diagnostic
    entry = r.sealctl('queue', 'show', queue_id)
    assert entry['state'] == 'failed' and entry['finished'], entry
    r.sealctl('queue', 'drop', queue_id, '--yes')


@case
def a_lifetime_that_is_over_is_told_too(r):
    before = counts(r)
    ident, data = message(aligned=True)
    r.stop('sealdeliver')
    queue_id = put(r, data)
    r.clock(6 * 86400)
    try:
        r.wait_until(lambda: r.sealctl('queue', 'show', queue_id)['state'] == 'failed', 'failed', 40)
        assert dealt_with(r, before) == {'senders_told': 1}
    finally:
        r.clock(0)
    r.start('sealdeliver')
    r.sealctl('queue', 'flush')
    told(r, r.box, ident, '4.4.7')
    r.inbox.wait(1, 3)  # a flush tries the failed one too


@case
def what_is_told_is_bounded_and_a_notice_that_fails_is_not_reported(r):
    r.configure('sealrelayd', 'limits', 'reports_per_day = 1')
    r.restart('sealrelayd')
    before = counts(r)
    path = [return_path(r, aligned=True)[1] for _ in range(2)]
    r.hop.has(hop.USER, refuses=True)
    for one in path:
        assert send(r, [one], report('5.7.1'), '')[0] == 250
    seen = dealt_with(r, before, 2)
    assert seen == {'failed': 2, 'senders_not_told': 2}, seen  # told enough by the cases before
    r.configure('sealrelayd', 'limits', 'reports_per_day = 100')
    r.restart('sealrelayd')
    before = counts(r)
    path = return_path(r, aligned=True)[1]
    assert send(r, [path], report('5.7.1'), '')[0] == 250
    assert dealt_with(r, before) == {'failed': 1, 'senders_told': 1}
    r.wait_until(lambda: any(e['state'] == 'failed' and e['direction'] == 'notice'
                             for e in r.sealctl('queue', 'list')), 'the notice failed')
    time.sleep(2)
    now = counts(r)
    assert now['senders_told'] - before['senders_told'] == 1
    assert now['senders_not_told'] == before['senders_not_told']
    r.hop.has(hop.USER, hop.SENDER)
    for entry in r.sealctl('queue', 'list'):
        r.sealctl('queue', 'drop', entry['id'], '--yes')


def state(r):
    return next(p['state'] for p in r.sealctl('profile', 'list') if p['profile'] == r.active)


def unsuspend(r):
    """Active again, as the operator does it; what was counted counts no more."""
    if state(r) != 'suspended':
        r.sealctl('profile', 'suspend', r.active)
    r.sealctl('profile', 'resume', r.active)
    r.inbox.fresh()
    r.sealctl('profile', 'notify', r.active)
    r.activate(r.active, r.user)


@case
def five_hard_bounces_suspend_a_profile_and_soft_ones_never(r):
    unsuspend(r)
    soft = ['5.7.1', '5.2.3', '5.3.4', '5.6.0', '5.0.0', '4.4.7', '5.7.26']
    hard = ['5.1.1', '5.2.1', '5.2.2', '5.1.10', '5.4.4']
    before = counts(r)
    for code in soft + hard[:3]:
        assert send(r, [return_path(r)[1]], report(code), '')[0] == 250
    dealt_with(r, before, len(soft) + 3)
    assert state(r) == 'active'
    r.restart('sealrelayd')
    before = counts(r)
    same = return_path(r)[1]
    for _ in range(3):
        assert send(r, [same], report(hard[3]), '')[0] == 250
    last = return_path(r)[1]
    dealt_with(r, before)
    assert state(r) == 'active', 'four of five'
    assert send(r, [last], report(hard[4]), '')[0] == 250
    dealt_with(r, before, 2)
    assert state(r) == 'suspended'
    shown = r.sealctl('profile', 'show', r.active)
    assert shown['suspended_for']['bounces'] == 5, shown
    assert [s['profile'] for s in status(r)['suspensions']] == [r.active]
    assert len(log(r, 'bounce.suspend ')) == 1
    code, text = send(r, [r.alias], message()[1], hop.SENDER)
    assert 400 <= code < 500, text
    try:
        r.sealctl('profile', 'notify', r.active)
        raise Exception('a notice to a mailbox that bounces')
    except AssertionError:
        pass
    unsuspend(r)
    assert not status(r)['suspensions']
    assert 'suspended_for' not in r.sealctl('profile', 'show', r.active)
    assert send(r, [return_path(r)[1]], report(), '')[0] == 250
    assert state(r) == 'active'


@case
def real_reports_of_other_systems_are_taken(r):
    """Where a corpus of real mail lies beside the checkout; else those of the project."""
    import corpus
    reports = [(name, data) for name, data in corpus.messages(
        [CORPUS] if os.path.exists(CORPUS) else [SAMPLES], 1)
        if b'delivery-status' in data.lower()]
    assert len(reports) >= 10, len(reports)
    _, path, _ = return_path(r)
    before = counts(r)
    for name, data in reports:
        code, text = send(r, [path], mail.to_crlf(data), '')
        assert code == 250 or 'Bare' in text or '5.6.0' in text, (name, text)
    now = counts(r)
    assert now['failed'] == before['failed'] + 1, 'none of them says failed'
    assert not r.inbox.wait(1, 2)
    r.wait_until(lambda: counts(r)['senders_not_told'] > before['senders_not_told'], 'dealt with')


@case
def postmaster_and_abuse_are_the_operators(r):
    roles = ['postmaster@relay.example.com', 'abuse@relay.example.com', 'postmaster']
    for rcpt in roles:
        code, _ = send(r, [rcpt], message()[1], '')
        assert 400 <= code < 500, code
    assert status(r)['postmaster'] == 'no operator configured'
    r.sealctl('user', 'add', 'admin', 'admin@home.example.com')
    r.configure('sealrelayd', 'relay', 'operator = admin')
    r.restart('sealrelayd')
    r.hop.has(hop.USER, hop.SENDER, 'admin@home.example.com')
    for address in roles[:2]:
        try:
            r.sealctl('alias', 'add', address, 'alice')
            raise Exception('a user has ' + address)
        except AssertionError:
            pass
        r.sealctl('alias', 'add', address, 'admin')
    assert status(r)['postmaster'] == 'no active profile'
    for rcpt in roles:
        code, _ = send(r, [rcpt], message()[1], '')
        assert 400 <= code < 500, code
    inbox, r.inbox = r.inbox, mail.Maildir(os.path.join(os.path.dirname(r.facts['maildir']), 'admin'))
    try:
        _, admin, _ = r.profile('admin', '--domain', 'relay.example.com')
        assert status(r)['postmaster'] == 'active'
        for rcpt in roles:
            data = message()[1]
            assert send(r, [rcpt], data, '')[0] == 250
            found = r.inbox.wait()
            assert len(found) == 1
            with open(found[0], 'rb') as file:
                entity, _ = admin.open(mail.to_crlf(file.read()))
            assert b'Hello.' in entity
    finally:
        r.inbox = inbox


def main(build):
    with tempfile.NamedTemporaryFile('w', encoding='ascii') as clock:
        os.environ['SEALRELAY_CLOCK_FILE'] = clock.name

        def set_clock(seconds):
            clock.seek(0)
            clock.truncate()
            clock.write('%d\n' % seconds)
            clock.flush()
        set_clock(0)
        os.chmod(clock.name, 0o644)
        with relay.Relay(build) as r:
            r.clock = set_clock
            r.facts_lmtp = os.path.join(r.dir, 'run', 'lmtp.sock')
            r.active = r.sealctl('profile', 'list')[0]['profile']
            r.hop = hop.Hop(r)
            r.box = mail.Maildir(os.path.join(os.path.dirname(r.facts['maildir']), 'bob'))
            r.configure('sealrelayd', 'verdict', 'source = authentication-results',
                        'authserv_id = mx.example.com')
            r.restart('sealrelayd')

            def before():
                r.inbox.fresh()
                r.box.fresh()
            return stage.run(CASES, r, before, os.path.join(r.dir, 'log'))


if __name__ == '__main__':
    sys.exit(main(sys.argv[1]))
