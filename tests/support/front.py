# SPDX-License-Identifier: GPL-3.0-or-later
"""A Postfix in front of a relay, made of the fragments in provisioning/postfix as they are, and a
sink that catches whatever it sends anywhere else."""
import os
import re
import shutil
import signal
import socket
import subprocess
import time

import relay

FRAGMENTS = os.path.join(relay.TOP, 'provisioning/postfix')
DOMAIN = 'relay.example.com'
SIZE_LIMIT = (25 << 20) - (64 << 10)

BASE = '''compatibility_level = 3.6
queue_directory = {dir}/queue
data_directory = {dir}/data
daemon_directory = {daemons}
maillog_file = {dir}/mail.log
maillog_file_prefixes = {dir}
inet_interfaces = loopback-only
inet_protocols = ipv4
myhostname = mx.example.com
mynetworks = 127.0.0.0/8
alias_maps =
alias_database =
relayhost = [127.0.0.1]:{sink}
smtp_dns_support_level = disabled
smtpd_peername_lookup = no
smtpd_client_connection_count_limit = 0
biff = no
'''
SERVICES = [
    'pickup unix n - n 60 1 pickup', 'qmgr unix n - n 300 1 qmgr', 'cleanup unix n - n - 0 cleanup',
    'postlog unix-dgram n - n - 1 postlogd', 'rewrite unix - - n - - trivial-rewrite',
    'proxymap unix - - n - - proxymap', 'smtp unix - - n - - smtp', 'error unix - - n - - error',
    'retry unix - - n - - error', 'discard unix - - n - - discard',
    'flush unix n - n 1000? 0 flush', 'showq unix n - n - - showq',
    'verify unix - - n - 1 verify', 'anvil unix - - n - 1 anvil',
    'scache unix - - n - 1 scache', 'tlsmgr unix - - n 1000? 1 tlsmgr']
REPORTERS = ['bounce unix - - n - 0 bounce', 'defer unix - - n - 0 bounce',
             'trace unix - - n - 0 bounce']


def free_port():
    with socket.socket() as probe:
        probe.bind(('127.0.0.1', 0))
        return probe.getsockname()[1]


def listens(port):
    with socket.socket() as probe:
        return probe.connect_ex(('127.0.0.1', port)) == 0


def until(condition, what, seconds=30):
    relay.Relay.wait_until(condition, what, seconds)


def render(name, **values):
    done = subprocess.run([os.path.join(FRAGMENTS, 'render'), os.path.join(FRAGMENTS, name),
                           *('%s=%s' % pair for pair in values.items())], capture_output=True,
                          check=False)
    if done.returncode:
        raise AssertionError(done.stderr.decode())
    return done.stdout.decode()


class Sink:
    """Everything a front sends to strangers would arrive here."""

    def __init__(self, folder):
        self.folder = os.path.join(folder, 'sink')
        os.mkdir(self.folder)
        shutil.chown(self.folder, 'nobody')
        self.port = free_port()
        self.process = subprocess.Popen(
            ['smtp-sink', '-u', 'nobody', '-d', self.folder + '/%M.', '127.0.0.1:%d' % self.port,
             '50'], stderr=subprocess.DEVNULL)
        until(lambda: listens(self.port), 'the sink listens')

    def messages(self):
        found = []
        for name in sorted(os.listdir(self.folder)):
            with open(os.path.join(self.folder, name), 'rb') as file:
                found.append(file.read())
        return found

    def clear(self):
        for name in os.listdir(self.folder):
            os.unlink(os.path.join(self.folder, name))

    def close(self):
        self.process.terminate()
        self.process.wait()


