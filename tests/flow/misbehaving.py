# SPDX-License-Identifier: GPL-3.0-or-later
"""The next hops of next_hop.py: servers that misbehave by script, and can be told to behave; and
the certificates that they show."""
import importlib.util
import os
import re
import socket
import subprocess
import threading
import time

import mail

HERE = os.path.dirname(os.path.abspath(__file__))
spec = importlib.util.spec_from_file_location('scripted',
                                              os.path.join(HERE, '../deliver/next_hop.py'))
scripted = importlib.util.module_from_spec(spec)
spec.loader.exec_module(scripted)


class Hop(scripted.Server):
    """The scripted server in this process; it can be told to behave."""

    def __init__(self, scenario, cert=None, key=None, port=0):
        super().__init__(scenario, None, cert, key)
        if self.script.get('stall'):
            self.script = {**self.script, 'stall': 8}
        self.lock = threading.Lock()
        self.counts = {}
        self.messages, self.raw = [], []
        self.port = self.listen(port)
        threading.Thread(target=self.run, daemon=True).start()

    def uses(self):
        """Messages may come in one session or in several: the n-th is the server's n-th."""
        return {} if self.cert else self.counts

    def received(self, data):
        with self.lock:
            self.raw.append(data)

    def accepted(self, rcpt, content):
        with self.lock:
            self.messages.append(content)

    def report(self, line):
        pass

    def arrived(self):
        with self.lock:
            return list(self.messages)

    def behave(self, script, cert, key):
        self.script, self.cert, self.key, self.counts = script, cert, key, {}


class Sink:
    """smtp-sink; what it takes goes into files."""

    def __init__(self, modes, folder):
        self.folder = folder
        self.modes = modes
        self.port = free_port()
        self.process = None
        self.start(modes)

    def start(self, modes):
        os.makedirs(self.folder, exist_ok=True)
        os.chmod(self.folder, 0o777)
        self.process = subprocess.Popen(
            ['smtp-sink', '-u', 'nobody', '-d', os.path.join(self.folder, 'm.'), *modes,
             '127.0.0.1:%d' % self.port, '16'], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL)
        while not listens(self.port):
            time.sleep(0.02)

    def arrived(self):
        """smtp-sink writes what it is sent, whatever it answers; the files say X- fields first."""
        found = []
        for name in sorted(os.listdir(self.folder)):
            with open(os.path.join(self.folder, name), 'rb') as file:
                found.append(file.read())
        return [mail.to_crlf(re.sub(rb'(?s)\AX-Client-Addr.*?Received:[^\n]*\n(?:[ \t][^\n]*\n)*',
                                    b'', data).rstrip(b'\n') + b'\n') for data in found if data]

    def behave(self, *_):
        if not self.modes:
            return
        self.end()
        for name in os.listdir(self.folder):
            os.remove(os.path.join(self.folder, name))
        self.start(())

    def end(self):
        self.process.kill()
        self.process.wait()


class Hole:
    """A port that answers no SYN: its queue of connections is full. Closed, it refuses."""

    def __init__(self, full):
        self.listener = socket.socket()
        self.listener.bind(('127.0.0.1', 0))
        self.port = self.listener.getsockname()[1]
        self.waiting = []
        if full:
            self.listener.listen(0)
            for _ in range(4):
                client = socket.socket()
                client.setblocking(False)
                client.connect_ex(('127.0.0.1', self.port))
                self.waiting.append(client)

        self.hop = None

    def arrived(self):
        return self.hop.arrived() if self.hop else []

    def behave(self, *_):
        for client in self.waiting:
            client.close()
        self.listener.close()
        self.hop = Hop('good', port=self.port)


def free_port():
    with socket.socket() as probe:
        probe.bind(('127.0.0.1', 0))
        return probe.getsockname()[1]


def listens(port):
    with socket.socket() as probe:
        return probe.connect_ex(('127.0.0.1', port)) == 0


# ---- certificates ----

def certificates(folder):
    """ca.pem, and good, wrong, expired and self with their keys."""
    def path(name):
        return os.path.join(folder, name)

    def openssl(*words):
        subprocess.run(['openssl', *words], check=True, capture_output=True)

    new = ['req', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes']
    openssl(*new, '-x509', '-subj', '/CN=CA', '-days', '9', '-keyout', path('ca.key'), '-out',
            path('ca.pem'))
    names = {'good': 'DNS:localhost,IP:127.0.0.1', 'wrong': 'DNS:other.example',
             'expired': 'DNS:localhost'}
    for name, san in names.items():
        openssl(*new, '-subj', '/CN=localhost', '-keyout', path(name + '.key'), '-out',
                path(name + '.csr'))
        with open(path('extensions'), 'w', encoding='ascii') as file:
            file.write('subjectAltName=%s\n' % san)
        openssl('x509', '-req', '-in', path(name + '.csr'), '-CA', path('ca.pem'), '-CAkey',
                path('ca.key'), '-CAcreateserial', '-extfile', path('extensions'), '-out',
                path(name + '.pem'), '-days', '-1' if name == 'expired' else '9')
    openssl(*new, '-x509', '-subj', '/CN=localhost', '-days', '9', '-addext',
            'subjectAltName=DNS:localhost', '-keyout', path('self.key'), '-out', path('self.pem'))
