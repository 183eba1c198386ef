# SPDX-License-Identifier: GPL-3.0-or-later
"""Next hops that misbehave, behind a whole relay: each row of the table is a next hop of its own
with messages for it, all at the same time. Every message ends as the table says, exactly once and
sealed; then all next hops behave, and what was to be tried again arrives. No program is restarted.

Run with: next_hop.py BUILD [WORD-OF-A-CASE...]"""
import os
import re
import sys
import time
import uuid

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '../support'))
import forward
import judge
import mail
import relay
from misbehaving import Hole, Hop, Sink, certificates, scripted

SMALL, BIG = 0, 1000000  # big: beyond what the relay lets the kernel hold
PER_USER = 15  # mailboxes of one user
TIMEOUTS = ('transfer_timeout_s = 3', 'command_timeout_s = 6', 'final_timeout_s = 6',
            'connect_timeout_s = 4', 'worker_deadline_s = 14')
# No outcome may take longer than the deadline of a session, and the grace for it to be killed.
SECONDS = 40


def row(what, server, outcomes, result, size=SMALL, **more):
    """outcomes: a letter a message, d(one), r(etry), f(ailed). result: in what the operator is
    shown of each that did not arrive, or the next hop's queue id of the first that did."""
    return dict(what=what, server=server, outcomes=outcomes, result=result, size=size, **more)


def sink(*modes):
    return ('smtp-sink',) + modes


