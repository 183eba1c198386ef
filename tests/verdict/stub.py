# SPDX-License-Identifier: GPL-3.0-or-later
"""The sender's verdict through the whole relay: what rspamd is asked, what its answer does to the
message, what a rspamd in trouble does, and what a field of the mail system in front is worth. A
script plays rspamd; the verdicts are read from inside the signature by openssl cms."""
import os
import re
import subprocess
import sys
import time
import uuid

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '../support'))
import judge
import mail
import relay
import stage
from stub_rspamd import answer, symbol
from stub_stage import (STUB, arrived, correspondents, message, profile_of, send,
                        set_policy, use_rspamd, use_source, value)

CASES = []
DOMAIN = 'shop.example.net'
PASS = symbol('DMARC_POLICY_ALLOW', DOMAIN, 'reject')
REJECT = symbol('DMARC_POLICY_REJECT', DOMAIN + ' : No valid SPF, No valid DKIM', 'reject')
QUARANTINE = symbol('DMARC_POLICY_QUARANTINE', DOMAIN + ' : No valid SPF', 'quarantine')
SOFTFAIL = symbol('DMARC_POLICY_SOFTFAIL', DOMAIN + ' : No valid SPF', 'none')
NA = symbol('DMARC_NA', DOMAIN)
DNSFAIL = symbol('DMARC_DNSFAIL', DOMAIN + ' : SPF/DKIM temp error')


def case(function):
    CASES.append(function)
    return function


# What rspamd says, the policy, the answer, and how the message is marked.
UNVERIFIED, SPAM = 'unverified', 'spam'
TABLE = [
    # symbols                        action        policy                   answer         verdict, marks
    ([PASS, 'R_SPF_ALLOW', 'R_DKIM_ALLOW'], 'no action', {}, '250',
     'pass; dmarc=pass policy=reject spf=pass dkim=pass; from=shop.example.net', ()),
    ([PASS, 'R_DKIM_ALLOW', 'R_SPF_FAIL', 'DMARC_POLICY_ALLOW_WITH_FAILURES'], 'no action', {},
     '250', 'pass; dmarc=pass policy=reject spf=fail dkim=pass; from=shop.example.net', ()),
    ([], 'no action', {}, '250', 'none; dmarc=none spf=none dkim=none; from=shop.example.net', ()),
    ([NA, 'R_SPF_NA', 'R_DKIM_NA'], 'no action', {'failing': 'refuse'}, '250',
     'none; dmarc=none spf=none dkim=none; from=shop.example.net', ()),
    (['X_PASS', 'DMARC_POLICY_ALLOW_WITH_FAILURES', 'R_SPF_PASS'], 'no action', {}, '250',
     'none; dmarc=none spf=none dkim=none; from=shop.example.net', ()),
    ([symbol('DMARC_POLICY_ALLOW', 'evil.example.org', 'reject')], 'no action', {}, '250',
     'fail; dmarc=none spf=none dkim=none; from=unclear', (UNVERIFIED,)),
    ([symbol('DMARC_NA', 'evil.example.org')], 'no action', {}, '250',
     'fail; dmarc=none spf=none dkim=none; from=unclear', (UNVERIFIED,)),
    ([symbol('DMARC_NA', 'Duplicate From header')], 'no action', {'failing': 'refuse'},
     '550 5.7.1', None, ()),
    ([symbol('DMARC_POLICY_ALLOW', 'example.net', 'quarantine')], 'no action', {}, '250',
     'pass; dmarc=pass policy=quarantine spf=none dkim=none; from=shop.example.net', ()),
    ([symbol('DMARC_POLICY_ALLOW', 'net', 'reject')], 'no action', {}, '250',
     'fail; dmarc=none spf=none dkim=none; from=unclear', (UNVERIFIED,)),
    ([REJECT, 'R_SPF_FAIL', 'R_DKIM_REJECT'], 'no action', {}, '550 5.7.1', None, ()),
    ([REJECT], 'no action', {'failing': 'refuse'}, '550 5.7.1', None, ()),
    ([REJECT], 'no action', {'failing': 'mark'}, '250',
     'fail; dmarc=fail policy=reject spf=none dkim=none; from=shop.example.net', (UNVERIFIED,)),
    ([REJECT], 'no action', {'failing': 'defer'}, '451 4.7.1', None, ()),
    ([QUARANTINE, 'R_SPF_SOFTFAIL', 'R_DKIM_PERMFAIL'], 'no action', {}, '250',
     'fail; dmarc=fail policy=quarantine spf=softfail dkim=permerror; from=shop.example.net',
     (UNVERIFIED,)),
    ([QUARANTINE], 'no action', {'failing': 'refuse'}, '550 5.7.1', None, ()),
    ([SOFTFAIL, 'R_SPF_NEUTRAL', 'R_DKIM_TEMPFAIL'], 'no action', {}, '250',
     'fail; dmarc=fail policy=none spf=neutral dkim=temperror; from=shop.example.net',
     (UNVERIFIED,)),
    ([SOFTFAIL], 'no action', {'failing': 'defer'}, '451 4.7.1', None, ()),
    ([DNSFAIL, 'R_SPF_DNSFAIL'], 'no action', {'failing': 'refuse'}, '250',
     'none; dmarc=temperror spf=temperror dkim=none; from=shop.example.net', ()),
    ([DNSFAIL], 'no action', {'unchecked': 'defer'}, '451 4.7.0', None, ()),
    ([symbol('DMARC_BAD_POLICY', DOMAIN + ' : Multiple policies'), 'R_SPF_PERMFAIL'], 'no action', {'unchecked': 'defer'}, '250',
     'none; dmarc=permerror spf=permerror dkim=none; from=shop.example.net', ()),
    ([PASS], 'reject', {}, '550 5.7.1', None, ()),
    ([PASS], 'reject', {'spam': 'mark'}, '250',
     'pass; dmarc=pass policy=reject spf=none dkim=none; from=shop.example.net', (SPAM,)),
    ([PASS], 'add header', {}, '250',
     'pass; dmarc=pass policy=reject spf=none dkim=none; from=shop.example.net', (SPAM,)),
    ([PASS], 'rewrite subject', {}, '250',
     'pass; dmarc=pass policy=reject spf=none dkim=none; from=shop.example.net', (SPAM,)),
    ([PASS], 'an action of their own', {}, '250',
     'pass; dmarc=pass policy=reject spf=none dkim=none; from=shop.example.net', (SPAM,)),
    ([PASS], 'soft reject', {'spam': 'mark'}, '451 4.7.1', None, ()),
    ([PASS], 'greylist', {}, '250',
     'pass; dmarc=pass policy=reject spf=none dkim=none; from=shop.example.net', ()),
    ([REJECT], 'soft reject', {}, '550 5.7.1', None, ()),
    ([QUARANTINE], 'add header', {}, '250',
     'fail; dmarc=fail policy=quarantine spf=none dkim=none; from=shop.example.net',
     (UNVERIFIED, SPAM)),
]


