# SPDX-License-Identifier: GPL-3.0-or-later
"""The sender's verdict with rspamd itself: SPF, DKIM and DMARC judged over records of a private
resolver, on messages that dkimpy signed, sent by the clients that XFORWARD names."""
import os
import shutil
import sys
import tempfile
import time
import uuid

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '../support'))
import front
import judge
import mail
import relay
import stage
from real_rspamd import Key, Resolver, Rspamd

GOOD = '192.0.2.10'   # every domain with an SPF record sends from here
EVIL = '198.51.100.66'
INSIDE = '10.20.30.40'
IPV6 = 'IPV6:2001:db8::10'
SPF = 'v=spf1 ip4:%s ip4:%s ip6:2001:db8::10 -all' % (GOOD, INSIDE)
SCRATCH = tempfile.TemporaryDirectory(prefix='sealrelay-dkim.')
KEYS = {name: Key(SCRATCH.name, name) for name in ('reject.example', 'other.example')}
RECORDS = [
    *((name, SPF) for name in ('reject.example', 'quarantine.example', 'none.example',
                               'bare.example', 'other.example',
                               'twice.example', 'example.net', 'example.com')),
    ('soft.example', 'v=spf1 ip4:%s ~all' % GOOD),
    ('_dmarc.reject.example', 'v=DMARC1; p=reject'),
    ('_dmarc.quarantine.example', 'v=DMARC1; p=quarantine'),
    ('_dmarc.none.example', 'v=DMARC1; p=none'),
    ('_dmarc.soft.example', 'v=DMARC1; p=none'),
    ('_dmarc.example.com', 'v=DMARC1; p=reject; aspf=s; adkim=s'),
    ('_dmarc.example.net', 'v=DMARC1; p=reject'),
    ('_dmarc.example.org', 'v=DMARC1; p=none; sp=reject'),
    ('_dmarc.twice.example', 'v=DMARC1; p=reject'),
    ('_dmarc.twice.example', 'v=DMARC1; p=none'),
    ('s1._domainkey.reject.example', KEYS['reject.example'].record),
    ('s1._domainkey.other.example', KEYS['other.example'].record),
    ('s1._domainkey.quarantine.example', KEYS['reject.example'].record),
    ('s1._domainkey.example.net', KEYS['reject.example'].record),
    ('s1._domainkey.example.com', KEYS['reject.example'].record),
    ('s1._domainkey.sub.example.com', KEYS['reject.example'].record),
]
GTUBE = b'XJS*C4JDBQADN1.NSBN3*2IDNEN*GTUBE-STANDARD-ANTI-UBE-TEST-EMAIL*C.34X\r\n'
CASES = []


def case(function):
    CASES.append(function)
    return function


def message(domain, body=b'Hello.\r\n', sender=None):
    sender = sender or b'Bob <bob@' + domain.encode() + b'>'
    return (b'From: ' + sender + b'\r\nTo: <shop@relay.example.com>\r\nSubject: test\r\n'
            b'Message-ID: <' + uuid.uuid4().hex.encode() + b'@' + domain.encode() + b'>\r\n'
            b'Date: ' + time.strftime('%a, %d %b %Y %H:%M:%S +0000', time.gmtime()).encode()
            + b'\r\nMIME-Version: 1.0\r\nContent-Type: text/plain\r\n\r\n' + body)


def signed(data, *domains, key='reject.example'):
    for domain in domains:
        data = KEYS.get(domain, KEYS[key]).sign(data, domain)
    return data


def spoilt(data):
    return data.replace(b'Hello.', b'Send money.')


def send(r, data, client=GOOD, mail_from='', helo='mail.example'):
    session = mail.Smtp(r.smtp_port, 'EHLO front.example.net')
    try:
        session.command('XFORWARD ADDR=%s HELO=%s' % (client, helo))
        return 250, session.send(mail_from, [r.alias], data)
    except mail.Refused as refusal:
        return refusal.code, refusal.text
    finally:
        session.close()


def verdict_of(r, data):
    """(what the user can read of the sender, is the name marked?) of the one message that came."""
    found = r.inbox.wait()
    assert len(found) == 1, '%d arrived' % len(found)
    with open(found[0], 'rb') as file:
        sealed = mail.to_crlf(file.read())
    judge.judge(r.user, data, sealed)
    inner = mail.split(r.user.open(sealed)[0])[0]
    return (mail.field_value(inner, b'Sealrelay-Verdict').decode(),
            b'[unverified]' in mail.field_value(inner, b'From'))


