# SPDX-License-Identifier: GPL-3.0-or-later
"""The outages: each takes something away, yields while strangers write, and gives it back."""
import contextlib
import os
import random
import shutil
import signal
import socket
import sqlite3
import subprocess
import time

from outages import (AFTER, KNOWN, Stranger, away, children, clock_forward, clock_set, copy_id,
                     descriptors, drained, fill, fill_log, injected, locked, log_into_pipe,
                     resident_kb, rspamd_configured, rspamd_there, send, served, small_disk, storm)

BACK_S = 15  # until service again
HOUR = 3600
OUTAGES = []


class Outage:
    """How one outage is judged.

    answers   what a stranger may be told: '4xx', '250' or 'either' (which includes a connection
              that ends before an answer)
    replies   what the user may be told, who writes as well; the same when left out
    kills     a program is killed: a message may arrive twice
    """

    def __init__(self, function, answers, sample, kills=False, strangers=6, replies=None):
        self.begin = contextlib.contextmanager(function)
        self.name = function.__name__.replace('_', ' ')
        self.answers = answers
        self.replies = replies or answers
        self.sample = sample
        self.kills = kills
        self.strangers = strangers
        self.back_s = BACK_S


def outage(answers, **options):
    def add(function):
        OUTAGES.append(Outage(function, answers, **{'sample': True, **options}))
        return function
    return add


# ---- the key service and its token ----

@outage('4xx')
def the_token_is_taken_out_and_put_back(r):
    with away(os.path.join(r.dir, 'token')):
        r.wait_until(lambda: not served(r), 'the loss is noticed', 30)
        yield


@outage('4xx', sample=False)
def the_token_is_missing_when_the_key_service_starts(r):
    with away(os.path.join(r.dir, 'token')):
        r.restart('sealhsmd')
        yield


@outage('4xx', sample=False)
def the_pin_is_wrong_until_the_operator_unlocks(r):
    pin = os.path.join(r.dir, 'etc', 'pin')
    shutil.copy(pin, pin + '.right')
    try:
        with open(pin, 'w', encoding='ascii') as file:
            file.write('not-the-pin\n')
        r.restart('sealhsmd')
        marker = os.path.join(r.dir, 'hsm', 'pin-refused')
        r.wait_until(lambda: os.path.exists(marker), 'the refusal leaves a marker')
        yield
    finally:
        os.replace(pin + '.right', pin)
    r.restart('sealhsmd')
    time.sleep(2)
    assert not served(r), 'the PIN was tried again before the operator unlocked'
    r.sealctl('token', 'unlock')


@outage('4xx')
def the_key_service_is_killed(r):
    r.stop('sealhsmd', signal.SIGKILL)
    yield
    r.start('sealhsmd')


@outage('4xx', strangers=40, sample=False)
def the_key_service_hangs(r):
    os.kill(r.pid('sealhsmd'), signal.SIGSTOP)
    yield
    os.kill(r.pid('sealhsmd'), signal.SIGCONT)


@outage('4xx', strangers=40, sample=False)
def the_key_service_hangs_for_half_a_minute(r):
    os.kill(r.pid('sealhsmd'), signal.SIGSTOP)
    begun = time.monotonic()
    later = []
    while time.monotonic() - begun < 20:
        later += send(r, 4)
        time.sleep(1)
    slow = [one.rcpt_s for one in later[4:] if one.rcpt_s > 3]
    assert not slow, 'known to hang, and yet %d waited %.1f s' % (len(slow), max(slow))
    yield
    time.sleep(max(0, 30 - (time.monotonic() - begun)))
    os.kill(r.pid('sealhsmd'), signal.SIGCONT)


@outage('either')
def the_key_service_is_killed_again_and_again_in_messages(r):
    with storm(r, 4) as some:
        for _ in range(4):
            time.sleep(random.uniform(0.2, 0.8))
            r.restart('sealhsmd', number=signal.SIGKILL)
            time.sleep(1.5)
    yield some


@outage('4xx', sample=False)
def the_relay_starts_without_the_key_service(r):
    r.stop('sealhsmd')
    r.restart('sealrelayd')
    yield
    r.start('sealhsmd')


