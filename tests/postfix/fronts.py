# SPDX-License-Identifier: GPL-3.0-or-later
"""What has to hold whichever place the relay has behind its Postfix; run by before_queue.py and
after_queue.py. Every message that arrives is judged; nothing may leave for a forged sender."""
import os
import re
import subprocess
import sys
import time
import uuid

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '../support'))
import front
import judge
import mail
import opener
import relay
import stage

MESSAGES, SESSIONS = 1000, 20
STRANGER = 'bob@shop.example.net'
FORGED = 'victim@forged.example.org'
MADE_UP = 'nobody-has-this@' + front.DOMAIN


class Bench:
    """A relay, its front, and who opens what arrives."""

    def __init__(self, instance, postfix):
        self.relay = instance
        self.front = postfix
        self.opener = opener.Opener(instance.user)

    def session(self, **options):
        return mail.Smtp(self.front.port, **options)

    def send(self, data, rcpts=None, sender=STRANGER):
        """(code, text) of the first answer that is no success, or of the last."""
        session = self.session()
        try:
            return 250, session.send(sender, rcpts or [self.relay.alias], data)
        except mail.Refused as refusal:
            return refusal.code, refusal.text
        finally:
            session.close()

    def arrived(self, originals, seconds=60):
        """Exactly these messages arrive, each judged; what each was sealed into."""
        found = self.relay.inbox.wait(len(originals), seconds)
        found += self.relay.inbox.wait(1, 0.5)  # one too many would come now
        assert len(found) == len(originals), '%d messages arrived' % len(found)
        sealed = {}
        for path in found:
            with open(path, 'rb') as file:
                data = file.read()
            ident = mail.field_value(mail.split(mail.to_crlf(data))[0], b'Message-ID')
            assert ident not in sealed, 'one message came twice'
            sealed[ident] = data
        for ident, original in originals.items():
            judge.judge(self.opener, original, sealed[ident])
        return sealed

    def nothing_arrives(self, seconds=1):
        assert not self.relay.inbox.wait(1, seconds), 'a message arrived'

    def relay_log(self, *wanted):
        """Lines of the relay that hold every word."""
        with open(os.path.join(self.relay.dir, 'log/sealrelayd.log'), encoding='utf-8') as file:
            return [line for line in file if all(word in line for word in wanted)]


class Opened:
    """A message that is opened once, and can be looked into and judged."""

    def __init__(self, user, sealed):
        self.entity, self.signers = user.open(sealed)

    def open(self, _):
        return self.entity, self.signers


def message(sender=STRANGER, extra=b'', body=b'Hello.\r\n', ident=None):
    """(Message-ID, message)"""
    ident = b'<' + (ident or uuid.uuid4().hex.encode()) + b'@client.example.net>'
    return ident, (b'From: <' + sender.encode() + b'>\r\nTo: <shop@relay.example.com>\r\n'
                   b'Subject: test\r\nMessage-ID: ' + ident +
                   b'\r\nDate: Sun, 22 Nov 2026 10:00:00 +0000\r\n' + extra + b'\r\n' + body)


def deliver(b, **options):
    ident, data = message(**options)
    code, text = b.send(data)
    assert code == 250, text
    b.arrived({ident: data})
    return text


# ---- the cases both fronts share ----

def ordinary_mail_arrives_sealed(b):
    deliver(b)