# message, client, envelope sender, answer, verdict, marked
TABLE = [
    ('spf and dkim are good and aligned', signed(message('reject.example'), 'reject.example'),
     GOOD, 'bob@reject.example', 250,
     'pass; dmarc=pass policy=reject spf=pass dkim=pass; from=reject.example', False),
    ('spf fails, no signature, p=reject', message('reject.example'), EVIL, 'bob@reject.example',
     550, None, False),
    ('spf fails, the signature too, p=reject',
     spoilt(signed(message('reject.example'), 'reject.example')), EVIL, 'bob@reject.example', 550,
     None, False),
    ('dkim alone is aligned', signed(message('reject.example'), 'reject.example'), EVIL,
     'bob@reject.example', 250,
     'pass; dmarc=pass policy=reject spf=fail dkim=pass; from=reject.example', False),
    ('dkim alone, after a forwarder', signed(message('reject.example'), 'reject.example'), GOOD,
     'list@other.example', 250,
     'pass; dmarc=pass policy=reject spf=pass dkim=pass; from=reject.example', False),
    ('spf alone is aligned', message('reject.example'), GOOD, 'bounce@reject.example', 250,
     'pass; dmarc=pass policy=reject spf=pass dkim=none; from=reject.example', False),
    ('both pass for another domain, p=reject',
     signed(message('reject.example'), 'other.example'), GOOD, 'x@other.example', 550, None, False),
    ('both pass for another domain, p=quarantine',
     signed(message('quarantine.example'), 'other.example'), GOOD, 'x@other.example', 250,
     'fail; dmarc=fail policy=quarantine spf=pass dkim=pass; from=quarantine.example', True),
    ('all fails, p=quarantine', message('quarantine.example'), EVIL, 'bob@quarantine.example', 250,
     'fail; dmarc=fail policy=quarantine spf=fail dkim=none; from=quarantine.example', True),
    ('all fails, p=none', message('none.example'), EVIL, 'bob@none.example', 250,
     'fail; dmarc=fail policy=none spf=fail dkim=none; from=none.example', True),
    ('softfail, p=none', message('soft.example'), EVIL, 'bob@soft.example', 250,
     'fail; dmarc=fail policy=none spf=softfail dkim=none; from=soft.example', True),
    ('no dmarc record, spf and another domain\'s dkim pass',
     signed(message('bare.example'), 'other.example'), GOOD, 'bob@bare.example', 250,
     'none; dmarc=none spf=pass dkim=pass; from=bare.example', False),
    ('nothing published at all', message('nowhere.example'), EVIL, 'bob@nowhere.example', 250,
     'none; dmarc=none spf=none dkim=none; from=nowhere.example', False),
    ('two dmarc records', message('twice.example'), GOOD, 'bob@twice.example', 250,
     'none; dmarc=permerror spf=pass dkim=none; from=twice.example', False),
    ('a sub-domain is aligned with its parent',
     signed(message('news.example.net'), 'example.net'), EVIL, 'bob@example.net', 250,
     'pass; dmarc=pass policy=reject spf=fail dkim=pass; from=news.example.net', False),
    ('strict alignment takes the domain itself', signed(message('example.com'), 'example.com'),
     EVIL, 'bob@other.example', 250,
     'pass; dmarc=pass policy=reject spf=fail dkim=pass; from=example.com', False),
    ('strict alignment takes no sub-domain', signed(message('example.com'), 'sub.example.com'),
     EVIL, 'bob@other.example', 550, None, False),
    ('a parent\'s policy for sub-domains', message('shop.example.org'), EVIL,
     'bob@shop.example.org', 550, None, False),
    ('a private client address is a client like any other',
     signed(message('reject.example'), 'reject.example'), INSIDE, 'bob@reject.example', 250,
     'pass; dmarc=pass policy=reject spf=pass dkim=pass; from=reject.example', False),
    ('a private address is no excuse', message('reject.example'), '10.66.66.66',
     'bob@reject.example', 550, None, False),
    ('IPv6', message('reject.example'), IPV6, 'bob@reject.example', 250,
     'pass; dmarc=pass policy=reject spf=pass dkim=none; from=reject.example', False),
    ('a bounce is judged by its HELO', message('reject.example'), GOOD, '', 250,
     'pass; dmarc=pass policy=reject spf=pass dkim=none; from=reject.example', False),
    ('no From: the sender of the envelope is shown, SPF fails', message('reject.example').split(
        b'\r\n', 1)[1], EVIL, 'bob@reject.example', 250,
     'fail; dmarc=none spf=fail dkim=none; from=unclear', True),
    ('no From: SPF passes for who is shown', message('reject.example').split(b'\r\n', 1)[1], GOOD,
     'bob@reject.example', 250, 'none; dmarc=none spf=pass dkim=none', False),
    ('a From that two programs may read in two ways',
     message('reject.example', sender=b'bob@reject.example <eve@bare.example>'), GOOD,
     'eve@bare.example', None, None, None),
    ('two senders in From are nobody',
     message('reject.example', sender=b'a@reject.example, b@quarantine.example'), GOOD,
     'bob@reject.example', 250, 'fail; dmarc=none spf=pass dkim=none; from=unclear', True),
    ('one good signature of two', signed(spoilt(signed(message('reject.example'),
                                                       'other.example')), 'reject.example'), EVIL,
     'bob@other.example', 250,
     'pass; dmarc=pass policy=reject spf=fail dkim=pass; from=reject.example', False),
]