def check_marks(outer, inner, marks, score):
    shown = value(outer, 'From')
    want = 'Bob - bob at shop.example.net'
    want = '"[unverified] %s"' % want if UNVERIFIED in marks else '"%s"' % want
    assert re.sub(r'\s+', ' ', shown).startswith(want + ' <r-'), shown
    flag = 'YES' if SPAM in marks else None
    assert value(outer, 'X-Spam-Flag') == flag and value(inner, 'X-Spam-Flag') == flag
    line = 'yes; score=%.2f; required=15.00' % score if SPAM in marks else None
    assert value(inner, 'Sealrelay-Spam') == line, value(inner, 'Sealrelay-Spam')
    assert value(outer, 'Sealrelay-Spam') is None and value(outer, 'Sealrelay-Verdict') is None


@case
def every_answer_of_rspamd_meets_every_policy_as_the_table_says(r):
    for number, (symbols, action, policy, want, verdict, marks) in enumerate(TABLE):
        try:
            STUB.set(answer(*symbols, action=action, score=number + 0.25))
            set_policy(r, **policy)
            data = message()
            code, text = send(r, data)
            assert ('%d %s' % (code, text[4:])).startswith(want), (code, text)
            if code != 250:
                continue
            outer, inner, _ = arrived(r, data)
            assert value(inner, 'Sealrelay-Verdict') == verdict, value(inner, 'Sealrelay-Verdict')
            check_marks(outer, inner, marks, number + 0.25)
        except (AssertionError, judge.Wrong) as failure:
            raise AssertionError('row %d: %s' % (number, failure)) from failure
    assert not r.inbox.wait(1, 1), 'refused mail arrived'
    set_policy(r)