def a_thousand_messages_arrive_once_each_sealed(b):
    """From Postfix's own load generator, which ends at the first answer it does not like."""
    sender = 'bulk@shop.example.net'
    start = time.monotonic()
    source = subprocess.run(
        ['smtp-source', '-s', str(SESSIONS), '-m', str(MESSAGES), '-l', '4000', '-f', sender, '-t',
         b.relay.alias, '-M', 'client.example.net', '127.0.0.1:%d' % b.front.port],
        capture_output=True, check=False)
    assert source.returncode == 0, source.stderr.decode()
    sent = time.monotonic()
    found = b.relay.inbox.wait(MESSAGES, 180)
    came = time.monotonic()
    found += b.relay.inbox.wait(1, 1)
    assert len(found) == MESSAGES, '%d of %d messages arrived' % (len(found), MESSAGES)
    idents, bodies = set(), set()
    for path in found:
        with open(path, 'rb') as file:
            sealed = mail.to_crlf(file.read())
        opened = Opened(b.opener, sealed)
        header, body = mail.split(opened.entity)
        idents.add(mail.field_value(header, b'Message-ID'))
        bodies.add(body)
        judge.judge(opened, b'From: <' + sender.encode() + b'>\r\n\r\n' + body, sealed)
    assert len(idents) == MESSAGES, 'only %d different messages' % len(idents)
    assert len(bodies) == 1 and re.fullmatch(rb'([0-9 ]*X+\r\n)+', next(iter(bodies))), 'bodies'
    assert not b.front.queued()
    print('    %d messages, %d sessions: taken in %.1f s, there after %.1f s, judged in %.1f s' % (
        MESSAGES, SESSIONS, sent - start, came - start, time.monotonic() - came))


def an_unknown_alias_is_refused_to_the_stranger_at_rcpt(b):
    session = b.session()
    session.command('MAIL FROM:<%s>' % FORGED)
    try:
        session.command('RCPT TO:<%s>' % MADE_UP)
        raise AssertionError('taken')
    except mail.Refused as refusal:
        assert refusal.code == 550 and '5.1.1' in refusal.text, refusal.text
    session.command('RCPT TO:<%s>' % b.relay.alias)  # and that one only
    ident, data = message(sender=FORGED)
    session.command('DATA', '3')
    session.sock.sendall(data + b'.\r\n')
    session.expect('2')
    session.close()
    b.arrived({ident: data})


def other_domains_are_refused(b):
    for rcpt in ('someone@elsewhere.example.org', 'postmaster@mx.example.com'):
        code, text = b.send(message()[1], [rcpt])
        assert 500 <= code < 600, text


def a_token_outage_is_a_4xx_and_needs_no_restart_of_the_relay(b):
    pid = b.relay.pid('sealrelayd')
    ident, data = message()
    b.relay.stop('sealhsmd')
    try:
        code, text = b.send(data)
        assert code == 451, text
    finally:
        b.relay.start('sealhsmd')
    front.until(lambda: b.send(data)[0] == 250, 'service again')
    assert b.relay.pid('sealrelayd') == pid and relay.alive(pid)
    b.arrived({ident: data})


def the_client_is_the_stranger_not_the_front(b):
    """The front's client connects from an address of its own."""
    ident, data = message()
    session = b.session(source='127.0.0.77', hello='EHLO stranger.example.net')
    session.send(STRANGER, [b.relay.alias], data)
    session.close()
    b.arrived({ident: data})
    assert b.relay_log('stage=receive.message', 'peer=127.0.0.1 ', 'client=127.0.0.77 ')


def delivery_reports_and_chunks_are_not_offered(b):
    session = b.session()
    for keyword in ('DSN', 'CHUNKING', 'ETRN', 'AUTH'):
        assert keyword not in session.extensions, keyword
    for command in ('MAIL FROM:<%s> RET=HDRS ENVID=x' % FORGED, 'BDAT 10 LAST'):
        try:
            session.command(command)
            raise AssertionError('taken: ' + command)
        except mail.Refused as refusal:
            assert refusal.code >= 500, refusal.text
    session.close()


