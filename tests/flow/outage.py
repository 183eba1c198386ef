# SPDX-License-Identifier: GPL-3.0-or-later
"""Every part taken away from a running relay, and given back.

While a part is away strangers write: each is told 4xx in time, or 250 and the message waits. Nothing
of a message lies anywhere in clear, what was acknowledged arrives, and service is back without a
restart of the relay. The table says how each outage went.

    outage.py BUILD        a sample that takes a few minutes
    outage.py BUILD all    every outage
    outage.py BUILD WORD   those whose name holds the word
"""
import contextlib
import os
import random
import resource
import shutil
import signal
import socket
import sqlite3
import subprocess
import sys
import tempfile
import threading
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '../support'))
import mail
import marked
import relay

RCPT_S = 12     # a front waits 100 s for its filter; a stranger shall not
ANSWER_S = 25   # from the first command to the answer to the message
BACK_S = 15     # until service again
KNOWN = 'bob@shop.example.net'
HOUR = 3600
LOG_LINES = 8   # of each program, when an outage went wrong
OUTAGES = []


class Outage:
    """How one outage is judged.

    answers   what a stranger may be told: '4xx', '250' or 'either' (which includes a connection
              that ends before an answer)
    kills     a program is killed: a message may arrive twice
    """

    def __init__(self, function, answers, sample, kills=False, strangers=6, back_s=BACK_S):
        self.begin = contextlib.contextmanager(function)
        self.name = function.__name__.replace('_', ' ')
        self.answers = answers
        self.sample = sample
        self.kills = kills
        self.strangers = strangers
        self.back_s = back_s


def outage(answers, **options):
    def add(function):
        OUTAGES.append(Outage(function, answers, **{'sample': True, **options}))
        return function
    return add


# ---- strangers ----

class Stranger(threading.Thread):
    """One session with one message: what was answered, and when."""

    def __init__(self, r, mail_from=None, size=2000):
        super().__init__()
        self.relay = r
        self.name_in_mail = marked.marker()
        self.mail_from = mail_from or marked.sender(self.name_in_mail)
        self.data = marked.message(self.name_in_mail, size, self.mail_from)
        self.code = 0
        self.stage = 'connect'
        self.rcpt_s = 0.0
        self.seconds = 0.0
        self.start()

    def run(self):
        begun = time.monotonic()
        session = None
        try:
            session = mail.Smtp(self.relay.smtp_port)
            self.stage = 'mail'
            session.command('MAIL FROM:<%s>' % self.mail_from)
            self.stage = 'rcpt'
            asked = time.monotonic()
            try:
                session.command('RCPT TO:<%s>' % self.relay.alias)
            finally:
                self.rcpt_s = time.monotonic() - asked
            self.stage = 'data'
            session.command('DATA', '3')
            self.stage = 'dot'
            session.sock.sendall(self.data + b'.\r\n')
            session.expect('2')
            self.code = 250
        except mail.Refused as refusal:
            self.code = refusal.code
        except (OSError, ConnectionError):
            self.code = 0
        finally:
            self.seconds = time.monotonic() - begun
            if session:
                session.close()

    def again(self):
        """As every sender does."""
        if self.code != 250:
            mail.send_retrying(self.relay.smtp_port, self.mail_from, self.relay.alias, self.data)


def send(r, count, known=True):
    """Strangers at once; unless all shall be known, some write for the first time."""
    some = [Stranger(r, None if i % 5 == 1 and not known else KNOWN) for i in range(count)]
    for one in some:
        one.join()
    return some


def seconds_until(condition, limit):
    begun = time.monotonic()
    while not condition():
        if time.monotonic() - begun > limit:
            raise AssertionError('no service again within %d s' % limit)
        time.sleep(0.1)
    return time.monotonic() - begun


def served(r):
    one = Stranger(r, KNOWN)
    one.join()
    if one.code == 250:
        SERVED.append(one)
    return one.code == 250


SERVED = []  # of this outage, before it was noticed and after it ended: these arrive too