ODD_FROM = [  # From lines, symbols, is the sender that is shown in doubt?
    (b'', ['R_SPF_ALLOW', symbol('DMARC_NA', 'No From header')], False),
    (b'', ['R_SPF_SOFTFAIL', symbol('DMARC_NA', 'No From header')], True),
    (b'', ['R_SPF_FAIL'], True),
    (b'', [], True),
    (b'From: bob@shop.example.net, eve@evil.example.org\r\n', [PASS], True),
    (b'From: eve@evil.example.org, bob@shop.example.net\r\n', [], True),
    (b'From: nobody usable\r\n', ['R_SPF_NEUTRAL'], True),
    (b'From: bob@localhost\r\n', [symbol('DMARC_NA', 'localhost')], True),
    (b'From: =?utf-8?Q?Bob?= (c) <bob@SHOP.example.net>\r\n', [PASS], False),
]


@case
def whoever_is_shown_was_judged_or_is_marked(r):
    """DMARC is asked about From: without one, or with several, it must not be got round."""
    for number, (line, symbols, doubtful) in enumerate(ODD_FROM):
        STUB.set(answer(*symbols))
        data = re.sub(b'^From: [^\r]*\r\n', line, message())
        code, text = send(r, data)
        assert code == 250, (number, code, text)
        outer, inner, _ = arrived(r, data)
        marked = '[unverified]' in value(outer, 'From')
        said = value(inner, 'Sealrelay-Verdict')
        assert marked == doubtful and said.endswith('; from=unclear') == doubtful, (number, said)
        assert said.startswith('fail; ') == doubtful, (number, said)


@case
def rspamd_is_asked_about_the_client_that_the_front_names(r):
    STUB.set()
    data = message()
    rcpts = [r.alias, 'two@relay.example.com']
    code, text = send(r, data, rcpts,
                      'NAME=mail.client.example ADDR=192.0.2.77 HELO=helo.client.example',
                      port=r.facts['lmtp_port'])
    assert code == 250, text
    assert len(STUB.asked) == 1, 'a message is judged once'
    asked = STUB.asked[0]
    headers = asked['headers']
    assert asked['path'] == '/checkv2' and asked['body'] == data
    assert headers['IP'] == '192.0.2.77' and headers['Helo'] == 'helo.client.example'
    assert headers['Hostname'] == 'mail.client.example'
    assert headers['From'] == '<bounce@shop.example.net>'
    assert headers.get_all('Rcpt') == ['<%s>' % rcpt for rcpt in rcpts]
    assert headers['User'] is None and headers['Password'] is None and headers['Expect'] is None
    assert text.endswith('queued as ' + headers['Queue-Id']), (text, headers['Queue-Id'])
    assert len(r.inbox.wait(2)) == 2
    code, text = send(r, message(), xforward='ADDR=IPV6:2001:db8::7 HELO=[UNAVAILABLE]',
                      mail_from='')
    assert code == 250, text
    headers = STUB.asked[1]['headers']
    assert headers['IP'] == '2001:db8::7' and headers['From'] == '<>' and headers['Helo'] is None
    assert len(r.inbox.wait(1)) == 1


@case
def connections_to_rspamd_are_kept(r):
    STUB.set()
    for _ in range(4):
        assert send(r, message())[0] == 250
    ports = {asked['port'] for asked in STUB.asked}
    assert len(STUB.asked) == 4 and len(ports) == 1, ports
    assert len(r.inbox.wait(4)) == 4


TROUBLE = [('slow', 'rspamd-slow'), ('garbage', 'garbled'), ('not http', 'garbled'),
           ('huge', 'garbled'), ('closed', 'rspamd-away'), (403, 'rspamd-away'),
           (500, 'rspamd-away'), ('redirect', 'rspamd-away'), ('away', 'rspamd-away')]


