# SPDX-License-Identifier: GPL-3.0-or-later
"""What outages are made of: strangers who write, and ways to take something away and give it back."""
import contextlib
import http.server
import os
import shutil
import resource
import socket
import sqlite3
import subprocess
import threading
import time

import hop
import judge
import mail
import marked
import relay
import replies

KNOWN = 'bob@shop.example.net'
SERVED = []  # of this outage, before it was noticed and after it ended: these arrive too
AFTER = []   # what is tidied once an outage is judged, the last first


# ---- strangers ----

class Writer(threading.Thread):
    """One session with one message: what was answered, and when."""

    def __init__(self, r, mail_from, rcpt, data):
        super().__init__()
        self.relay = r
        self.mail_from = mail_from
        self.rcpt = rcpt
        self.data = data
        self.code = 0
        self.stage = 'connect'
        self.rcpt_s = 0.0
        self.seconds = 0.0

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
                session.command('RCPT TO:<%s>' % self.rcpt)
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
            self.repeat()

    def repeat(self):
        mail.send_retrying(self.relay.smtp_port, self.mail_from, self.rcpt, self.data)


class Stranger(Writer):
    """Somebody from outside, at once."""

    def __init__(self, r, mail_from=None, size=2000):
        self.name_in_mail = marked.marker()
        mail_from = mail_from or marked.sender(self.name_in_mail)
        super().__init__(r, mail_from, r.alias, marked.message(self.name_in_mail, size, mail_from))
        self.start()


# ---- the user ----

class Friend:
    """Whom the user answers: what of it has arrived."""

    def __init__(self, r):
        hop.Hop(r)
        self.box = mail.Maildir(os.path.join(r.dir, 'mail', KNOWN.split('@', maxsplit=1)[0]))
        self.client = replies.Client(r.user.identity, r.user_folder)
        marker = marked.marker()
        mail.send_retrying(r.smtp_port, KNOWN, r.alias, marked.message(marker, 100, KNOWN))
        with open(r.inbox.wait()[0], 'rb') as file:
            sealed = mail.to_crlf(file.read())
        self.reverse = judge.from_address(mail.split(sealed)[0])
        self.cert = replies.signer_of(r.user, sealed)
        self.texts = {}

    def count(self, word):
        for name in self.box.names():
            if name not in self.texts:
                with open(os.path.join(self.box.path, name), 'rb') as file:
                    self.texts[name] = file.read()
        return sum(word in text for text in self.texts.values())


class User(Writer):
    """The user, with a reply; started by whoever has it."""

    def __init__(self, r):
        self.secret = marked.secret(marked.marker())
        body = replies.entity(b'The word is %s here.\n' % self.secret * 3)
        super().__init__(r, replies.MAILBOX, r.friend.reverse, replies.message(
            replies.fields(r.friend.reverse), r.friend.client.sealed(body, [r.friend.cert])))

    def count(self):
        return self.relay.friend.count(self.secret)

    def on_disk(self):
        return [path for form in marked.word_forms(self.secret)
                for path in self.relay.found_in_clear(form, next_hop_too=False)]


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


# ---- what can be taken away ----

@contextlib.contextmanager
def away(folder):
    os.rename(folder, folder + '.away')
    os.mkdir(folder, 0o700)
    try:
        yield
    finally:
        os.rmdir(folder)
        os.rename(folder + '.away', folder)


@contextlib.contextmanager
def locked(path):
    database = sqlite3.connect(path, isolation_level=None, timeout=20)
    database.execute('BEGIN EXCLUSIVE')
    try:
        yield
    finally:
        database.execute('ROLLBACK')
        database.close()


def fill(file, step):
    with contextlib.suppress(OSError):
        while True:
            os.write(file.fileno(), b'\0' * step)


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


