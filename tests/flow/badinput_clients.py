# SPDX-License-Identifier: GPL-3.0-or-later
"""Clients that misuse TLS, take their time, or come in crowds. Used by badinput.py; each function
is one row: it returns (what was seen, is that right)."""
import os
import signal
import socket
import subprocess
import time

import badinput_dialogues as dialogues
import mail
import wire

HELLO_FRAGMENT = b'\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03' + b'\x00' * 32


def hello(r, lines=(dialogues.EHLO,)):
    session = wire.Wire(r.smtp_port)
    session.replies(1)
    for line in lines:
        session.ask(line)
    return session


def descriptors(r):
    return len(os.listdir('/proc/%d/fd' % r.pid('sealrelayd')))


# ---- STARTTLS ----

def tls01_command_in_the_segment_of_starttls(r):
    """Nothing said in clear is answered inside TLS."""
    with hello(r) as session:
        replies = session.ask(b'STARTTLS\r\nNOOP\r\nMAIL FROM:<evil@client.example.net>\r\n')
        if wire.codes(replies) == '554':
            return '554, closed: %s' % session.is_closed(5), session.is_closed(5)
        session.start_tls()
        replies = session.ask(b'VRFY x\r\n')
        return 'inside TLS: %s' % replies, wire.codes(replies) == '252'


def tls01_command_in_a_segment_of_its_own(r):
    with hello(r) as session:
        session.send(b'STARTTLS\r\n')
        session.wait_read()
        session.send(b'NOOP\r\n')  # where the handshake belongs
        replies = session.replies(2)
        return wire.codes(replies), wire.codes(replies) == '220' and session.is_closed(5)


def tls01_command_between_reply_and_handshake(r):
    with hello(r) as session:
        session.ask(b'STARTTLS\r\n')
        session.send(b'RSET\r\n')
        try:
            session.start_tls()
        except OSError as error:
            return 'handshake failed: %s' % type(error).__name__, True
        return 'shook hands', False


def tls02_what_was_said_before_is_forgotten(r):
    with hello(r, (dialogues.EHLO, dialogues.MAIL, dialogues.RCPT, b'STARTTLS\r\n')) as session:
        session.start_tls()
        got = session.ask(dialogues.RCPT + dialogues.MAIL, 2) + session.ask(dialogues.DATA)
        return wire.codes(got), wire.codes(got) == '503 503 503'


def tls03_starttls_twice(r):
    with hello(r, (dialogues.EHLO, b'STARTTLS\r\n')) as session:
        session.start_tls()
        got = session.ask(dialogues.EHLO) + session.ask(b'STARTTLS\r\n')
        return wire.codes(got), wire.codes(got) == '250 503' and 'STARTTLS' not in got[0]


def tls03_garbage_for_a_handshake(r):
    before = descriptors(r)
    for garbage in (b'\x00' * 200, b'EHLO x\r\n' * 50, HELLO_FRAGMENT[:5] + b'\xff' * 512,
                    b'\x16\x03\x01\xff\xff' + b'x' * 300):
        with hello(r, (dialogues.EHLO, b'STARTTLS\r\n')) as session:
            session.send(garbage)
            if not session.is_closed(10):
                return 'still open', False
    r.wait_until(lambda: descriptors(r) <= before, 'no descriptor is left', 10)
    return 'closed', True


def tls03_silence_for_a_handshake(r):
    return cut_off(r, [dialogues.EHLO, b'STARTTLS\r\n'], b'', HELLO_FRAGMENT)


def a_connection_cut_in_tls_leaves_no_message(r):
    with hello(r, (dialogues.EHLO, b'STARTTLS\r\n')) as session:
        session.start_tls()
        for line in dialogues.STATES['data']:
            session.ask(line)
        session.send(dialogues.letter('cut-in-tls') + b'.\r')
        session.reset()
    return 'reset', True


def old_tls_is_refused(r):
    done = subprocess.run(['openssl', 's_client', '-starttls', 'smtp', '-connect', '127.0.0.1:%d' %
                           r.smtp_port, '-tls1_1', '-cipher', 'ALL:@SECLEVEL=0'],
                          input=b'', capture_output=True, check=False, timeout=30)
    return 'exit %d' % done.returncode, done.returncode != 0


TLS = [tls01_command_in_the_segment_of_starttls, tls01_command_in_a_segment_of_its_own,
       tls01_command_between_reply_and_handshake, tls02_what_was_said_before_is_forgotten,
       tls03_starttls_twice, tls03_garbage_for_a_handshake,
       a_connection_cut_in_tls_leaves_no_message, old_tls_is_refused]


# ---- slow clients: the timeouts are set to TIMEOUT_S for these ----

def cut_off(r, lines, wanted, drip):
    """Drip bytes after some lines; the server must end it with this reply within its timeout."""
    with hello(r, lines) as session:
        start = time.monotonic()
        for at in range(len(drip)):
            if not session.send(drip[at:at + 1]) or session.is_closed(0.4):
                break
            if session.unread or time.monotonic() - start > 15:
                break
        else:
            session.is_closed(15)
        replies = session.replies(2)
        lasted = time.monotonic() - start
    seen = '%s after %.0f s' % (wire.codes(replies) or 'closed', lasted)
    return seen, lasted < 10 and wire.codes(replies).encode() == wanted


def res02_a_byte_now_and_then_in_a_command(r):
    return cut_off(r, [dialogues.EHLO], b'421', b'NOOP and so on and on and on and on and on')