# ---- the key service and its token ----

@outage('4xx')
def the_token_is_taken_out_and_put_back(r):
    with away(os.path.join(r.dir, 'token')):
        r.wait_until(lambda: not served(r), 'the loss is noticed', 30)
        yield


@outage('4xx')
def the_token_is_missing_when_the_key_service_starts(r):
    with away(os.path.join(r.dir, 'token')):
        r.restart('sealhsmd')
        yield


@contextlib.contextmanager
def away(folder):
    os.rename(folder, folder + '.away')
    os.mkdir(folder, 0o700)
    try:
        yield
    finally:
        os.rmdir(folder)
        os.rename(folder + '.away', folder)


@outage('4xx')
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


@outage('4xx', strangers=40)
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


@outage('4xx')
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

@outage('250')
def the_delivery_service_is_gone(r):
    r.stop('sealdeliver', signal.SIGKILL)
    yield
    r.start('sealdeliver')


@outage('250')
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


@outage('250')
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


@outage('4xx', strangers=20)
def the_queue_is_locked(r):
    with locked(os.path.join(r.dir, 'relay', 'queue', 'queue.db')):
        yield


@contextlib.contextmanager
def locked(path):
    database = sqlite3.connect(path, isolation_level=None, timeout=20)
    database.execute('BEGIN EXCLUSIVE')
    try:
        yield
    finally:
        database.execute('ROLLBACK')
        database.close()


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


def fill(file, step):
    with contextlib.suppress(OSError):
        while True:
            os.write(file.fileno(), b'\0' * step)


@outage('either')
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


@contextlib.contextmanager
def small_disk(r, options):
    """The relay's state on a file system of its own, before the outage and until it is over."""
    state = os.path.join(r.dir, 'relay')
    r.stop('sealrelayd')
    os.rename(state, state + '.kept')
    os.mkdir(state, 0o700)
    subprocess.run(['mount', '-t', 'tmpfs', '-o', 'mode=0700,' + options, 'none', state],
                   check=True)
    subprocess.run(['cp', '-a', state + '.kept/.', state], check=True)
    r.start('sealrelayd')
    r.relay_pid = r.pid('sealrelayd')
    yield state
    AFTER.append(lambda: disk_back(r, state))


def disk_back(r, state):
    """When all was delivered."""
    r.stop('sealrelayd')
    shutil.rmtree(state + '.kept')
    subprocess.run(['cp', '-a', state, state + '.kept'], check=True)
    subprocess.run(['umount', state], check=True)
    os.rmdir(state)
    os.rename(state + '.kept', state)
    r.start('sealrelayd')


AFTER = []  # what is tidied once an outage is judged


@outage('4xx', sample=False)
def the_disk_turns_read_only(r):
    with injected(r, 'sealrelayd', 'pwrite64,write,fsync,fdatasync,ftruncate,openat,unlink',
                  'error=EROFS'):
        yield


@outage('4xx', sample=False)
def the_disk_fails_to_sync(r):
    with injected(r, 'sealrelayd', 'fsync,fdatasync', 'error=EIO'):
        yield


@contextlib.contextmanager
def injected(r, program, calls, what):
    """System calls on the relay's state fail; the others, sockets and log, go on."""
    state = os.path.join(r.dir, 'relay')
    paths = [os.path.join(folder, name) for folder, _, names in os.walk(state) for name in names]
    words = ['strace', '-f', '-qq', '-o', '/dev/null', '-e', 'trace=' + calls, '-e',
             'inject=%s:%s' % (calls, what), '-p', str(r.pid(program))]
    for path in paths + [os.path.join(state, 'queue', 'body')]:
        words += ['-P', path]
    tracer = subprocess.Popen(words)
    try:
        r.wait_until(lambda: relay.traced(r.pid(program)), 'strace is there')
        yield
    finally:
        tracer.terminate()
        tracer.wait()


# ---- log and descriptors ----