class Front:
    """One private Postfix; kind is before-queue or after-queue."""

    def __init__(self, instance, kind):
        self.relay = instance
        self.kind = kind
        self.dir = os.path.join(instance.folder, kind)
        self.etc = os.path.join(self.dir, 'etc')
        for name in ('etc', 'queue', 'data'):
            os.makedirs(os.path.join(self.dir, name))
        shutil.chown(os.path.join(self.dir, 'data'), 'postfix')
        self.port = free_port()
        self.sink = Sink(self.dir)
        values = {'RELAY_DOMAINS': DOMAIN, 'SMTP': '127.0.0.1:%d' % self.port,
                  'SIZE_LIMIT': SIZE_LIMIT, 'FOLDER': self.etc, 'MILTERS': '',
                  'SOCKETMAP': '127.0.0.1:%d' % instance.facts['socketmap_port'],
                  'RELAY': '127.0.0.1:%d' % instance.facts[
                      'smtp_port' if kind == 'before-queue' else 'lmtp_port'],
                  'RELAY_DOMAINS_REGEX': re.escape(DOMAIN),
                  'AUTHSERV_ID_REGEX': re.escape('mx.example.com')}
        daemons = subprocess.run(['postconf', '-d', '-h', 'daemon_directory'], check=True,
                                 capture_output=True).stdout.decode().strip()
        self.write('main.cf', BASE.format(dir=self.dir, daemons=daemons, sink=self.sink.port) +
                   render(kind + '.main.cf', **values))
        services = SERVICES + (REPORTERS if kind == 'before-queue' else [])
        self.write('master.cf', '\n'.join(services) + '\n' + render(kind + '.master.cf', **values))
        if kind == 'after-queue':
            for name in ('header-checks', 'bounce-checks'):
                self.write(name, render(name, **values))
        self.postfix('check')
        self.postfix('start')
        until(lambda: listens(self.port), 'the front listens')

    def __enter__(self):
        return self

    def __exit__(self, *failure):
        subprocess.run(['postfix', '-c', self.etc, 'stop'], check=False, capture_output=True)
        self.sink.close()

    def write(self, name, text):
        with open(os.path.join(self.etc, name), 'w', encoding='ascii') as file:
            file.write(text)

    def postfix(self, *words):
        done = subprocess.run(['postfix', '-c', self.etc, *words], capture_output=True, check=False)
        if done.returncode:
            raise AssertionError('postfix %s: %s%s' % (words[0], done.stderr.decode(), self.log()))

    def log(self):
        try:
            with open(os.path.join(self.dir, 'mail.log'), encoding='utf-8',
                      errors='replace') as file:
                return file.read()
        except FileNotFoundError:
            return ''

    def queued(self):
        """Files of messages in any of Postfix's queues."""
        found = []
        for queue in ('maildrop', 'incoming', 'active', 'deferred', 'hold'):
            for folder, _, names in os.walk(os.path.join(self.dir, 'queue', queue)):
                found += [os.path.join(folder, name) for name in names]
        return found

    def flush(self):
        subprocess.run(['postqueue', '-c', self.etc, '-f'], check=True)

    def wait_empty(self, seconds=60):
        """Until the queue is empty, asking for another attempt again and again."""
        end = time.monotonic() + seconds
        while self.queued():
            if time.monotonic() > end:
                raise AssertionError('%d messages stay in the queue' % len(self.queued()))
            self.flush()
            time.sleep(0.2)

    def files_with(self, marker):
        found = []
        for folder, _, names in os.walk(self.dir):
            for name in names:
                path = os.path.join(folder, name)
                if not os.path.isfile(path):
                    continue
                with open(path, 'rb') as file:
                    if marker in file.read():
                        found.append(path)
        return found


def nameless_files_with(folder, marker):
    """Files of this folder that are deleted and still open somewhere: on disk all the same."""
    found = []
    for pid in filter(str.isdigit, os.listdir('/proc')):
        fds = '/proc/%s/fd' % pid
        try:
            for fd in os.listdir(fds):
                path = os.readlink(os.path.join(fds, fd))
                if not path.startswith(folder) or not path.endswith(' (deleted)'):
                    continue
                with open(os.path.join(fds, fd), 'rb') as file:
                    if marker in file.read():
                        found.append(path)
        except OSError:
            continue  # it has ended, or closed the file
    return found


def hop(instance, *words):
    """The next hop's Postfix is told something: stop, start."""
    subprocess.run(['postfix', '-c', os.path.join(instance.dir, 'postfix/etc'), *words],
                   capture_output=True, check=True)


def pause(instance, name):
    os.kill(instance.pid(name), signal.SIGSTOP)


def resume(instance, name):
    os.kill(instance.pid(name), signal.SIGCONT)