def res02_a_byte_now_and_then_in_data(r):
    return cut_off(r, dialogues.STATES['data'], b'421', dialogues.letter('drip'))


def res02_a_byte_now_and_then_before_hello(r):
    return cut_off(r, [], b'421', b'EHLO client.example.net')


def a_silent_client(r):
    return cut_off(r, [dialogues.EHLO, dialogues.MAIL], b'421', b'')


def a_fair_pace_is_no_drip(r):
    """Longer than the timeout, but 4 kB/s: such a message is taken."""
    with hello(r, dialogues.STATES['data']) as session:
        text = dialogues.letter('pace', b'x' * 62 + b'\r\n') + b'x\r\n' * 6000
        for at in range(0, len(text), 2048):
            session.send(text[at:at + 2048])
            time.sleep(0.5)
        replies = session.ask(b'.\r\n')
    return wire.codes(replies), wire.codes(replies) == '250'


SLOW = [res02_a_byte_now_and_then_in_a_command, res02_a_byte_now_and_then_in_data,
        res02_a_byte_now_and_then_before_hello, tls03_silence_for_a_handshake, a_silent_client,
        a_fair_pace_is_no_drip]
PACE = dialogues.letter('pace', b'x' * 62 + b'\r\n') + b'x\r\n' * 6000


# ---- crowds: connections_per_peer 20 and connections 30 are set for these ----

def open_from(r, source, count):
    """Sessions from one address: (served ones, first lines of those turned away)"""
    served, refused = [], []
    for _ in range(count):
        session = wire.Wire(r.smtp_port, source=source)
        banner = session.reply()
        if banner.startswith('220'):
            served.append(session)
        else:
            refused.append(banner[:3])
            session.sock.close()
    return served, refused


def res01_five_hundred_idle_clients(r):
    """One host gets its share, all together get what there is, and others are served meanwhile."""
    one, turned_away = open_from(r, '127.0.0.1', 500)
    try:
        other = wire.Wire(r.smtp_port, source='127.0.0.2')
        served = wire.codes(other.replies(1) + other.ask(dialogues.EHLO))
        more, full = open_from(r, '127.0.0.3', 12)
        seen = '%d served, %d x 421; other host %s, then %d served, %d x 421' % (
            len(one), turned_away.count('421'), served, len(more), full.count('421'))
        good = (len(one), turned_away.count('421'), served, len(more), full.count('421')) == \
            (20, 480, '220 250', 9, 3)
        for session in [other] + more:
            session.sock.close()
    finally:
        for session in one:
            session.sock.close()
    r.wait_until(lambda: mail_is_taken(r), 'service again', 10)
    return seen, good


def mail_is_taken(r):
    try:
        with hello(r) as session:
            return wire.codes(session.ask(dialogues.MAIL)) == '250'
    except (OSError, mail.Refused, socket.timeout):
        return False


# ---- LMTP: the answers of one message ----

def lmtp_message(r, rcpts, ident, before_data=None):
    """A session that has sent a whole message and read nothing since."""
    session = wire.Wire(r.facts['lmtp_port'])
    session.replies(1)
    for line in [dialogues.LHLO, dialogues.MAIL] + rcpts:
        reply = session.ask(line)[0]
        assert reply.startswith('250'), (line, reply)
    if before_data:
        before_data()
    session.ask(dialogues.DATA)
    session.send(dialogues.whole(ident))
    return session


def lmtp04_one_of_three_is_deferred(r):
    """A profile suspended between RCPT and the end: 450 for its user, 250 for the others."""
    rcpts = [dialogues.RCPT, b'RCPT TO:<second@relay.example.com>\r\n', dialogues.NEWS]
    with lmtp_message(r, rcpts, 'lmtp04',
                      lambda: r.sealctl('profile', 'suspend', r.second)) as session:
        replies = session.rest()
    return wire.codes(replies), wire.codes(replies) == '250 450 250'


def lmtp04_killed_behind_the_first_answer(r):
    """One answer is out when the relay dies: both messages were durable before it."""
    with lmtp_message(r, [dialogues.RCPT, dialogues.NEWS], 'lmtp04-first') as session:
        replies = session.replies(1)
        r.stop('sealrelayd', signal.SIGKILL)
    r.start('sealrelayd')
    return wire.codes(replies), wire.codes(replies[:1]) == '250'


def lmtp04_killed_between_two_answers(r):
    """The relay dies while it gives the second answer. The front, which heard none, sends again."""
    r.restart('sealrelayd', 'receive.answer=kill@2')
    with lmtp_message(r, [dialogues.RCPT, dialogues.NEWS], 'lmtp04-between') as session:
        replies = session.rest()
    died = r.started['sealrelayd'].wait(10) == -signal.SIGKILL
    r.stop('sealrelayd')
    r.start('sealrelayd')
    with lmtp_message(r, [dialogues.RCPT, dialogues.NEWS], 'lmtp04-again') as session:
        again = session.replies(2)
    seen = '%s then %s' % (wire.codes(replies) or 'closed', wire.codes(again))
    return seen, died and seen == 'closed then 250 250'


# What must arrive by each of them: the second answer's message too.
ANSWERED = {function.__name__.replace('_', ' '): [dialogues.letter(ident) for ident in idents]
            for function, idents in (
                (lmtp04_one_of_three_is_deferred, ['lmtp04'] * 2),
                (lmtp04_killed_behind_the_first_answer, ['lmtp04-first'] * 2),
                (lmtp04_killed_between_two_answers, ['lmtp04-between'] * 2 + ['lmtp04-again'] * 2))}