@outage('250')
def nobody_reads_the_log(r):
    ends = os.pipe()
    r.stop('sealrelayd')
    r.start('sealrelayd', stdout=ends[1], stderr=ends[1])
    r.relay_pid = r.pid('sealrelayd')
    os.close(ends[1])
    os.set_blocking(ends[0], False)
    fill_log(r)
    yield
    told = b''
    with contextlib.suppress(BlockingIOError):
        while True:
            told += os.read(ends[0], 65536)
    LOG.append(ends[0])


LOG = []


def fill_log(r):
    """More lines than a pipe holds: refusals are cheap and each is one."""
    session = mail.Smtp(r.smtp_port)
    for i in range(900):
        if i % 15 == 14:
            session.close()
            session = mail.Smtp(r.smtp_port)
        with contextlib.suppress(mail.Refused):
            session.command('MAIL FROM:<%s>' % KNOWN)
            session.command('RCPT TO:<nobody-%060d@relay.example.com>' % i)
        with contextlib.suppress(mail.Refused):
            session.command('RSET')
    session.close()


@outage('250')
def the_log_pipe_is_closed(r):
    for end in LOG:
        os.close(end)
    LOG.clear()
    ends = os.pipe()
    r.stop('sealrelayd')
    r.start('sealrelayd', stdout=ends[1], stderr=ends[1])
    r.relay_pid = r.pid('sealrelayd')
    os.close(ends[1])
    os.close(ends[0])
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


@contextlib.contextmanager
def descriptors(pid, more):
    """A process that may open only so many more."""
    used = max(int(name) for name in os.listdir('/proc/%d/fd' % pid)) + 1
    before = resource.prlimit(pid, resource.RLIMIT_NOFILE)
    resource.prlimit(pid, resource.RLIMIT_NOFILE, (used + more, before[1]))
    try:
        yield
    finally:
        resource.prlimit(pid, resource.RLIMIT_NOFILE, before)


# ---- kit ----

@contextlib.contextmanager
def storm(r, threads):
    """Strangers without pause, for as long as the block runs."""
    stop = threading.Event()
    sent = []

    def keep_sending():
        while not stop.is_set():
            one = Stranger(r, KNOWN)
            one.join()
            sent.append(one)

    workers = [threading.Thread(target=keep_sending) for _ in range(threads)]
    for worker in workers:
        worker.start()
    try:
        yield sent
    finally:
        stop.set()
        for worker in workers:
            worker.join()


def children(pid):
    try:
        with open('/proc/%d/task/%d/children' % (pid, pid), encoding='ascii') as file:
            return [int(word) for word in file.read().split()]
    except FileNotFoundError:
        return []


def clock_set(r, seconds):
    r.clock = seconds
    with open(os.environ['SEALRELAY_CLOCK_FILE'] + '.new', 'w', encoding='ascii') as file:
        file.write('%d\n' % seconds)
    os.rename(os.environ['SEALRELAY_CLOCK_FILE'] + '.new', os.environ['SEALRELAY_CLOCK_FILE'])


def clock_forward(r, seconds):
    clock_set(r, r.clock + seconds)


# ---- judging ----

def answers_wrong(o, some):
    """Why the answers are not what they have to be, or None."""
    for one in some:
        good = {'4xx': 400 <= one.code < 500, '250': one.code == 250,
                'either': one.code in (0, 250) or 400 <= one.code < 500}[o.answers]
        if not good:
            return 'answered %d at %s' % (one.code, one.stage)
        if one.rcpt_s > RCPT_S:
            return 'RCPT took %.1f s' % one.rcpt_s
        if one.seconds > ANSWER_S and one.code:
            return 'answered after %.1f s' % one.seconds
    return None