@case
def real_records_and_signatures_give_the_verdicts_of_the_table(r):
    failed = []
    for what, data, client, mail_from, want, verdict, marked in TABLE:
        code, text = send(r, data, client, mail_from, 'reject.example')
        got = verdict_of(r, data) if code == 250 else (None, False)
        if want is None:  # taken or not, it is not shown as the domain that was not judged
            good = code != 250 or got[1] or got[0].endswith('from=bare.example')
            print('    %-55s %d %s' % (what, code, got[0]))
            if not good:
                failed.append(what)
            continue
        good = code == want and got == (verdict, marked) and (code != 550 or '5.7.1' in text)
        print('    %-55s %d %s%s' % (what, code, '[unverified] ' if got[1] else '', got[0] or text))
        if not good:
            failed.append(what)
    assert not failed, failed


@case
def what_the_filter_rejects_is_refused_or_flagged(r):
    data = message('bare.example', GTUBE)
    code, text = send(r, data, GOOD, 'bob@bare.example')
    assert code == 550 and '5.7.1' in text, (code, text)


@case
def a_forger_cannot_buy_time_with_slow_name_servers(r):
    forged = message('reject.example')
    for number in range(4):
        forged = KEYS['other.example'].sign(forged, 'd%d.silent.example' % number)
    for data, mail_from in ((forged, 'bob@reject.example'), (forged, 'x@silent.example')):
        start = time.monotonic()
        code, text = send(r, data, EVIL, mail_from, 'silent.example')
        print('    slow name servers: %d %s after %.1f s' % (code, text, time.monotonic() - start))
        assert code >= 400, (code, text)
        assert time.monotonic() - start < 8


ODD = [b'\r\n', b'\r\nbody\r\n', b'X\r\n\r\n', b'Subject: x\r\n\r\n' + b'\xff' * 500 + b'\r\n',
       b'From: \xc3\xbc <\xc3\xbc@reject.example>\r\n\r\nx\r\n', b'From: <>\r\n\r\nx\r\n',
       b'Content-Type: multipart/mixed; boundary=x\r\n\r\n' + b'--x\r\n' * 300,
       b'From: bob@bare.example\r\n\r\n' + b'x' * 70 * 20000 + b'\r\n',
       b'From: bob@bare.example\r\nContent-Type: text/html\r\n\r\n'
       + b''.join(b'<a href="http://h%d.example.net/%s">x</a>\r\n' % (n, b'p' * 60)
                  for n in range(20000))]


@case
def odd_messages_are_judged_like_any_other(r):
    for number, data in enumerate(ODD):
        code, text = send(r, data, GOOD, 'bob@bare.example')
        assert code in (250, 550), (number, code, text)
        if code == 250:
            found = r.inbox.wait()
            with open(found[0], 'rb') as file:
                inner = mail.split(r.user.open(mail.to_crlf(file.read()))[0])[0]
            said = mail.field_value(inner, b'Sealrelay-Verdict').decode()
            print('    odd message %d: %s' % (number, said))
            assert not said.startswith('unchecked'), (number, said)


FORGED = b'Authentication-Results: mx.example.com; dmarc=pass (p=reject) ' \
         b'header.from=quarantine.example\r\n'
BEHIND_A_FRONT = [  # message, client, envelope sender, verdict or None for dropped
    (signed(message('reject.example'), 'reject.example'), GOOD, 'bob@reject.example',
     'pass; dmarc=pass policy=reject spf=pass dkim=pass; from=reject.example'),
    (FORGED + message('quarantine.example'), EVIL, 'bob@quarantine.example',
     'fail; dmarc=fail policy=quarantine spf=fail dkim=none; from=quarantine.example'),
    (FORGED.replace(b'quarantine', b'reject') + message('reject.example'), EVIL,
     'bob@reject.example', None),
    (message('bare.example'), GOOD, 'bob@bare.example',
     'none; dmarc=none spf=pass dkim=none; from=bare.example'),
]