TLS = {'cert': 'good'}
TABLE = [
    # out01
    row('nobody listens', 'refused', 'r', 'no answer (connect, at'),
    row('SYN goes unanswered', 'blackhole', 'r', 'no answer (connect, at'),
    # out02
    row('greeting 421', 'greeting-421', 'rr', '421 too busy'),
    row('greeting 450', 'greeting-450', 'rr', 'later'),
    row('greeting 554', 'greeting-554', 'rr', 'go away'),
    row('no greeting', 'greeting-none', 'r', 'silent'),
    row('a byte of a reply a second', 'ehlo-drip', 'r', 'too slow'),
    row('greeting twice', 'greeting-twice', 'r', 'out-of-step'),
    # out03
    row('EHLO 500, then HELO', 'ehlo-500', 'dd', None),
    row('EHLO 554', 'ehlo-554', 'rr', 'no answer'),
    row('EHLO reply of 4,097 bytes a line', 'ehlo-4097', 'r', 'long-reply'),
    row('EHLO reply of 60 kB', 'ehlo-huge', 'r', 'long-reply'),
    row('MAIL: 250 behind byte 1,024 of a line', 'mail-long-line', 'rr', 'long-reply'),
    row('RCPT: 550 with a 250 in its tail', 'rcpt-long-line', 'rr', 'long-reply'),
    row('dot: line of 4,000 bytes', 'dot-long-line', 'r', 'long-reply', twice=True),
    row('MAIL: 250 without text', 'mail-no-text', 'r', ''),
    row('dot: 250 without text', 'dot-no-text', 'r', '', twice=True),
    row('no reply but a line', 'reply-garbage', 'r', 'bad-reply'),
    row('two codes in one reply', 'reply-codes-differ', 'r', 'bad-reply'),
    row('every byte value in a reply', 'reply-binary', 'r', 'bad-reply'),
    # out04
    row('MAIL ok, 452, 550, ok', 'mail-mixed', 'drfd', '452 full|550 no'),
    row('RCPT ok, 450, 550, ok', 'rcpt-mixed', 'drfd', '450 4.2.0 busy|550 5.1.1'),
    row('the same, pipelined', 'rcpt-mixed-pipelining', 'drfd', '450 4.2.0 busy|550 5.1.1'),
    row('MAIL 530, TLS wanted', 'mail-530', 'r', '530 5.7.0'),
    # out05
    row('closed at EHLO', 'ehlo-drop', 'r', 'dropped'),
    row('closed at MAIL', 'mail-drop', 'rr', 'dropped'),
    row('closed at RCPT', 'rcpt-drop', 'rr', 'dropped'),
    row('closed behind 354', 'data-drop', 'rr', 'dropped'),
    row('closed half way', 'body-drop', 'r', 'no answer', BIG),
    row('reset half way', 'body-reset', 'r', 'no answer', BIG),
    row('reset at DATA', 'data-reset', 'rr', 'no answer'),
    row('closed behind the dot', 'dot-drop', 'rr', 'dropped'),
    row('reset behind the dot', 'dot-reset', 'rr', 'no answer'),
    row('silent behind the dot', 'dot-silent', 'r', 'silent, at dot'),
    # out06
    row('250 to the dot, then reset', 'dot-blank-reset', 'd', None),
    row('250 to the dot, reset at QUIT', 'quit-reset', 'dd', None),
    row('250 to the dot, QUIT unanswered', 'quit-silent', 'd', None),
    # out07
    row('BDAT 452, then 503', 'bdat-452-503', 'r', '452 disk full', 200000),
    row('BDAT 503 alone', 'bdat-503', 'r', '503'),
    # out08
    row('DATA: stalls, then goes on', 'stall', 'r', 'stall, at data', BIG),
    row('BDAT: stalls, then goes on', 'bdat-stall', 'r', 'stall, at data', BIG),
    row('smtp-sink -H 8 -T 32768', sink('-H', '8', '-T', '32768'), 'rr', 'stall, at', BIG),
    row('TLS 1.3: stalls, then goes on', 'tls13-stall', 'r', 'stall, at data', BIG, **TLS),
    row('reads a byte a second', 'read-drip', 'r', 'silent', BIG),
    row('reads 60 kB a second, too much of it', 'read-slow', 'r', 'too slow', 2 * BIG),
    row('reads 60 kB a second', 'read-slow', 'd', None, 200000),
    # out10, out12
    row('STARTTLS: replies behind the 220', 'starttls-injected', 'rr', 'injected', **TLS),
    row('STARTTLS: replies behind the EHLO', 'starttls-injected-early', 'r', 'no answer', **TLS),
    row('STARTTLS: replies before the handshake', 'starttls-injected-late', 'r', 'no answer',
        **TLS),
    row('STARTTLS required, not offered', 'good', 'r', 'STARTTLS is not offered', **TLS),
    row('STARTTLS required, 454', 'starttls-refused', 'r', 'not now', **TLS),
    row('certificate of another name', 'starttls', 'r', 'hostname mismatch', cert='wrong'),
    row('certificate expired', 'starttls', 'r', 'expired', cert='expired'),
    row('certificate self-signed', 'starttls', 'r', 'self-signed', cert='self'),
    row('TLS 1.1 alone', 'tls11', 'r', '1.2 or 1.3|injected', **TLS),
    # out11
    row('TLS 1.2 alone', 'tls12', 'ddd', None, **TLS),
    row('TLS 1.3 alone', 'tls13', 'ddd', None, **TLS),
    row('TLS 1.3 with twenty tickets, big', 'tls13-many-tickets', 'd', None, BIG, **TLS),
    # out13
    row('CHUNKING, 8BITMIME, SMTPUTF8, DSN, AUTH', 'everything', 'dd', None, 100000),
    row('no extension at all', 'bare', 'd', None),
    row('SIZE 1000', 'size-1000', 'f', '552 5.3.4'),
    # out14
    row('RCPT 550, yet 354 and 250', 'rcpt-550-data-354-250', 'f', '550 no'),
    row('RCPT 450, yet 354 and 250', 'rcpt-450-data-354-250', 'r', '450 no'),
    row('DATA 250 in place of 354', 'data-250', 'r', 'no answer'),
    # out15
    row('421 at EHLO', 'ehlo-421', 'r', '421 closing'),
    row('421 at STARTTLS', 'starttls-421', 'r', '421 closing', **TLS),
    row('ok, then 421 at MAIL', 'mail-421', 'drr', '421 closing|no answer'),
    row('ok, then 421 at RCPT', 'rcpt-421', 'drr', '421 closing|no answer'),
    row('ok, then 421 at DATA', 'data-421', 'drr', '421 closing|no answer'),
    row('ok, then 421 at the dot', 'dot-421-drop', 'drr', '421 closing|no answer'),
    row('250 and 421 at the dot', 'dot-250-421', 'dd', None),
    # what strangers write
    row('RCPT: control characters, 8-bit, addresses', 'rcpt-many-lines', 'f', '550 5.1.1 see'),
    row('dot: three lines, control characters', 'dot-many-lines', 'd', '4XyZ1b2c3dz9'),
    row('Exim', 'dot-exim', 'd', '1rXyZ-000Abc-2d'),
    row('OpenSMTPD', 'dot-opensmtpd', 'd', '1a2b3c4d'),
    row('an address for a queue id', 'dot-hostile-id', 'd', '-'),
    # Postfix's own misbehaving server
    row('smtp-sink', sink(), 'ddd', None),
    row('smtp-sink, pipelined, -r .', sink('-r', '.'), 'rr', '450 4.3.0'),
    row('smtp-sink -f RCPT', sink('-f', 'RCPT'), 'ff', '500 5.3.0'),
    row('smtp-sink -q DATA', sink('-q', 'DATA'), 'rr', 'no answer'),
    row('smtp-sink -Q RCPT', sink('-Q', 'RCPT'), 'rr', '421|no answer'),
]


