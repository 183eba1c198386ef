# SPDX-License-Identifier: GPL-3.0-or-later
"""rspamd itself, with the settings of provisioning/rspamd as they are, and a resolver that knows the
domains of the tests and nothing else. Both in a private folder on loopback."""
import base64
import glob
import os
import pwd
import shutil
import socket
import subprocess
import time
import urllib.request

import judge
import relay

MODULES = ('spf', 'dkim', 'dmarc', 'milter_headers')


def free_port():
    with socket.create_server(('127.0.0.1', 0)) as taken:
        return taken.getsockname()[1]


def until(condition, what, seconds=30):
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            raise AssertionError('not within %d s: %s' % (seconds, what))
        time.sleep(0.1)


class Key:
    """A DKIM key, made by openssl; dkimpy's command signs with it."""

    def __init__(self, folder, name):
        self.path = os.path.join(folder, name + '.key')
        judge.run(['openssl', 'genrsa', '-traditional', '-out', self.path, '2048'])
        der = judge.run(['openssl', 'rsa', '-in', self.path, '-pubout', '-outform', 'DER'])
        self.record = 'v=DKIM1; k=rsa; p=' + base64.b64encode(der).decode()

    def sign(self, message, domain):
        out = judge.run(['/usr/bin/dkimsign', 's1', domain, self.path], message)
        assert out.startswith(b'DKIM-Signature:') and out.endswith(message)
        return out


def txt(name, text):
    parts = ' '.join('"%s"' % text[at:at + 200] for at in range(0, len(text), 200))
    return "local-data: '%s. 60 IN TXT %s'\n" % (name, parts)


class Resolver:
    """unbound: records of its own; silent.example is delegated to a server that never answers."""

    def __init__(self, folder, records):
        self.port = free_port()
        self.hole = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.hole.bind(('127.0.0.1', 0))
        path = os.path.join(folder, 'unbound.conf')
        with open(path, 'w', encoding='ascii') as out:
            out.write('server:\ndo-daemonize: no\nusername: ""\nchroot: ""\npidfile: ""\n'
                      'directory: "%s"\nuse-syslog: no\nlogfile: ""\ninterface: 127.0.0.1@%d\n'
                      'do-ip6: no\ndo-not-query-localhost: no\nmodule-config: "iterator"\n'
                      'local-zone: "." static\nlocal-zone: "silent.example." transparent\n'
                      % (folder, self.port))
            out.write(''.join(txt(name, text) for name, text in records))
            out.write('remote-control:\ncontrol-enable: no\n'
                      'forward-zone:\nname: "silent.example."\nforward-addr: 127.0.0.1@%d\n'
                      % self.hole.getsockname()[1])
        with open(os.path.join(folder, 'unbound.log'), 'wb') as log:
            self.process = subprocess.Popen(['unbound', '-d', '-c', path], stdout=log, stderr=log)
        until(self.answers, 'the resolver answers')

    def answers(self):
        try:
            with socket.create_connection(('127.0.0.1', self.port), timeout=1):
                return True
        except OSError:
            return False

    def stop(self):
        self.process.terminate()
        self.process.wait()
        self.hole.close()


class Rspamd:
    def __init__(self, folder, resolver):
        self.folder = folder
        self.port = free_port()
        self.milter_port = free_port()
        self.process = None
        local = os.path.join(folder, 'conf', 'local.d')
        shutil.copytree(os.path.join(relay.TOP, 'provisioning', 'rspamd', 'local.d'), local)
        os.mkdir(os.path.join(folder, 'data'))
        override = os.path.join(folder, 'conf', 'override.d')
        os.mkdir(override)
        self.setting(override, 'worker-normal.inc',
                     'bind_socket = "127.0.0.1:%d"; count = 2;' % self.port)
        self.setting(override, 'options.inc', 'filters = "dkim"; disable_hyperscan = true;\n'
                     'dns { nameserver = ["127.0.0.1:%d"]; }' % resolver.port)
        self.setting(override, 'logging.inc', 'type = "console"; color = false;')
        # As a milter, for the front behind whose queue the relay reads its field.
        self.setting(override, 'worker-proxy.inc', 'bind_socket = "127.0.0.1:%d"; milter = yes;\n'
                     'upstream "local" { default = yes; self_scan = yes; }' % self.milter_port)
        self.setting(override, 'milter_headers.conf', 'use = ["authentication-results"];')
        for path in glob.glob('/etc/rspamd/modules.d/*.conf'):
            name = os.path.basename(path)
            if name[:-5] not in MODULES:
                self.setting(override, name, 'enabled = false;')
        user = pwd.getpwnam('_rspamd')
        for parent, _, names in os.walk(folder):
            for name in [''] + names:
                os.chown(os.path.join(parent, name), user.pw_uid, user.pw_gid)

    @staticmethod
    def setting(folder, name, text):
        with open(os.path.join(folder, name), 'w', encoding='ascii') as out:
            out.write(text + '\n')

    def start(self):
        data = os.path.join(self.folder, 'data')
        command = ['rspamd', '-f', '-u', '_rspamd', '-g', '_rspamd', '-c',
                   '/etc/rspamd/rspamd.conf']
        for name, value in (('LOCAL_CONFDIR', os.path.join(self.folder, 'conf')),
                            ('DBDIR', data), ('RUNDIR', data), ('LOGDIR', data)):
            command.append('--var=%s=%s' % (name, value))
        with open(os.path.join(self.folder, 'rspamd.log'), 'ab') as log:
            self.process = subprocess.Popen(command, stdout=log, stderr=log,
                                            stdin=subprocess.DEVNULL)
        until(self.answers, 'rspamd answers', 120)

    def answers(self):
        if self.process.poll() is not None:
            with open(os.path.join(self.folder, 'rspamd.log'), encoding='utf-8',
                      errors='replace') as log:
                raise SystemExit('rspamd did not start:\n' + ''.join(log.readlines()[-30:]))
        try:
            with urllib.request.urlopen('http://127.0.0.1:%d/ping' % self.port, timeout=2) as got:
                return got.read().startswith(b'pong')
        except OSError:
            return False

    def stop(self):
        if self.process:
            self.process.terminate()
            try:
                self.process.wait(20)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
            self.process = None