@contextlib.contextmanager
def log_into_pipe(r):
    """The relay's log goes into a pipe, whose end to read from this is; until it is judged."""
    ends = os.pipe()
    r.stop('sealrelayd')
    r.start('sealrelayd', stdout=ends[1], stderr=ends[1])
    r.relay_pid = r.pid('sealrelayd')
    os.close(ends[1])
    os.set_blocking(ends[0], False)
    AFTER.append(lambda: r.restart('sealrelayd'))
    yield ends[0]


def drained(end):
    told = b''
    with contextlib.suppress(BlockingIOError):
        while True:
            told += os.read(end, 65536)
    return told


def fill_log(r):
    """More lines than a pipe holds: refusals are cheap and each is one."""
    session = mail.Smtp(r.smtp_port)
    for i in range(900):
        if i % 15 == 14:
            session.close()
            session = mail.Smtp(r.smtp_port)
        with contextlib.suppress(mail.Refused):
            session.command('MAIL FROM:<%s>' % KNOWN)
            session.command('RCPT TO:<nobody-%040d@relay.example.com>' % i)
        with contextlib.suppress(mail.Refused):
            session.command('RSET')
    session.close()


def rspamd_conf(r):
    return os.path.join(r.dir, 'etc', 'sealrelayd.conf')


@contextlib.contextmanager
def rspamd_configured(r, unchecked):
    """The relay asks an rspamd that is not there, at this port; until it is judged."""
    with socket.create_server(('127.0.0.1', 0)) as free:
        port = free.getsockname()[1]
    with open(rspamd_conf(r), encoding='ascii') as file:
        before = file.read()
    profile = next(row['profile'] for row in r.sealctl('profile', 'list')
                   if row['state'] == 'active')
    with open(rspamd_conf(r), 'a', encoding='ascii') as file:
        file.write('[verdict]\nsource = rspamd\nrspamd = http://127.0.0.1:%d\ntimeout = 3s\n' % port)
    r.sealctl('profile', 'policy', profile, '--unchecked', unchecked, '--reply-pass', 'required')
    r.restart('sealrelayd')
    r.relay_pid = r.pid('sealrelayd')
    AFTER.append(lambda: rspamd_gone(r, profile, before))
    yield port


def rspamd_gone(r, profile, conf):
    with open(rspamd_conf(r), 'w', encoding='ascii') as file:
        file.write(conf)
    r.sealctl('profile', 'policy', profile, '--unchecked', 'accept', '--reply-pass', 'waived')
    r.restart('sealrelayd')


class Rspamd(http.server.BaseHTTPRequestHandler):
    """Has nothing against anybody, and knows the user."""
    protocol_version = 'HTTP/1.1'

    def do_POST(self):
        data = self.rfile.read(int(self.headers['Content-Length'] or 0))
        symbols = (b'"DMARC_POLICY_ALLOW": {"name": "DMARC_POLICY_ALLOW", "score": 0.0, "options":'
                   b' ["home.example.com", "reject"]}') if replies.MAILBOX.encode() in data else b''
        answer = (b'{"is_skipped": false, "score": 0.0, "required_score": 15.0,'
                  b' "action": "no action", "symbols": {' + symbols + b'}}')
        self.send_response(200)
        self.send_header('Content-Type', 'application/json')
        self.send_header('Content-Length', str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    def log_message(self, *_):
        pass


def rspamd_there(port):
    server = http.server.ThreadingHTTPServer(('127.0.0.1', port), Rspamd)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    AFTER.insert(0, lambda: (server.shutdown(), server.server_close()))


def copy_id(i):
    """An id as entries have, of the alphabet a-z2-7."""
    letters = 'abcdefghijklmnopqrstuvwxyz234567'
    text = ''
    for _ in range(12):
        text = letters[i % 32] + text
        i //= 32
    return 'copy' + text


def resident_kb(pid):
    with open('/proc/%d/status' % pid, encoding='ascii') as file:
        return int(next(line for line in file if line.startswith('VmRSS')).split()[1])