def look_alike_ends_of_data_are_content(b):
    """Bare line feeds are made whole by the front; none of them ends a message."""
    ident, data = message()
    for end in (b'\n.\n', b'\n.\r\n', b'\r\n.\n'):
        smuggled = (end + b'MAIL FROM:<admin@relay.example.com>\r\nRCPT TO:<shop@relay.example.com>'
                    b'\r\nDATA\r\nSubject: smuggled\r\n\r\nx\r\n')
        session = b.session()
        session.command('MAIL FROM:<%s>' % FORGED)
        session.command('RCPT TO:<%s>' % b.relay.alias)
        session.command('DATA', '3')
        session.sock.sendall(data.rstrip(b'\r\n') + smuggled + b'.\r\n')
        session.expect('2')
        session.command('NOOP')  # the next answer is to the next command
        session.close()
        found = b.relay.inbox.wait(1) + b.relay.inbox.wait(1, 0.5)
        assert len(found) == 1, '%r: %d messages arrived' % (end, len(found))
        with open(found[0], 'rb') as file:
            sealed = mail.to_crlf(file.read())
        header, body = mail.split(b.opener.open(sealed)[0])
        assert mail.field_value(header, b'Message-ID') == ident
        assert body.startswith(b'Hello.\r\n') and body.endswith(b'Subject: smuggled\r\n\r\nx\r\n')


def oversize_is_refused_before_and_after_it_was_sent(b):
    session = b.session()
    try:
        session.command('MAIL FROM:<%s> SIZE=99999999' % FORGED)
        raise AssertionError('taken')
    except mail.Refused as refusal:
        assert refusal.code == 552, refusal.text
    session.close()
    line = b'x' * 998 + b'\r\n'
    code, text = b.send(message(sender=FORGED, body=line * (26 * 1024 * 1024 // 1000 + 1000))[1],
                        sender=FORGED)
    assert code == 552, text
    b.nothing_arrives()


def mail_from_nobody_is_taken(b):
    """A null sender: reports of others, to an alias."""
    ident, data = message()
    code, text = b.send(data, sender='')
    assert code == 250, text
    b.arrived({ident: data})


def a_message_is_followed_through_all_logs(b, front_line):
    """front_line: regular expression of the front's log with our id in a group."""
    before = len(b.front.log())
    text = deliver(b)
    front.until(lambda: re.search(front_line, b.front.log()[before:]), "the front's line")
    ident = re.search(front_line, b.front.log()[before:]).group(1)
    taken = b.relay_log('stage=receive.message', 'id=%s ' % ident)
    sealed = b.relay_log('stage=flow.forward', 'id=%s ' % ident)
    front.until(lambda: b.relay_log('stage=deliver.done', 'id=%s ' % ident), 'line of delivery')
    done = b.relay_log('stage=deliver.done', 'id=%s ' % ident)
    assert len(taken) == len(sealed) == len(done) == 1, (taken, sealed, done)
    hop_id = re.search(r'hop_id=(\S+)', done[0]).group(1)
    shown = b.relay.sealctl('queue', 'show', ident)
    assert shown['id'] == ident and hop_id in str(shown), shown
    with open(os.path.join(b.relay.dir, 'log/postfix.log'), encoding='utf-8') as file:
        assert re.search(r'%s: .*status=sent' % hop_id, file.read())
    for line in taken + sealed + done:
        assert '@' not in line, 'an address in the log: ' + line
    return ident, text, taken[0]


def nothing_left_for_a_forged_sender(b):
    """The last case: whatever the front wanted to send out would lie in the sink."""
    if b.front.queued():
        b.front.wait_empty()
    time.sleep(1)
    assert not b.front.sink.messages(), 'it sent: %r' % b.front.sink.messages()[0][:400]


def main(arguments, kind, cases):
    """arguments: the build folder, then the names of cases; all of them when there is none"""
    build, names = arguments[1], arguments[2:]
    cases = [case for case in cases if not names or case.__name__ in names]
    with relay.Relay(build) as instance, front.Front(instance, kind) as postfix:
        b = Bench(instance, postfix)
        return stage.run(cases, b, instance.inbox.fresh, os.path.join(instance.dir, 'log'),
                         lambda _: print('--- front\n' + postfix.log()[-8000:]))
