# SPDX-License-Identifier: GPL-3.0-or-later
"""Bad input against a whole relay: dialogues, ends of data, TLS, messages, and clients that take
their time. A line a case says what was sent, what came back, and what is wanted.

Every message answered 250 must reach the next hop once, open with the user's key and be what was
sent; nothing else may reach it. Run: badinput.py BUILD [part of a case's name]
"""
import concurrent.futures
import email.header
import os
import re
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '../support'))
import badinput_clients as clients
import badinput_dialogues as dialogues
import badinput_messages as messages
import judge
import ledger as ledgers
import mail
import relay
import wire

SMALL = 65536  # message_size while sizes are tried
SLOW_S = 10  # no message may take this long, however odd
TIMEOUT_S = 2  # of commands and data while slow clients are tried


# ---- dialogues ----

def connect(r, state):
    lmtp = state.startswith('lmtp')
    return wire.Wire(r.facts['lmtp_port'] if lmtp else r.smtp_port)


def reach(session, state):
    """Bring a session to the state a case begins in."""
    if state != 'early':
        session.replies(1)
    for line in dialogues.STATES[state]:
        reply = session.ask(line)
        assert reply and reply[0][0] in '23', (line, reply)


def content_of(sent):
    """The message in a case's bytes, as it must arrive."""
    text = b''.join(sent)
    start = text.find(b'From: Bob')
    if start < 0:
        return b''
    return text[start:text.index(b'\r\n.\r\n', start) + 2]


def run_dialogue(r, case):
    with connect(r, case.state) as session:
        reach(session, case.state)
        got = []
        for piece in case.sent[:-1]:
            got += session.ask(piece)
        session.send(case.sent[-1])
        return got + session.rest()


def run_dialogues(r, report, ledger):
    for case in dialogues.COMMANDS:
        if not report.wants(case.ident):
            continue
        replies = run_dialogue(r, case)
        report.row(case.ident, b''.join(case.sent), ledgers.squeeze(wire.codes(replies)), case.wanted,
                   wire.matches(replies, case.wanted))
        if case.arrives and case.state.startswith('lmtp'):
            ledger.expect(content_of(case.sent), case.arrives)
        elif case.arrives:
            ledger.expect(content_of(case.sent))
    if report.wants('dot02'):
        run_dots(r, report, ledger)
    if report.wants('cmd38'):
        with connect(r, 'data') as session:
            reach(session, 'data')
            session.send(dialogues.letter('cmd38-reset'))
            session.reset()
        report.row('cmd38 RST', 'a message without its end', '', '', True)


def run_dots(r, report, ledger):
    """A dot that is first in what the server reads, but not in its line, stays."""
    head = dialogues.letter('dot02', b'')
    for name, body, cuts in (('behind a segment', b'one.two\r\n', [3]),
                             ('alone in a segment', b'one.\r\n', [3, 4]),
                             ('behind the CR', b'one\r\ntwo.\r\n', [4, 8]),
                             ('at the edges of buffers', b'x' + b'.' * 70_000 + b'\r\n', [])):
        with connect(r, 'data') as session:
            reach(session, 'data')
            session.send_cut(head + body + b'.\r\n', [len(head) + cut for cut in cuts])
            replies = session.rest()
        report.row('dot02 ' + name, body, wire.codes(replies), '250', wire.matches(replies, '250'))
        ledger.expect(head + body)


# ---- ends of data ----
#
# The same again over TLS, and behind more than message_size while the rest is skipped (eod21).

def ending_wanted(ending, too_big):
    if ending.kind == 'stray' or (ending.kind == 'text' and too_big):
        return '552/5.3.4' if too_big else '550/5.6.0'
    if ending.kind == 'text':
        return '250'
    return '552/5.3.4 ' + ending.wanted.split(' ', 1)[1] if too_big else ending.wanted


def ending_text(ending, filler):
    """(bytes of the message before the look-alike end, the end, what is smuggled behind it)"""
    head = dialogues.letter(ending.ident.replace(' ', '-'), filler + b'Up to here')
    return head, ending.ending, dialogues.smuggled(ending.ident)


def ending_arrives(ending, text):
    """Messages of an ending that was answered as wanted: the first, and the smuggled one."""
    head, end, smuggled = text
    inner = smuggled[smuggled.index(b'From: Bob'):-3]
    if ending.kind == 'text':
        whole = re.sub(rb'\r\n\.', b'\r\n', head + end + smuggled[:-3])
        return [whole]
    if ending.kind == 'end':
        return [head + b'\r\n'] if ending.wanted.startswith('250') else [inner]
    return []


