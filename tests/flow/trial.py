# SPDX-License-Identifier: GPL-3.0-or-later
"""sealctl message test: what would become of a message, told by the running relay. What it answers is
what a stranger would be answered; what it prints is judged; and it leaves nothing behind."""
import json
import os
import signal
import socket
import sqlite3
import subprocess
import sys
import time
import uuid

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '../support'))
import judge
import mail
import relay
import stage

CASES = []


def case(function):
    CASES.append(function)
    return function


def letter(sender=b'bob@shop.example.net', extra=b'', body=b'Hello.\r\n'):
    return (b'From: ' + sender + b'\r\nTo: <shop@relay.example.com>\r\nSubject: trial\r\n'
            b'Message-ID: <trial@client.example.net>\r\nDate: Sun, 22 Nov 2026 10:00:00 +0000\r\n'
            + extra + b'\r\n' + body)


def attempt(r, data, *options, alias=None, file='-'):
    """(exit code, standard output, standard error)"""
    done = subprocess.run(r.facts['sealctl'].split() + ['message', 'test', file, alias or r.alias,
                                                        *options],
                          input=data, capture_output=True, check=False, timeout=60)
    return done.returncode, done.stdout, done.stderr.decode()


def rows(r):
    """What the store holds of correspondents, their keys and aliases."""
    with sqlite3.connect(os.path.join(r.dir, 'relay', 'store.db')) as store:
        return [store.execute('SELECT * FROM ' + name).fetchall() for name, in store.execute(
            "SELECT name FROM sqlite_master WHERE type = 'table' ORDER BY name").fetchall()]


def nothing_leaves(r):
    assert not r.sealctl('queue', 'list') and not r.inbox.wait(1, 1), 'something was queued'


@case
def an_unknown_correspondent_is_named_as_missing_and_not_made(r):
    before = rows(r)
    code, out, err = attempt(r, letter(b'new@stranger.example.net'))
    assert code == 1 and not out and '--make' in err, (code, out, err)
    assert rows(r) == before, 'the store has changed'


@case
def with_make_it_is_made_and_the_message_comes_back_sealed(r):
    data = letter()
    code, out, err = attempt(r, data, '--make')
    assert code == 0 and '250 2.0.0' in err, (code, err)
    judge.judge(r.user, data, out)
    nothing_leaves(r)


@case
def a_known_correspondent_leaves_no_trace(r):
    attempt(r, letter(), '--make')
    before = rows(r)
    data = letter(extra=b'Cc: other@third.example.net\r\n')
    code, out, err = attempt(r, data)
    assert code == 0, err
    judge.judge(r.user, data, out)
    assert rows(r) == before, 'the store has changed'
    nothing_leaves(r)


@case
def every_step_is_told(r):
    attempt(r, letter(), '--make')
    steps = [line.split()[0] for line in attempt(r, letter())[2].splitlines()]
    assert steps == ['trial.recipient', 'trial.sender', 'forward.parse', 'forward.find_profile',
                     'forward.sender_policy', 'forward.signature', 'forward.alias',
                     'forward.sender', 'forward.others', 'forward.header', 'forward.certificates',
                     'forward.key', 'forward.sealed', '250'], steps


@case
def line_ends_of_a_file_become_those_of_the_wire(r):
    attempt(r, letter(), '--make')
    data = letter(body=b'one\r\ntwo\r\n')
    with open(os.path.join(r.user_folder, 'unix.eml'), 'wb') as file:
        file.write(data.replace(b'\r\n', b'\n')[:-1])
    code, out, err = attempt(r, b'', file=file.name)
    assert code == 0, err
    judge.judge(r.user, data, out)


@case
def refusals_are_those_a_stranger_gets(r):
    attempt(r, letter(), '--make')
    for wanted, data, alias in (
            ('550 5.1.1', letter(), 'nobody@relay.example.com'),
            ('550 5.1.1', letter(), 'r-abcdefghijklmnop@relay.example.com'),
            ('450 4.2.1', letter(), 'postmaster@relay.example.com'),
            ('550 5.6.0', letter(extra=b'From: x@y.example\r\n'), None),
            ('550 5.6.0', letter(body=b'a\rb\r\n'), None),
            ('550 5.6.0', letter(body=b'a\x00b\r\n'), None),
            ('554 5.4.6', letter(extra=b'Received: by x; now\r\n' * 51), None)):
        code, out, err = attempt(r, data, alias=alias)
        assert code == (75 if wanted[0] == '4' else 1) and wanted in err and not out, (wanted, err)
        session = mail.Smtp(r.smtp_port)
        try:
            session.send('bob@shop.example.net', [alias or r.alias], data)
            raise AssertionError('SMTP took it')
        except mail.Refused as refusal:
            assert refusal.text.startswith(wanted), (wanted, refusal.text)
        finally:
            session.close()


@case
def json_tells_the_same(r):
    attempt(r, letter(), '--make')
    code, out, _ = attempt(r, letter(), '--json')
    told = json.loads(out)
    assert code == 0 and told['result'] == 'ERR_OK' and told['code'] == 250, told
    assert told['sealed_bytes'] > 1000 and len(told['steps']) == 13, told
    code, out, _ = attempt(r, letter(extra=b'From: x@y.example\r\n'), '--json')
    assert code == 1 and json.loads(out)['result'] == 'ERR_TWO_FROM', out


@case
def the_message_is_in_no_file(r):
    attempt(r, letter(), '--make')
    marker = uuid.uuid4().hex.encode()
    code, _, err = attempt(r, letter(body=marker + b'\r\n'))
    assert code == 0, err
    assert not r.found_in_clear(marker), r.found_in_clear(marker)


@case
def without_the_key_service_it_is_try_again_later(r):
    r.stop('sealhsmd', signal.SIGKILL)
    code, out, err = attempt(r, letter())
    r.start('sealhsmd')
    assert code == 75 and not out and ' 4.' in err, (code, err)
    r.wait_until(lambda: attempt(r, letter(), '--make')[0] == 0, 'service again')


@case
def a_request_without_files_or_with_a_pipe_is_refused(r):
    request = json.dumps({'verb': 'message.test', 'alias': r.alias, 'make': False}).encode()
    reading, writing = os.pipe()
    before = len(os.listdir('/proc/%d/fd' % r.pid('sealrelayd')))
    try:
        for files in ([], [reading], [reading, writing], [reading, writing, reading]):
            with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as control:
                control.settimeout(30)
                control.connect(os.path.join(r.dir, 'run', 'control.sock'))
                socket.send_fds(control, [request], files)
                answer = json.loads(control.recv(1 << 17))
            assert answer['error'] == 'ERR_USAGE', answer
    finally:
        os.close(reading)
        os.close(writing)
    time.sleep(0.5)
    after = len(os.listdir('/proc/%d/fd' % r.pid('sealrelayd')))
    assert after <= before, '%d descriptors became %d' % (before, after)


@case
def a_catch_all_makes_no_alias_unless_asked(r):
    r.sealctl('alias', 'add', '*@any.relay.example.com', 'alice')
    before = rows(r)
    code, _, err = attempt(r, letter(), alias='new@any.relay.example.com')
    assert code == 1 and '--make' in err and rows(r) == before, err
    code, _, err = attempt(r, letter(), '--make', alias='new@any.relay.example.com')
    assert code == 0, err


def main(build):
    with relay.Relay(build) as r:
        return stage.run(CASES, r, r.inbox.fresh, os.path.join(r.dir, 'log'))


if __name__ == '__main__':
    sys.exit(main(sys.argv[1]))
