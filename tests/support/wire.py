# SPDX-License-Identifier: GPL-3.0-or-later
"""A mail session as bytes on a socket: what is sent goes out as it is, cut where the test says, and
every reply that came back is in the transcript, whether it was asked for or not."""
import re
import select
import socket
import ssl
import struct
import time

PATIENCE = 30


class Wire:
    """One connection. Replies are read by count, or all of them to the end of the connection."""

    def __init__(self, port, host='127.0.0.1', source=None):
        self.sock = socket.create_connection((host, port), PATIENCE,
                                             source_address=(source, 0) if source else None)
        self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.port = port
        self.unread = b''

    def __enter__(self):
        return self

    def __exit__(self, *failure):
        self.sock.close()

    def send(self, data):
        """False when the other side has closed already."""
        try:
            self.sock.sendall(data)
            return True
        except (OSError, ssl.SSLError):
            return False

    def send_cut(self, data, cuts):
        """data in pieces that the server reads one by one: each is out of its socket before the
        next is sent."""
        start = 0
        for cut in sorted(cuts):
            if not self.send(data[start:cut]):
                return
            self.wait_read()
            start = cut
        self.send(data[start:])

    def wait_read(self):
        """Until the server has taken from its socket all we sent."""
        ours = b'0100007F:%04X' % self.sock.getsockname()[1]
        theirs = b'0100007F:%04X' % self.port
        busy = re.compile(rb'%s %s \w\w \w{8}:(?!0{8})|%s %s \w\w (?!0{8})'
                          % (theirs, ours, ours, theirs))
        end = time.monotonic() + PATIENCE
        while time.monotonic() < end:
            with open('/proc/net/tcp', 'rb') as table:
                if not busy.search(table.read()):
                    return
            time.sleep(0.0002)
        raise AssertionError('the server does not read')

    def _more(self):
        """False at the end of the connection, or of patience: then a reply of ours says so."""
        try:
            data = self.sock.recv(65536)
        except TimeoutError:
            self.unread += b'999 timed out\r\n'
            return False
        except ssl.SSLError:
            data = b''
        except ConnectionError:
            data = b''
        self.unread += data
        return bool(data)

    def _take(self):
        """The next whole reply, or None."""
        found = re.match(rb'(?:\d{3}-[^\n]*\n)*\d{3}(?: [^\n]*)?\n', self.unread)
        if not found:
            return None
        self.unread = self.unread[found.end():]
        return found.group().decode('utf-8', 'replace').rstrip('\r\n')

    def replies(self, count):
        """The next count replies; fewer when the connection ends."""
        got = []
        while len(got) < count:
            reply = self._take()
            if reply is not None:
                got.append(reply)
            elif not self._more():
                break
        return got

    def reply(self):
        got = self.replies(1)
        return got[0] if got else ''

    def rest(self):
        """Say no more, and read every reply there is."""
        try:
            socket.socket.shutdown(self.sock, socket.SHUT_WR)  # TLS stays readable
        except OSError:
            pass
        while self._more():
            pass
        return self.replies(1 << 20)

    def ask(self, data, count=1):
        self.send(data)
        return self.replies(count)

    def reset(self):
        """Break the connection off without a word."""
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack('ii', 1, 0))
        self.sock.close()

    def start_tls(self):
        """Shake hands; whatever lies unread in clear stays in the transcript."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        self.sock = context.wrap_socket(self.sock)

    def is_closed(self, seconds):
        """Does the server close within that time? What it says meanwhile stays unread."""
        end = time.monotonic() + seconds
        while True:
            ready, _, _ = select.select([self.sock], [], [], max(0, end - time.monotonic()))
            if not ready:
                return False
            if not self._more():
                return True


def codes(replies):
    return ' '.join(reply.splitlines()[-1][:3] for reply in replies)


def matches(replies, wanted):
    """wanted: the replies' codes, "|" between alternatives; a code may name its enhanced status,
    as 550/5.6.0, and stand for several, as 250*3."""
    for alternative in wanted.split('|'):
        tokens = []
        for token in alternative.split():
            token, _, times = token.partition('*')
            tokens += [token] * int(times or 1)
        if len(tokens) == len(replies) and all(map(_is, replies, tokens)):
            return True
    return False


def _is(reply, token):
    code, _, status = token.partition('/')
    line = reply.splitlines()[-1]
    return line[:3] == code and (not status or line[4:].split(' ')[0] == status)