def run_ending(r, text, cut, tls):
    """cut: where a segment ends, counted from the first byte of the look-alike end"""
    head, end, smuggled = text
    with wire.Wire(r.smtp_port) as session:
        if tls:
            session.ask(b'', 1)
            session.ask(dialogues.EHLO)
            session.ask(b'STARTTLS\r\n')
            session.start_tls()
            for line in dialogues.STATES['data']:
                session.ask(line)
        else:
            reach(session, 'data')
        cuts = [] if cut is None else [len(head) + cut]
        session.send_cut(head + end + smuggled, cuts)
        return session.rest()


def run_endings(r, report, ledger, how, filler=b'', tls=False):
    too_big = len(filler) > SMALL
    for ending in dialogues.ENDINGS:
        name = '%s, %s' % (ending.ident, how)
        if not report.wants(name):
            continue
        text = ending_text(ending, filler)
        wanted = ending_wanted(ending, too_big)
        wrong = []
        # once whole, then cut at every byte from before to behind it
        for cut in [None] + list(range(-1, len(ending.ending) + 2)):
            replies = run_ending(r, text, cut, tls)
            if not wire.matches(replies, wanted):
                wrong.append('cut %s: %s' % (cut, wire.codes(replies)))
            elif not too_big:
                for content in ending_arrives(ending, text):
                    ledger.expect(content)
            elif ending.wanted.startswith('550'):
                ledger.expect(ending_arrives(ending, text)[0])
        report.row(name, ending.ending, wrong[0] if wrong else wanted, wanted, not wrong)


# ---- messages ----

def decoded(value):
    """A From field as a client shows it."""
    return str(email.header.make_header(email.header.decode_header(value.decode('ascii'))))


def header_faults(case, outer, inner):
    """What is wrong with the header that left, beyond what judge.judge() looks at."""
    lines = outer.split(b'\r\n')
    if any(len(line) > 998 for line in lines) or not outer.isascii():
        yield 'a line is too long or not ASCII'
    names = [name.lower() for name, _ in mail.fields(outer)]
    for name in (b'from', b'to', b'date', b'message-id') + tuple(n.lower() for n in case.fields):
        if names.count(name) != 1:
            yield '%d %s fields' % (names.count(name), name.decode())
    phrase = mail.field_value(outer, b'From').rpartition(b'<')[0]
    shown = decoded(phrase).strip().strip('"')
    if '@' in shown or any(ord(c) < 32 for c in shown):
        yield 'the name shown is %r' % shown
    if case.shown and shown != case.shown:
        yield 'the name shown is %r' % shown
    for text in case.absent:
        if text in outer + inner:
            yield '%r is in the header' % text


def send_message(r, case):
    """The answer to the message, or the first refusal before; a 4xx is tried again, as a key may
    have to be made first."""
    stuffed = case.wire if case.wire is not None else \
        re.sub(rb'(^|\r\n)\.', rb'\1..', case.data) + b'.\r\n'
    for _ in range(40):
        with wire.Wire(r.smtp_port) as session:
            session.replies(1)
            for line in (dialogues.EHLO, b'MAIL FROM:' + case.mail_from + b'\r\n', dialogues.RCPT,
                         dialogues.DATA):
                reply = session.ask(line)[-1]
                if reply[0] not in '23':
                    break
            else:
                reply = (session.ask(stuffed) or ['closed'])[-1]
        if reply[0] != '4':
            return reply
        time.sleep(0.5)
    return reply


def judge_arrival(r, case):
    found = r.inbox.wait()
    if len(found) != 1:
        return '%d arrived' % len(found)
    with open(found[0], 'rb') as file:
        sealed = mail.to_crlf(file.read())
    try:
        entity, signers = r.user.open(sealed)
        judge.judge_opened(case.data, sealed, entity, signers)
        inner = mail.split(entity)[0]
        faults = list(header_faults(case, mail.split(sealed)[0], inner))
    except (judge.Wrong, ValueError) as wrong:
        faults = ['%s: %s' % (type(wrong).__name__, wrong)]
    return faults[0] if faults else 'sealed'


def run_messages(r, report):
    for case in messages.CASES:
        if not report.wants(case.ident):
            continue
        start = time.monotonic()
        reply = send_message(r, case)
        took = time.monotonic() - start
        seen = judge_arrival(r, case) if reply.startswith('250') else reply
        good = seen == case.wanted or (reply[0] == '5' and wire.matches([reply], case.wanted))
        if took > SLOW_S:
            seen, good = 'answered after %.0f s' % took, False
        report.row(case.ident, case.data, seen, case.wanted, good)


def run_sizes(r, report, ledger):
    """At the limit, and one byte more."""
    for size, wanted in ((SMALL, '250'), (SMALL + 1, '552/5.3.4'), (4 * SMALL, '552/5.3.4')):
        head = dialogues.letter('size-%d' % size, b'')
        body = b'x' * (size - len(head) - 2) + b'\r\n'
        for how in ('', ' SIZE=%d' % size):
            with wire.Wire(r.smtp_port) as session:
                session.replies(1)
                session.ask(dialogues.EHLO)
                reply = session.ask(dialogues.MAIL[:-2] + how.encode() + b'\r\n')[0]
                if reply.startswith('250'):
                    session.ask(dialogues.RCPT + dialogues.DATA, 2)
                    reply = session.ask(head + body + b'.\r\n')[0]
            report.row('msg21 %d bytes%s' % (size, how), head, reply, wanted,
                       wire.matches([reply], wanted))
            if reply.startswith('250'):
                ledger.expect(head + body)