def run(r, arrivals, o):
    r.relay_pid = r.pid('sealrelayd')
    SERVED.clear()
    with o.begin(r) as before:
        some = send(r, o.strangers, known=o.answers == '250')
        in_clear = marked.in_clear(r, some[0].name_in_mail)
    wrong = answers_wrong(o, some)
    some = (before or []) + some
    seconds = seconds_until(lambda: served(r), o.back_s)
    for one in some:
        one.again()
    some += SERVED
    missing = arrivals.wait([one.name_in_mail for one in some], 90)
    in_clear += [path for one in some[:3] + some[-1:] for path in
                 marked.in_clear(r, one.name_in_mail)]
    twice = [one for one in some if arrivals.count(one.name_in_mail) > 1]
    if missing:
        wrong = wrong or '%d of %d never arrived' % (len(missing), len(some))
    if twice and not o.kills and not any(one.code == 0 for one in twice):
        wrong = wrong or '%d arrived twice' % len(twice)
    if in_clear or arrivals.unsealed:
        wrong = wrong or 'in clear in ' + (in_clear + arrivals.unsealed)[0]
    if not relay.alive(r.relay_pid) and 'starts' not in o.name:
        wrong = wrong or 'the relay ended'
    r.wait_until(lambda: not r.sealctl('queue', 'list'), 'the queue is empty', 60)
    return row(some, seconds, len(twice), wrong)


def row(some, seconds, twice, wrong):
    told = {}
    for one in some:
        word = 'no answer' if one.code == 0 else '%d at %s' % (one.code, one.stage)
        told[word] = told.get(word, 0) + 1
    return {'told': ', '.join('%d x %s' % (n, word) for word, n in sorted(told.items())),
            'rcpt': max([one.rcpt_s for one in some] or [0]),
            'answer': max([one.seconds for one in some] or [0]),
            'arrived': '%d%s' % (len(some), ' (%d twice)' % twice if twice else ''),
            'again': seconds, 'wrong': wrong}


def set_right(r):
    """After an outage that did not end as it should: the others are to be judged by themselves."""
    for name in ('sealhsmd', 'sealdeliver', 'sealrelayd'):
        with contextlib.suppress(ProcessLookupError):
            os.kill(r.pid(name), signal.SIGCONT)
        r.restart(name)
    r.sealctl('token', 'unlock')


def logs(r):
    """The last lines of each program, for who has to find out why."""
    for name in ('sealrelayd', 'sealhsmd', 'sealdeliver'):
        with open(os.path.join(r.dir, 'log', name + '.log'), encoding='utf-8',
                  errors='replace') as file:
            print('    --- %s\n%s' % (name, ''.join('    ' + line for line in
                                                   file.readlines()[-LOG_LINES:])))


def chosen(word):
    if word == 'all':
        return OUTAGES
    return [o for o in OUTAGES if (o.sample if word is None else word in o.name)]


def main(build, word=None):
    wrong = 0
    clock = tempfile.NamedTemporaryFile('w', suffix='.clock', delete=False)
    clock.write('0\n')
    clock.close()
    os.environ['SEALRELAY_CLOCK_FILE'] = clock.name
    with relay.Relay(build) as r:
        r.clock = 0
        arrivals = marked.Arrivals(r.inbox)
        r.wait_until(lambda: served(r), 'the first message', 60)
        for o in chosen(word):
            try:
                seen = run(r, arrivals, o)
            except (AssertionError, OSError, mail.Refused) as failure:
                seen = row([], 0, 0, '%s: %s' % (type(failure).__name__, failure))
            finally:
                while AFTER:
                    AFTER.pop()()
            wrong += seen['wrong'] is not None
            print('%s\n    told %s; slowest RCPT %.1f s, answer %.1f s\n    arrived %s; service again '
                  'after %.1f s\n    %s' % (o.name, seen['told'], seen['rcpt'], seen['answer'],
                                           seen['arrived'], seen['again'],
                                           'WRONG: ' + seen['wrong'] if seen['wrong'] else 'good'),
                  flush=True)
            if seen['wrong']:
                logs(r)
                set_right(r)
    os.unlink(clock.name)
    print('%d outages, %d wrong' % (len(chosen(word)), wrong))
    return 1 if wrong or not chosen(word) else 0


if __name__ == '__main__':
    sys.exit(main(*sys.argv[1:3]))