# ---- the stage ----

class Case:
    """A row, its next hop, its messages."""

    def __init__(self, number, spec, folder):
        self.spec = spec
        self.name = spec['what']
        self.domain = 'hop%d.example.org' % number
        self.mailbox = 'alice@' + self.domain
        self.alias = 'case%d@relay.example.com' % number
        self.folder = folder
        self.sent = []  # (id, marker, original)
        self.seconds = None
        self.server = self.make(spec['server'])

    def make(self, kind):
        if kind == 'refused':
            return Hole(False)
        if kind == 'blackhole':
            return Hole(True)
        if isinstance(kind, tuple):
            return Sink(kind[1:], os.path.join(self.folder, self.domain))
        cert = self.spec.get('cert')
        return Hop(kind, *(self.pair(cert) if cert else ()))

    def pair(self, cert):
        return [os.path.join(self.folder, cert + end) for end in ('.pem', '.key')]

    def section(self):
        tls = ''
        if 'cert' in self.spec:
            tls = 'tls = required\nca_file = %s\n' % os.path.join(self.folder, 'ca.pem')
        return '[next-hop %s]\nhost = %s\nport = %d\nsessions = 1\n%s' % (
            self.domain, 'localhost' if tls else '127.0.0.1', self.server.port, tls)

    def behave(self):
        usual = 'starttls' if 'cert' in self.spec else 'good'
        self.server.behave(scripted.SCENARIOS[usual],
                           *(self.pair('good') if 'cert' in self.spec else (None, None)))


def enrol(r, cases):
    """Users whose mailboxes are the cases' domains. A code goes to each; the usual next hop takes
    the one for its own domain only."""
    users = {}
    for start in range(0, len(cases), PER_USER):
        share = cases[start:start + PER_USER]
        name = 'user%d' % start
        first = name + '@home.example.com'
        r.sealctl('user', 'add', name, first, *[case.mailbox for case in share])
        _, user, _ = r.profile(name, '--key', 'p-256')
        for case in share:
            r.sealctl('alias', 'add', case.alias, name, '--mailbox', case.mailbox)
            users[case] = user
    return users


def configure(r, cases):
    r.configure('sealdeliver', 'deliver', *TIMEOUTS)
    r.configure('sealrelayd', 'queue', 'retry_first = 30m')
    with open(os.path.join(r.dir, 'etc', 'sealrelayd.conf'), 'a', encoding='ascii') as file:
        file.write(''.join(case.section() for case in cases))
    r.stop('sealdeliver')
    r.restart('sealrelayd')