# ---- clients ----

def sentence(function):
    return function.__name__.replace('_', ' ')


def run_client(r, report, function):
    if not report.wants(sentence(function)):
        return
    seen, good = function(r)
    report.row(sentence(function), '', seen, '', good)


def run_slow_clients(r, report):
    """All at once: each takes seconds."""
    wanted = [function for function in clients.SLOW if report.wants(sentence(function))]
    with concurrent.futures.ThreadPoolExecutor(len(wanted) or 1) as pool:
        for function, (seen, good) in zip(wanted, pool.map(lambda f: f(r), wanted)):
            report.row(sentence(function), '', seen, '', good)


def run_lmtp_answers(r, report, ledger):
    """Answers that differ, and a relay that dies while it gives them."""
    for function, died in ((clients.lmtp04_one_of_three_is_deferred, False),
                           (clients.lmtp04_killed_behind_the_first_answer, True),
                           (clients.lmtp04_killed_between_two_answers, True)):
        if not report.wants(sentence(function)):
            continue
        run_client(r, report, function)
        for content in clients.ANSWERED.pop(sentence(function)):
            ledger.expect(content)
        ledger.settle(report, 'arrivals of that', died)


# ---- the whole ----

def prepare(r):
    """Nobody's XFORWARD is trusted; a second alias of the user; a second user, whose profile can be
    suspended."""
    r.configure('sealrelayd', 'listen', 'xforward = 192.0.2.0/24')
    r.restart('sealrelayd')
    r.sealctl('alias', 'add', 'news@relay.example.com', 'alice')
    r.sealctl('user', 'add', 'second', 'second@home.example.com')
    r.second, r.second_user, _ = r.profile('second')
    r.sealctl('alias', 'add', 'second@relay.example.com', 'second')
    for alias in (r.alias, 'news@relay.example.com', 'second@relay.example.com'):
        mail.send_retrying(r.smtp_port, 'bob@shop.example.net', alias, dialogues.letter('first'))
    assert len(r.inbox.wait(3)) == 3


def check_logs(r, report):
    """No sanitizer spoke, nothing of a refused message is left."""
    faults = []
    for name in os.listdir(os.path.join(r.dir, 'log')):
        with open(os.path.join(r.dir, 'log', name), encoding='utf-8', errors='replace') as log:
            faults += [line.strip() for line in log if re.search(
                r'ERROR: \w+Sanitizer|runtime error:|ERR_BUG', line)]
    report.row('logs', '', faults[0] if faults else 'clean', 'clean', not faults)
    left = []
    for folder, _, names in os.walk(os.path.join(r.dir, 'relay', 'queue')):
        left += [n for n in names if not n.startswith('queue.db') and n != 'lock']
    report.row('queue folder', '', ' '.join(left) or 'nothing left', 'nothing left', not left)


def main(build, only=''):
    report = ledgers.Report(only)
    with relay.Relay(build) as r:
        ledger = ledgers.Ledger(r)
        prepare(r)
        run_dialogues(r, report, ledger)
        ledger.settle(report, 'arrivals of dialogues')
        run_endings(r, report, ledger, 'plain')
        run_endings(r, report, ledger, 'TLS', tls=True)
        ledger.settle(report, 'arrivals of endings')
        for function in clients.TLS:
            run_client(r, report, function)
        run_lmtp_answers(r, report, ledger)
        run_messages(r, report)
        r.configure('sealrelayd', 'limits', 'message_size = %d' % SMALL, 'connections = 30',
                    'connections_per_peer = 20', 'command_timeout = %ds' % TIMEOUT_S,
                    'data_timeout = %ds' % TIMEOUT_S)
        r.restart('sealrelayd')
        run_endings(r, report, ledger, 'too big', b'x' * 70 * 1024 + b'\r\n')
        run_sizes(r, report, ledger)
        run_slow_clients(r, report)
        run_client(r, report, clients.res01_five_hundred_idle_clients)
        if report.wants(sentence(clients.a_fair_pace_is_no_drip)):
            ledger.expect(clients.PACE)
        ledger.settle(report, 'arrivals of slow clients')
        check_logs(r, report)
    print('%d cases, %d wrong%s' % (report.cases, len(report.wrong),
                                    ': ' + '; '.join(report.wrong) if report.wrong else ''))
    return 1 if report.wrong or not report.cases else 0


if __name__ == '__main__':
    sys.exit(main(*sys.argv[1:]))
