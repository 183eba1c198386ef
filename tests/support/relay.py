# SPDX-License-Identifier: GPL-3.0-or-later
"""A freshly provisioned relay in a private folder, whose programs can be killed and restarted."""
import json
import os
import re
import shutil
import signal
import subprocess
import tempfile
import time

import judge
import mail

PASSPHRASE = 'a-passphrase-of-26-letters'
TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))


class Died(Exception):
    """A program ended before it listened."""


class Relay:
    def __init__(self, build, env=None):
        self.build = build
        self.folder = tempfile.mkdtemp(prefix='sealrelay-test.')
        os.chmod(self.folder, 0o711)
        self.dir = os.path.join(self.folder, 'instance')
        self.started = {}
        self.options = {}  # of a program's command line, by its name
        with open(os.path.join(self.folder, 'serve.log'), 'wb') as log:
            self.serve = subprocess.Popen(
                [os.path.join(TOP, 'provisioning/try'), '--serve', self.folder], stdout=log,
                stderr=log, env={**os.environ, 'SEALRELAY_BUILD': build, **(env or {})})
        ready = os.path.join(self.folder, 'relay.json')
        while not os.path.exists(ready):
            if self.serve.poll() is not None:
                with open(os.path.join(self.folder, 'serve.log'), encoding='utf-8',
                          errors='replace') as log:
                    raise SystemExit('the relay did not start:\n' + log.read())
            time.sleep(0.1)
        with open(ready, encoding='utf-8') as file:
            self.facts = json.load(file)
        self.smtp_port = self.facts['smtp_port']
        self.alias = self.facts['alias']
        self.user_folder = tempfile.mkdtemp(prefix='sealrelay-user.')
        self.user = judge.User(self.facts, self.user_folder)
        self.inbox = mail.Maildir(self.facts['maildir'])

    def __enter__(self):
        return self

    def __exit__(self, *failure):
        for process in self.started.values():
            process.kill()
            process.wait()
        self.serve.send_signal(signal.SIGTERM)
        self.serve.wait()
        shutil.rmtree(self.user_folder, ignore_errors=True)
        shutil.rmtree(self.folder, ignore_errors=True)

    def command(self, name):
        etc = os.path.join(self.dir, 'etc')
        run = os.path.join(self.dir, 'run')
        words = [os.path.join(self.build, 'bin', name), '--config',
                 os.path.join(etc, name + '.conf')] + self.options.get(name, [])
        if name == 'sealdeliver':
            words += ['--listen', os.path.join(run, 'deliver.sock')]
        return words

    def pid(self, name):
        if name in self.started:
            return self.started[name].pid
        with open(os.path.join(self.dir, 'run', name + '.pid'), encoding='ascii') as file:
            return int(file.read())

    def stop(self, name, number=signal.SIGTERM):
        pid = self.pid(name)
        try:
            os.kill(pid, number)
        except ProcessLookupError:
            pass
        process = self.started.pop(name, None)
        if process:
            process.wait()
        else:
            while alive(pid):
                time.sleep(0.01)

    def start(self, name, failpoint=None, **options):
        """options: of subprocess.Popen, instead of those by default"""
        env = {**os.environ, 'SOFTHSM2_CONF': os.path.join(self.dir, 'etc', 'softhsm2.conf')}
        if failpoint:
            env['SEALRELAY_FAILPOINT'] = failpoint
        with open(os.path.join(self.dir, 'log', name + '.log'), 'ab') as log:
            options = {'stdout': log, 'stderr': log, 'stdin': subprocess.DEVNULL, **options}
            self.started[name] = subprocess.Popen(self.command(name), env=env, **options)
        socket = {'sealhsmd': 'hsm-relay.sock', 'sealdeliver': 'deliver.sock',
                  'sealrelayd': 'control.sock'}[name]
        end = time.monotonic() + 30
        while not unix_listens(os.path.join(self.dir, 'run', socket)):
            if stopped(self.started[name].pid):
                self.started[name].kill()
                self.started[name].wait()
            if self.started[name].poll() is not None:
                with open(os.path.join(self.dir, 'log', name + '.log'), encoding='utf-8',
                          errors='replace') as log:
                    raise Died('%s ended at its start with %d: %s' % (
                        name, self.started[name].returncode, ''.join(log.readlines()[-2:])))
            if time.monotonic() > end:
                raise AssertionError('%s does not listen' % name)
            time.sleep(0.02)

    def restart(self, name, failpoint=None, number=signal.SIGTERM):
        self.stop(name, number)
        self.start(name, failpoint)

    def restart_armed(self, name, point, action):
        """Restart with a fail point that fires on its first passage after the start."""
        for passage in range(1, 10):
            self.stop(name)
            try:
                self.start(name, '%s=%s@%d' % (point, action, passage))
                return
            except Died:
                continue
        raise AssertionError('%s is passed too often at the start' % point)

    @staticmethod
    def wait_until(condition, what, seconds=30):
        end = time.monotonic() + seconds
        while not condition():
            if time.monotonic() > end:
                raise AssertionError('not within %d s: %s' % (seconds, what))
            time.sleep(0.02)

    def sealctl(self, *words):
        done = subprocess.run(self.facts['sealctl'].split() + ['--json', *words],
                              capture_output=True, check=False)
        if done.returncode:
            raise AssertionError('sealctl %s: %s' % (' '.join(words), done.stderr.decode()))
        return json.loads(done.stdout) if done.stdout.strip() else None

    def configure(self, name, section, *lines):
        """Add lines to a section of a program's configuration; those with the same key go."""
        path = os.path.join(self.dir, 'etc', name + '.conf')
        with open(path, encoding='ascii') as file:
            text = file.read().splitlines()
        keys = [line.split('=')[0].strip() for line in lines]
        text = [line for line in text if line.split('=')[0].strip() not in keys]
        if '[%s]' % section not in text:
            text.append('[%s]' % section)
        at = text.index('[%s]' % section) + 1
        with open(path, 'w', encoding='ascii') as file:
            file.write('\n'.join(text[:at] + list(lines) + text[at:]) + '\n')

    def enroll(self, *words):
        """The user's tool, which answers no question."""
        done = subprocess.run([os.path.join(self.build, 'bin', 'sealrelay-enroll'), *words],
                              capture_output=True, check=False)
        if done.returncode:
            raise AssertionError('sealrelay-enroll %s: %s' % (words[0], done.stderr.decode()))

    def file(self, name, data):
        path = os.path.join(self.user_folder, name)
        with open(path, 'wb') as out:
            out.write(data)
        return path

    def document(self, name, *words):
        """What sealctl prints, in a file: those of its answers that are files already."""
        done = subprocess.run(self.facts['sealctl'].split() + list(words), capture_output=True,
                              check=False)
        if done.returncode:
            raise AssertionError('sealctl %s: %s' % (' '.join(words), done.stderr.decode()))
        return self.file(name, done.stdout)

    def code(self, user):
        """The activation code of the mail that comes next."""
        found = self.inbox.wait()
        if len(found) != 1:
            raise AssertionError('%d mails with a code' % len(found))
        with open(found[0], 'rb') as file:
            entity, _ = user.open(mail.to_crlf(file.read()))
        return re.search(rb'^    ([A-Za-z0-9]{8})\r?$', entity, re.MULTILINE).group(1).decode()

    def activate(self, profile, user):
        """Activate with the code of the mail that comes next; the greeting, as it arrived."""
        self.sealctl('profile', 'activate', profile, self.code(user))
        found = self.inbox.wait()
        if len(found) != 1:
            raise AssertionError('%d greetings' % len(found))
        with open(found[0], 'rb') as file:
            return mail.to_crlf(file.read())

    def secret(self):
        """A passphrase file for the user's tool."""
        path = self.file('passphrase', PASSPHRASE.encode() + b'\n')
        os.chmod(path, 0o600)
        return path

    def opener(self, folder):
        """The user whose key and root lie in a folder of the user's tool."""
        keys = tempfile.mkdtemp(dir=self.user_folder)
        return judge.User({'root': os.path.join(folder, 'root.pem'), 'p12_passphrase': PASSPHRASE,
                           'p12': os.path.join(folder, 'identity-modern.p12')}, keys)

    def profile(self, name, *options):
        """A further profile of a user, enrolled and active: (id, judge.User, the user's folder)."""
        profile = self.sealctl('profile', 'add', name, *options)['profile']
        folder = os.path.join(self.user_folder, profile)
        secret = ['--passphrase-file', self.secret()]
        request = self.document(profile + '.request', 'profile', 'csr', profile)
        self.enroll('begin', request, folder, '--yes', *secret)
        self.sealctl('profile', 'install', profile, os.path.join(folder, 'enrolment.json'))
        self.inbox.fresh()
        issued = self.document(profile + '.certificate', 'profile', 'issue', profile)
        self.enroll('finish', folder, issued, *secret)
        user = self.opener(folder)
        self.activate(profile, user)
        return profile, user, folder

    def found_in_clear(self, marker, next_hop_too=True):
        """Files that hold marker: of our programs, and of the next hop unless told otherwise."""
        found = []
        for part in ('relay', 'hsm', 'run', 'log', 'etc', 'token', 'postfix'):
            for folder, _, names in os.walk(os.path.join(self.dir, part)):
                for name in names:
                    path = os.path.join(folder, name)
                    if not os.path.isfile(path) or ('postfix' in path and not next_hop_too):
                        continue
                    with open(path, 'rb') as file:
                        if marker in file.read():
                            found.append(path)
        return found


def state(pid):
    """One letter, as proc(5) has it; None: it is gone."""
    try:
        with open('/proc/%d/stat' % pid, encoding='ascii') as file:
            return file.read().rsplit(')', 1)[1].split()[0]
    except OSError:
        return None


def alive(pid):
    """Until the last thread is gone: the first may be a zombie while others still hold locks."""
    try:
        return state(pid) not in (None, 'Z') or len(os.listdir('/proc/%d/task' % pid)) > 1
    except OSError:
        return False


def stopped(pid):
    return state(pid) == 'T'


def traced(pid):
    """Is every thread of a process under strace?"""
    tracers = []
    for thread in os.listdir('/proc/%d/task' % pid):
        with open('/proc/%d/task/%s/status' % (pid, thread), encoding='ascii') as file:
            tracers += [line.split()[1] != '0' for line in file if line.startswith('TracerPid')]
    return all(tracers)


def unix_listens(path):
    import socket
    for kind in (socket.SOCK_STREAM, socket.SOCK_SEQPACKET):
        with socket.socket(socket.AF_UNIX, kind) as probe:
            try:
                probe.connect(path)
                return True
            except OSError:
                pass
    return False