@case
def the_field_of_a_milter_in_the_front_is_believed_and_a_forged_one_is_not(r):
    """Postfix, rspamd as its milter, and the relay behind its queue; XCLIENT stands for clients."""
    path = os.path.join(r.dir, 'etc', 'sealrelayd.conf')
    with open(path, encoding='ascii') as conf:
        before = conf.read()
    with open(path, 'w', encoding='ascii') as conf:
        conf.write(before[:before.index('[verdict]')] + '[verdict]\n'
                   'source = authentication-results\nauthserv_id = mx.example.com\n')
    r.restart('sealrelayd')
    with front.Front(r, 'after-queue') as postfix:
        postfix.postfix('stop')
        judge.run(['postconf', '-c', postfix.etc, '-e',
                   'smtpd_milters=inet:127.0.0.1:%d' % r.rspamd.milter_port,
                   'smtpd_authorized_xclient_hosts=127.0.0.1'])
        postfix.postfix('start')
        front.until(lambda: front.listens(postfix.port), 'the front listens')
        for data, client, mail_from, want in BEHIND_A_FRONT:
            session = mail.Smtp(postfix.port)
            session.command('XCLIENT ADDR=%s HELO=mail.example NAME=[UNAVAILABLE]' % client)
            session.command('EHLO mail.example')
            session.send(mail_from, [r.alias], data)
            session.close()
            postfix.wait_empty()
            if want:
                got = verdict_of(r, data)
                print('    behind a front: %s' % got[0])
                assert got[0] == want, (got, want)
        assert not r.inbox.wait(1, 2) and not postfix.sink.messages()
    with open(path, 'w', encoding='ascii') as conf:
        conf.write(before)
    r.restart('sealrelayd')


@case
def rspamd_may_be_away_and_comes_back(r):
    data = signed(message('reject.example'), 'reject.example')
    r.rspamd.stop()
    code, text = send(r, data, GOOD, 'bob@reject.example')
    assert code == 250, text
    assert verdict_of(r, data) == ('unchecked; reason=rspamd-away', False)
    r.rspamd.start()
    data = signed(message('reject.example'), 'reject.example')
    code, text = send(r, data, GOOD, 'bob@reject.example')
    assert code == 250, text
    assert verdict_of(r, data)[0].startswith('pass; ')


@case
def rspamd_keeps_no_trace_of_a_message(r):
    marker = 'm' + uuid.uuid4().hex
    data = message('bare.example', marker.encode() + b'\r\n',
                   b'%s <%s@bare.example>' % (marker.encode(), marker.encode()))
    data = data.replace(b'Subject: test', b'Subject: ' + marker.encode())
    code, text = send(r, data, GOOD, marker + '@bare.example')
    assert code == 250, text
    r.inbox.wait()
    r.rspamd.stop()
    for folder, _, names in os.walk(r.rspamd.folder):
        for name in names:
            path = os.path.join(folder, name)
            if os.path.isfile(path):
                with open(path, 'rb') as file:
                    assert marker.encode() not in file.read(), path
    r.rspamd.start()


def main(build, cases=None):
    folder = tempfile.mkdtemp(prefix='sealrelay-rspamd.')
    os.chmod(folder, 0o755)
    resolver = Resolver(folder, RECORDS)
    rspamd = None
    try:
        inside = os.path.join(folder, 'rspamd')
        os.mkdir(inside)
        rspamd = Rspamd(inside, resolver)
        rspamd.start()
        with relay.Relay(build, {'RAISED': 'yes'}) as r:
            r.configure('sealrelayd', 'listen', 'xforward = 127.0.0.0/8')
            with open(os.path.join(r.dir, 'etc', 'sealrelayd.conf'), 'a', encoding='ascii') as conf:
                conf.write('[verdict]\nsource = rspamd\nrspamd = http://127.0.0.1:%d\n'
                           % rspamd.port)
            r.restart('sealrelayd')
            r.rspamd = rspamd
            return stage.run(cases or CASES, r, r.inbox.fresh,
                             os.path.join(inside, 'rspamd.log'))
    finally:
        if rspamd:
            rspamd.stop()
        resolver.stop()
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == '__main__':
    sys.exit(main(sys.argv[1], [c for c in CASES if c.__name__ in sys.argv[2:]]))