@outage('4xx', strangers=30, sample=False)
def the_relay_starts_while_the_key_service_hangs(r):
    os.kill(r.pid('sealhsmd'), signal.SIGSTOP)
    r.restart('sealrelayd')
    yield
    os.kill(r.pid('sealhsmd'), signal.SIGCONT)


# ---- delivery ----

@outage('250', sample=False)
def the_delivery_service_is_gone(r):
    r.stop('sealdeliver', signal.SIGKILL)
    yield
    r.start('sealdeliver')


@outage('250', sample=False)
def the_delivery_service_is_stopped(r):
    os.kill(r.pid('sealdeliver'), signal.SIGSTOP)
    yield
    os.kill(r.pid('sealdeliver'), signal.SIGCONT)


@outage('250', kills=True)
def the_delivery_service_is_killed_in_its_sessions(r):
    with storm(r, 4) as some:
        for _ in range(5):
            time.sleep(random.uniform(0.1, 0.7))
            for child in children(r.pid('sealdeliver')):
                os.kill(child, signal.SIGKILL)
            r.restart('sealdeliver', number=signal.SIGKILL)
    yield some


@outage('250', sample=False)
def the_next_hop_is_down_for_an_hour(r):
    postfix = os.path.join(r.dir, 'postfix', 'etc')
    subprocess.run(['postfix', '-c', postfix, 'stop'], check=True, capture_output=True)
    some = send(r, 4)
    first = attempts(r)
    for _ in range(12):
        clock_forward(r, HOUR // 12)
        time.sleep(1)
    often = attempts(r)
    assert first < often, 'not tried again: %d, then %d' % (first, often)
    assert often < 40, 'no back-off: tried %d times within an hour' % often
    assert all(entry['state'] in ('ready', 'active') for entry in r.sealctl('queue', 'list'))
    yield some
    subprocess.run(['postfix', '-c', postfix, 'start'], check=True, capture_output=True)
    clock_forward(r, HOUR)  # the next attempt of each is due


def attempts(r):
    return max([entry['attempts'] for entry in r.sealctl('queue', 'list')] or [0])


@outage('either', sample=False)
def the_clock_jumps_by_a_day_back_and_to_1970(r):
    r.stop('sealdeliver')
    some = send(r, 4)
    for jump in (86400, -86400, -int(time.time()) + 1000):
        clock_set(r, r.clock + jump)
        some += send(r, 2)
        time.sleep(2)
        states = [entry['state'] for entry in r.sealctl('queue', 'list')]
        assert len(states) >= 4 and set(states) <= {'ready', 'active'}, states
        clock_set(r, r.clock - jump)
    yield some
    r.start('sealdeliver')


# ---- databases and disk ----

@outage('4xx', strangers=20)
def the_store_is_locked(r):
    with locked(os.path.join(r.dir, 'relay', 'store.db')):
        yield


@outage('4xx', strangers=20, sample=False)
def the_queue_is_locked(r):
    with locked(os.path.join(r.dir, 'relay', 'queue', 'queue.db')):
        yield


@outage('4xx')
def the_disk_is_full(r):
    with small_disk(r, 'size=64m') as folder:
        with open(os.path.join(folder, 'filler'), 'wb') as file:
            with contextlib.suppress(OSError):
                while True:
                    file.write(b'\0' * 65536)
                    file.flush()
        yield
        os.unlink(os.path.join(folder, 'filler'))


@outage('4xx', sample=False)
def the_disk_is_full_to_the_last_byte_and_no_space_is_kept_free(r):
    """Past the check of free space: writes themselves fail."""
    r.configure('sealrelayd', 'queue', 'free_min = 1')
    try:
        with small_disk(r, 'size=16m') as folder:
            with open(os.path.join(folder, 'filler'), 'wb') as file:
                fill(file, 65536)
                fill(file, 1)
            yield
            os.unlink(os.path.join(folder, 'filler'))
    finally:
        AFTER.append(lambda: r.configure('sealrelayd', 'queue', 'free_min = 1M'))


@outage('either', sample=False)
def the_disk_has_no_inode_left(r):
    """Small messages need none; large ones are files."""
    with small_disk(r, 'size=64m,nr_inodes=40') as folder:
        names = []
        with contextlib.suppress(OSError):
            while True:
                names.append(os.path.join(folder, 'filler.%d' % len(names)))
                with open(names[-1], 'wb'):
                    pass
        large = [Stranger(r, KNOWN, 600 * 1024) for _ in range(2)]
        for one in large:
            one.join()
            assert 400 <= one.code < 500, 'a file that cannot be made: %d' % one.code
        yield large
        for name in names[:-1]:
            os.unlink(name)


@outage('4xx', sample=False)
def the_disk_turns_read_only(r):
    with injected(r, 'sealrelayd', 'pwrite64,write,fsync,fdatasync,ftruncate,openat,unlink',
                  'error=EROFS'):
        yield


@outage('4xx', sample=False)
def the_disk_fails_to_sync(r):
    with injected(r, 'sealrelayd', 'fsync,fdatasync', 'error=EIO'):
        yield


# ---- log and descriptors ----

@outage('250', sample=False)
def nobody_reads_the_log(r):
    with log_into_pipe(r) as end:
        fill_log(r)
        yield
        told = drained(end)
        assert served(r), 'not served'
        told += drained(end)
        assert b'stage=log.lost' in told, 'the loss of lines is not told'


@outage('250', sample=False)
def the_log_pipe_is_closed(r):
    with log_into_pipe(r) as end:
        os.close(end)
        yield


@outage('either', strangers=30)
def the_relay_has_no_descriptor_left(r):
    with descriptors(r.pid('sealrelayd'), 8):
        yield


@outage('either', strangers=20, sample=False)
def the_key_service_has_no_descriptor_left(r):
    with descriptors(r.pid('sealhsmd'), 1):
        yield


@outage('250', strangers=20, sample=False)
def the_delivery_service_has_no_descriptor_left(r):
    with descriptors(r.pid('sealdeliver'), 0):
        yield


# ---- rspamd ----

@outage('250', replies='4xx', sample=False)
def rspamd_is_away_and_the_policy_takes_mail_unchecked(r):
    """Of strangers: whether it is the user who writes has to be known."""
    with rspamd_configured(r, 'accept') as port:
        yield
        rspamd_there(port)


@outage('4xx')
def rspamd_is_away_and_the_policy_defers(r):
    with rspamd_configured(r, 'defer') as port:
        yield
        rspamd_there(port)


@outage('4xx', strangers=20, sample=False)
def rspamd_hangs_and_the_policy_defers(r):
    with rspamd_configured(r, 'defer') as port:
        with socket.create_server(('127.0.0.1', port), backlog=100, reuse_port=True):
            yield
        rspamd_there(port)


# ---- a queue that has grown ----

@outage('250', sample=False)
def a_hundred_thousand_entries_wait_when_the_relay_starts(r):
    """Copies of one, due in an hour: new mail is served at once, in bounded memory."""
    r.stop('sealdeliver')
    some = send(r, 1)
    r.stop('sealrelayd')
    queue = sqlite3.connect(os.path.join(r.dir, 'relay', 'queue', 'queue.db'), isolation_level=None)
    names = [row[1] for row in queue.execute('PRAGMA table_info(entry)') if row[1] not in
             ('n', 'id', 'next_attempt_s', 'state')]
    queue.execute('BEGIN')
    for i in range(100000):
        queue.execute('INSERT INTO entry (id, state, next_attempt_s, %s) SELECT ?, 0, ?, %s FROM'
                      ' entry ORDER BY n LIMIT 1' % (', '.join(names), ', '.join(names)),
                      (copy_id(i), int(time.time()) + r.clock + HOUR))
    queue.execute('COMMIT')
    begun = time.monotonic()
    r.start('sealrelayd')
    r.relay_pid = r.pid('sealrelayd')
    assert served(r), 'new mail is not served at once'
    assert time.monotonic() - begun < 15, 'the start took %.1f s' % (time.monotonic() - begun)
    yield some
    used = resident_kb(r.pid('sealrelayd'))
    assert used < 400 * 1024, '%d KiB resident' % used
    queue.execute("DELETE FROM entry WHERE id LIKE 'copy%'")
    queue.close()
    r.start('sealdeliver')