@case
def whatever_is_wrong_with_rspamd_is_unchecked_and_said_or_deferred(r):
    for trouble, reason in TROUBLE:
        try:
            STUB.set(answer(PASS), trouble)
            if trouble == 'away':
                STUB.stop()
            set_policy(r)
            data = message()
            start = time.monotonic()
            code, text = send(r, data)
            assert code == 250 and time.monotonic() - start < 10, (code, text)
            outer, inner, _ = arrived(r, data)
            assert value(inner, 'Sealrelay-Verdict') == 'unchecked; reason=' + reason, \
                value(inner, 'Sealrelay-Verdict')
            check_marks(outer, inner, (), 0)
            set_policy(r, unchecked='defer')
            code, text = send(r, data)
            assert code == 451 and '4.7.0' in text, (code, text)
            said = r.sealctl('status')['relay']['verdict']
            assert said['source'] == 'rspamd' and said['last'] == reason, said
            assert not any(a['path'] == '/elsewhere' for a in STUB.asked), 'followed a redirect'
        except (AssertionError, judge.Wrong) as failure:
            raise AssertionError('%s: %s' % (trouble, failure)) from failure
    assert not r.inbox.wait(1, 1), 'deferred mail arrived'
    STUB.start()
    STUB.set(answer(PASS))
    data = message()
    code, text = send(r, data)  # the relay was not restarted, the policy is still to defer
    assert code == 250, text
    assert value(arrived(r, data)[1], 'Sealrelay-Verdict').startswith('pass; '), 'back again'
    set_policy(r)