def content(marker, size):
    body = b'The marker is %s.\r\n' % marker
    line = b'another line of %s, sixty bytes long or so\r\n' % marker
    return body + line * (size // len(line))


def send(r, case):
    for n in range(len(case.spec['outcomes'])):
        marker = uuid.uuid4().hex.encode()
        data = forward.message(body=content(marker, case.spec['size']), ident=marker)
        answer = mail.send_retrying(r.smtp_port, 'bob@shop.example.net', case.alias, data, 15)
        found = re.search(r'queued as ([a-z2-7]{16})', answer)
        assert found, answer
        case.sent.append((found.group(1), marker, data))


def entries(r):
    return {entry['id']: entry for entry in r.sealctl('queue', 'list')}


def settled(entry, since):
    """Was it tried, and is it not any more?"""
    return (entry is None or entry['state'] in ('failed', 'delivered') or
            (entry['state'] == 'ready' and entry['next_attempt'] > since + 600))


def watch(r, cases, since):
    """Until every message has its outcome; each case's seconds."""
    begun = time.monotonic()
    open_cases = list(cases)
    while open_cases and time.monotonic() - begun < SECONDS:
        time.sleep(0.3)
        now = entries(r)
        for case in list(open_cases):
            if all(settled(now.get(ident), since) for ident, _, _ in case.sent):
                case.seconds = time.monotonic() - begun
                open_cases.remove(case)
    return entries(r)


# ---- the judgement ----

def log_lines(r, ident):
    with open(os.path.join(r.dir, 'log', 'sealrelayd.log'), encoding='utf-8',
              errors='replace') as log:
        return [line for line in log if ' id=%s ' % ident in line and 'stage=deliver.' in line]


LETTERS = {'done': 'd', 'retry': 'r', 'failed': 'f'}


def outcome_of(r, entry, ident):
    """What queue and log say, which must agree: (letter, text)."""
    ended = [line for line in log_lines(r, ident) if ' outcome=' in line and
             ' hop_id=' in line and 'delivery service is away' not in line]
    tried = [line for line in ended if ' fault=none' in line or ' tried=' in line][-1:]
    if not tried:
        return '?', 'no line in the log'
    letter = LETTERS[re.search(r' outcome=(\w+)', tried[0]).group(1)]
    if letter == 'd':
        text = re.search(r' hop_id=(\S+)', tried[0]).group(1)
        return ('d' if entry is None or entry['state'] == 'delivered' else '?'), text
    if entry is None or entry['state'] != {'r': 'ready', 'f': 'failed'}[letter]:
        return '?', 'log says %s, queue %r' % (letter, entry)
    return letter, entry['last_result']


def check_outcomes(r, case, now):
    problems = []
    texts = []
    for (ident, _, _), wanted in zip(case.sent, case.spec['outcomes']):
        letter, text = outcome_of(r, now.get(ident), ident)
        texts.append(text)
        if letter != wanted:
            problems.append('%s: %s, wanted %s: %s' % (ident, letter, wanted, text))
        elif case.spec['result'] is not None:
            parts = case.spec['result'].split('|')
            hit = any(text == p if wanted == 'd' and 'r' not in case.spec['outcomes'] and
                      'f' not in case.spec['outcomes'] else p in text for p in parts)
            if not hit and (wanted != 'd' or set(case.spec['outcomes']) == {'d'}):
                problems.append('%s: says %r' % (ident, text))
        if '@' in text or not re.fullmatch(r'[ -~]*', text):
            problems.append('%s: an address or a control character in %r' % (ident, text))
    if case.seconds is None:
        problems.append('no outcome within %d s' % SECONDS)
    return problems, texts


def opened(user, sealed):
    """The message inside what arrived; Wrong where it is not sealed."""
    header, _ = mail.split(sealed)
    if b'application/pkcs7-mime' not in (mail.field_value(header, b'Content-Type') or b''):
        raise judge.Wrong('what arrived is not sealed')
    return user.open(sealed)[0]


def count_arrived(case, user):
    """{marker: times}, of whole messages that open and are what was sent."""
    counts = {}
    for sealed in case.server.arrived():
        entity = opened(user, sealed)
        for ident, marker, original in case.sent:
            if mail.split(original)[1] == mail.split(entity)[1]:
                counts[marker] = counts.get(marker, 0) + 1
                break
        else:
            raise judge.Wrong('a message arrived that was not sent, or not whole')
    return counts


def check_arrivals(case, user):
    """Behind the recovery: everything but what failed, exactly once; where the next hop had the
    whole message and its answer was lost, perhaps twice."""
    problems = []
    try:
        counts = count_arrived(case, user)
    except judge.Wrong as wrong:
        return [str(wrong)]
    for (_, marker, _), letter in zip(case.sent, case.spec['outcomes']):
        got = counts.get(marker, 0)
        most = 2 if case.spec.get('twice') and letter == 'r' else 1
        if letter == 'f' and got:
            problems.append('failed, and arrived')
        elif letter != 'f' and not 1 <= got <= most:
            problems.append('%s arrived %d times' % (letter, got))
    return problems


def check_secrets(r, cases):
    """No byte in clear on any line, none on disk; no address and no subject in a log."""
    problems = []
    for case in cases:
        if isinstance(case.server, Hop):
            raw = b''.join(case.server.raw)
            problems += ['%s: in clear on the line' % case.name
                         for _, marker, _ in case.sent if marker in raw.replace(
                             b'Message-ID: <' + marker, b'').replace(b'References: <' + marker, b'')]
    marker = cases[0].sent[0][1]
    problems += ['in clear in ' + path for path in r.found_in_clear(b'marker is ' + marker)]
    for name in ('sealrelayd.log', 'sealdeliver.log'):
        with open(os.path.join(r.dir, 'log', name), encoding='utf-8', errors='replace') as log:
            for line in log:
                if '@' in line or 'Subject' in line or 'marker' in line:
                    problems.append('%s: %s' % (name, line.strip()))
                if 'AddressSanitizer' in line or 'runtime error' in line:
                    problems.append('%s: %s' % (name, line.strip()))
    return problems


def recover(r, cases):
    for entry in entries(r).values():
        if entry['state'] == 'failed':
            r.sealctl('queue', 'drop', entry['id'], '--yes')  # a flush would try it again
    for case in cases:
        case.behave()
    r.sealctl('queue', 'flush')
    end = time.monotonic() + SECONDS
    while time.monotonic() < end and any(e['state'] in ('ready', 'active') and e['hop']
                                         for e in entries(r).values()):
        time.sleep(0.3)


def run_table(r, table):
    folder = os.path.join(r.folder, 'hops')
    os.mkdir(folder)
    os.chmod(folder, 0o755)
    certificates(folder)
    cases = [Case(n, spec, folder) for n, spec in enumerate(table)]
    try:
        return run_cases(r, cases)
    finally:
        for case in cases:
            if isinstance(case.server, Sink):
                case.server.end()


def run_cases(r, cases):
    users = enrol(r, cases)
    configure(r, cases)
    relay_pid = r.pid('sealrelayd')
    for case in cases:
        send(r, case)
    r.start('sealdeliver')
    since = int(time.time())
    r.sealctl('queue', 'flush')
    now = watch(r, cases, since)
    reports = [check_outcomes(r, case, now) for case in cases]
    recover(r, cases)
    failed = 0
    print('%-46s %-8s %-9s %7s  %s' % ('the next hop', 'messages', 'verdict', 'seconds',
                                       'what the operator is shown'))
    for case, (problems, texts) in zip(cases, reports):
        problems = problems + check_arrivals(case, users[case])
        failed += bool(problems)
        print('%-46s %-8s %-9s %7.1f  %s' % (
            case.name, case.spec['outcomes'], 'FAILED' if problems else 'ok', case.seconds or -1,
            '; '.join(problems) if problems else texts[-1]))
    problems = check_secrets(r, cases)
    if r.pid('sealrelayd') != relay_pid or not relay.alive(relay_pid):
        problems.append('the relay did not run through')
    for problem in problems:
        print('FAILED: ' + problem)
    return failed + len(problems)


# ---- one next hop and another ----

def run_neighbours(r):
    """A next hop that hangs, with many messages for it, delays no message for another."""
    silent, other = Hop('silent'), Hop('good')
    user = enrol_neighbours(r)
    with open(os.path.join(r.dir, 'etc', 'sealrelayd.conf'), 'a', encoding='ascii') as file:
        for domain, hop, sessions in (('hangs.example.org', silent, 4),
                                      ('works.example.org', other, 2)):
            file.write('[next-hop %s]\nhost = 127.0.0.1\nport = %d\nsessions = %d\n' % (
                domain, hop.port, sessions))
    r.restart('sealrelayd')
    mail.send_retrying(r.smtp_port, 'bob@shop.example.net', 'hangs@relay.example.com',
                       forward.message(), 15)
    session = mail.Smtp(r.smtp_port)
    for _ in range(99):
        session.send('bob@shop.example.net', ['hangs@relay.example.com'], forward.message())
    session.close()
    times = []
    for n in range(11):
        before = len(other.arrived())
        mail.send_retrying(r.smtp_port, 'bob@shop.example.net', 'works@relay.example.com',
                           forward.message(), 15)
        start = time.monotonic()
        r.wait_until(lambda: len(other.arrived()) > before, 'it arrives', 20)
        times.append(time.monotonic() - start)
    times.sort()
    states = r.sealctl('status')['relay']['next_hops']
    hangs = next(hop for hop in states if hop['domain'] == 'hangs.example.org')
    works = next(hop for hop in states if hop['domain'] == 'works.example.org')
    problems = []
    if times[len(times) // 2] > 1:
        problems.append('it took %.1f s' % times[len(times) // 2])
    if not hangs['sessions'] and not hangs['backing_off_until']:
        problems.append('the one that hangs: %r' % hangs)
    if works['failures'] or works['backing_off_until']:
        problems.append('the one that works: %r' % works)
    for sealed in other.arrived():
        opened(user, sealed)
    silent.behave(scripted.SCENARIOS['good'], None, None)
    r.sealctl('queue', 'flush')
    r.wait_until(lambda: not entries_for(r, 'hangs.example.org'), 'the others arrive', 60)
    if len(silent.arrived()) != 100:
        problems.append('%d of 100 arrived when it hung no more' % len(silent.arrived()))
    print('beside a next hop that hangs with 100 messages: %.0f ms in the middle, %.0f at most, '
          '%s' % (times[len(times) // 2] * 1000, times[-1] * 1000, '; '.join(problems) or 'ok'))
    return len(problems)


def entries_for(r, hop):
    return [entry for entry in r.sealctl('queue', 'list')
            if entry['hop'] == hop and entry['state'] in ('ready', 'active')]


def enrol_neighbours(r):
    r.sealctl('user', 'add', 'neighbour', 'neighbour@home.example.com', 'a@hangs.example.org',
              'a@works.example.org')
    _, user, _ = r.profile('neighbour', '--key', 'p-256')
    for name in ('hangs', 'works'):
        r.sealctl('alias', 'add', name + '@relay.example.com', 'neighbour', '--mailbox',
                  'a@%s.example.org' % name)
    return user


def main(build, words):
    table = [spec for spec in TABLE if not words or any(word in spec['what'] for word in words)]
    with relay.Relay(build) as r:
        failed = run_table(r, table)
        if not words:
            failed += run_neighbours(r)
    print('%d next hops, %d failed' % (len(table), failed))
    return 1 if failed else 0


if __name__ == '__main__':
    sys.exit(main(sys.argv[1], sys.argv[2:]))