@case
def a_hanging_rspamd_does_not_pile_up_sessions(r):
    import threading
    STUB.set(answer(PASS), 'slow')
    took = []

    def one():
        start = time.monotonic()
        code, _ = send(r, message())
        took.append((code, time.monotonic() - start))

    threads = [threading.Thread(target=one) for _ in range(40)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    STUB.set()
    assert len(took) == 40 and all(code in (250, 451) for code, _ in took), took
    assert max(seconds for _, seconds in took) < 20, max(seconds for _, seconds in took)
    r.inbox.wait(sum(code == 250 for code, _ in took))


@case
def refused_mail_makes_neither_key_nor_alias(r):
    r.sealctl('alias', 'add', '*@catch.relay.example.com', 'alice')
    before = correspondents(r), len(r.sealctl('alias', 'list'))
    for reply in (answer(REJECT), answer(action='reject'), answer(action='soft reject')):
        STUB.set(reply)
        stranger = uuid.uuid4().hex.encode() + b'@shop.example.net'
        code, text = send(r, message(stranger, extra=b'Cc: c-' + stranger + b'\r\n'))
        assert code >= 400, (code, text)
        code, text = send(r, message(stranger), ['new@catch.relay.example.com'])
        assert code >= 400, (code, text)
    assert (correspondents(r), len(r.sealctl('alias', 'list'))) == before


@case
def behind_a_queue_refused_mail_is_dropped_and_counted(r):
    for reply, dropped in ((answer(REJECT), 1), (answer(action='reject'), 1),
                           (answer(action='soft reject'), 0)):
        STUB.set(reply)
        before = r.sealctl('status')['relay']['receive']['dropped']
        code, text = send(r, message(), port=r.facts['lmtp_port'])
        assert code == (250 if dropped else 451), (code, text)
        after = r.sealctl('status')['relay']['receive']['dropped']
        assert after - before == dropped, (before, after)
    assert not r.inbox.wait(1, 1)


FORGED = (b'Sealrelay-Verdict: pass; dmarc=pass\r\nSealrelay-Spam: no\r\nX-Spam-Flag: NO\r\n'
          b'X-Spam-Status: No\r\nAuthentication-Results: relay.example.com; dmarc=pass\r\n'
          b'Sealrelay-Notice: all is well\r\nHP-Outer: Sealrelay-Verdict: pass\r\n'
          b'ARC-Authentication-Results: i=1; x; dmarc=pass\r\n')


@case
def a_strangers_own_verdict_stays_behind(r):
    STUB.set(answer(QUARANTINE))
    data = message(before=FORGED, extra=FORGED)
    assert send(r, data)[0] == 250
    outer, inner, _ = arrived(r, data)
    names = [name.lower() for name, _ in mail.fields(outer + inner)]
    assert names.count(b'sealrelay-verdict') == 1, names
    for forged in (b'sealrelay-spam', b'x-spam-flag', b'x-spam-status', b'sealrelay-notice',
                   b'authentication-results', b'arc-authentication-results'):
        assert forged not in names, forged
    assert b'HP-Outer: Sealrelay-Verdict' not in inner and b'dmarc=pass' not in outer + inner


@case
def nothing_of_an_answer_gets_into_the_header_but_known_words(r):
    nasty = 'shop.example.net\r\nX-Injected: yes'
    STUB.set({**answer(symbol('DMARC_POLICY_ALLOW', nasty, 'reject\r\nX-Injected: yes'),
                       action='add header\r\nX-Injected: yes'), 'score': 1e300})
    data = message()
    assert send(r, data)[0] == 250
    outer, inner, _ = arrived(r, data)
    assert b'injected' not in (outer + inner).lower()
    assert value(inner, 'Sealrelay-Spam') == 'yes; score=9999.99; required=15.00'
    assert value(inner, 'Sealrelay-Verdict').startswith('fail; dmarc=none')


@case
def a_sender_certificate_says_nothing_of_the_sender_whatever_the_verdict(r):
    for number, symbols in enumerate(([PASS, 'R_SPF_ALLOW'], [QUARANTINE], [])):
        STUB.set(answer(*symbols))
        local = 'carol%dx' % number
        data = message(b'Carol Customer <%s@shop.example.net>' % local.encode())
        assert send(r, data)[0] == 250
        outer, _, signed = arrived(r, data)
        reverse = judge.from_address(outer)
        certs = judge.run(['openssl', 'pkcs7', '-inform', 'DER', '-print_certs'],
                          judge.signed_parts(signed)[1]).decode()
        texts = [judge.run(['openssl', 'x509', '-noout', '-text'], pem.encode()).decode()
                 for pem in re.findall(r'-----BEGIN.*?-----END CERTIFICATE-----', certs, re.S)]
        leaf = next(text for text in texts if 'email:' + reverse in text)
        assert re.search(r'Subject: CN = %s\n' % re.escape(reverse), leaf), leaf
        assert re.search(r'Subject Alternative Name:[^\n]*\n\s+email:%s\n' % re.escape(reverse),
                         leaf), leaf
        for word in (local, 'Carol', 'Customer', 'shop.example.net', 'dmarc', 'verif'):
            assert word.lower() not in leaf.lower(), word


@case
def log_and_status_name_no_sender(r):
    STUB.set(answer(QUARANTINE))
    marker = 'm' + uuid.uuid4().hex
    data = message(marker.encode() + b'@shop.example.net')
    assert send(r, data, mail_from=marker + '@shop.example.net')[0] == 250
    arrived(r, data)
    with open(os.path.join(r.dir, 'log', 'sealrelayd.log'), encoding='utf-8') as log:
        text = log.read()
    assert marker not in text and DOMAIN not in text
    assert re.search(r'flow\.verdict.*dmarc=fail policy=quarantine', text)


@case
def the_policy_is_shown_with_the_profile_and_wrong_words_are_refused(r):
    profile = profile_of(r)
    set_policy(r, failing='mark', spam='mark')
    shown = r.sealctl('profile', 'show', profile)['sender_policy']
    assert shown == {'failing': 'mark', 'spam': 'mark', 'unchecked': 'accept'}, shown
    ctl = r.facts['sealctl'].split() + ['profile', 'policy']
    for words in ([profile, '--failing', 'perhaps'], [profile, '--spam', 'defer'],
                  ['a' * 16, '--spam', 'mark'], ['nonsense']):
        done = subprocess.run(ctl + words, capture_output=True, check=False)
        assert done.returncode, words
    assert r.sealctl('profile', 'policy', profile)['failing'] == 'mark'
    set_policy(r)


@case
def check_config_asks_rspamd(r):
    def check():
        return subprocess.run(r.command('sealrelayd') + ['--check-config'], capture_output=True,
                              check=False)
    STUB.set()
    done = check()
    assert done.returncode == 0, done.stderr
    STUB.stop()
    done = check()
    STUB.start()
    assert done.returncode == 78 and b'verdict' in done.stderr, (done.returncode, done.stderr)


@case
def a_password_goes_to_rspamd_and_nowhere_else(r):
    path = r.file('rspamd.password', b'open sesame\n')
    os.chmod(path, 0o600)
    use_source(r, 'source = rspamd', 'rspamd = http://127.0.0.1:%d' % STUB.port,
               'password_file = ' + path)
    STUB.set()
    data = message()
    assert send(r, data)[0] == 250
    arrived(r, data)
    assert STUB.asked[0]['headers']['Password'] == 'open sesame'
    assert not r.found_in_clear(b'open sesame')
    os.chmod(path, 0o644)
    try:
        r.restart('sealrelayd')
        taken = True
    except relay.Died:
        taken = False
    os.chmod(path, 0o600)
    assert not taken, 'a password that others may read was taken'


FRONT = b'Received: from client.example (client.example [192.0.2.7])\r\n\tby mx.example.com ' \
        b'(Postfix) with ESMTP id 1; Sun, 22 Nov 2026 10:00:00 +0000\r\n'
LATER = b'Received: from inside by client.example; Sun, 22 Nov 2026 09:59:00 +0000\r\n'
GOOD = b'Authentication-Results: mx.example.com;\r\n\tdkim=pass header.d=shop.example.net;\r\n' \
       b'\tspf=pass smtp.mailfrom=shop.example.net;\r\n' \
       b'\tdmarc=pass (policy=reject) header.from=shop.example.net\r\n'
BAD = GOOD.replace(b'dmarc=pass (policy=reject)', b'dmarc=fail (p=reject dis=none)')
OTHER = GOOD.replace(b'mx.example.com', b'mx.elsewhere.example')
BROKEN = b'Authentication-Results: mx.example.com; dmarc=(\r\n'
SILENT = b'Authentication-Results: mx.example.com; none\r\n'
PASSED = 'pass; dmarc=pass policy=reject spf=pass dkim=pass; from=shop.example.net'
FIELDS = [  # what stands above From, the answer, the verdict
    (GOOD + FRONT, '250', PASSED),
    (FRONT + GOOD, '250', PASSED),
    (FRONT + GOOD + LATER, '250', PASSED),
    (GOOD + FRONT + BAD + LATER, '250', PASSED),
    (BAD + FRONT, '550 5.7.1', None),
    (BAD + GOOD + FRONT, '550 5.7.1', None),
    (FRONT + BAD + GOOD, '550 5.7.1', None),
    (FRONT + LATER + GOOD, '250', 'unchecked; reason=no-field'),
    (FRONT + b'Subject: between\r\n' + GOOD, '250', 'unchecked; reason=no-field'),
    (FRONT, '250', 'unchecked; reason=no-field'),
    (OTHER + FRONT, '250', 'unchecked; reason=no-field'),
    (OTHER + GOOD + FRONT, '250', PASSED),
    (BROKEN + GOOD + FRONT, '250', 'unchecked; reason=garbled'),
    (SILENT + FRONT, '250', 'none; dmarc=none spf=none dkim=none; from=shop.example.net'),
]


@case
def a_field_of_the_front_is_believed_where_only_the_front_can_write_it(r):
    use_source(r, 'source = authentication-results', 'authserv_id = mx.example.com')
    set_policy(r)
    for number, (before, want, verdict) in enumerate(FIELDS):
        try:
            data = message(before=before)
            code, text = send(r, data)
            assert ('%d %s' % (code, text[4:])).startswith(want), (code, text)
            if code != 250:
                continue
            outer, inner, _ = arrived(r, data)
            assert value(inner, 'Sealrelay-Verdict') == verdict, value(inner, 'Sealrelay-Verdict')
            assert b'authentication-results' not in (outer + inner).lower()
        except (AssertionError, judge.Wrong) as failure:
            raise AssertionError('row %d: %s' % (number, failure)) from failure
    data = message(b'Eve <eve@evil.example.org>', before=GOOD + FRONT)
    assert send(r, data)[0] == 250
    _, inner, _ = arrived(r, data)
    assert value(inner, 'Sealrelay-Verdict') == \
        'fail; dmarc=none spf=pass dkim=pass; from=unclear'
    set_policy(r, unchecked='defer')
    code, text = send(r, message(before=FRONT))
    assert code == 451 and '4.7.0' in text, text
    set_policy(r)


@case
def without_a_source_every_message_says_that_it_is_unchecked(r):
    use_source(r, 'source = none')
    data = message(before=GOOD + FRONT)
    assert send(r, data)[0] == 250
    assert value(arrived(r, data)[1], 'Sealrelay-Verdict') == 'unchecked'


def main(build, cases=None):
    with relay.Relay(build, {'RAISED': 'yes'}) as r:
        r.configure('sealrelayd', 'listen', 'xforward = 127.0.0.0/8')
        r.sealctl('alias', 'add', 'two@relay.example.com', 'alice')
        use_rspamd(r)
        return stage.run(cases or CASES, r, r.inbox.fresh,
                         os.path.join(r.dir, 'log', 'sealrelayd.log'))


if __name__ == '__main__':
    sys.exit(main(sys.argv[1], [c for c in CASES if c.__name__ in sys.argv[2:]]))
