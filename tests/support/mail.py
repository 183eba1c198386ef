# SPDX-License-Identifier: GPL-3.0-or-later
"""Messages as bytes, an SMTP client that sends them as they are, and a Maildir to find them in.

Shared by the tests. Nothing here parses mail as the relay does: a judge that shares the
defendant's parser acquits it.
"""
import os
import re
import socket
import time


def to_crlf(data):
    """What a sender puts on the wire: every lone LF becomes CRLF, the last line has one too."""
    wire = re.sub(rb'(?<!\r)\n', b'\r\n', data)
    return wire if not wire or wire.endswith(b'\r\n') else wire + b'\r\n'


def split(data):
    """(header block, body): the body begins after the first empty line."""
    if data.startswith(b'\r\n'):
        return b'', data[2:]
    at = data.find(b'\r\n\r\n')
    return (data, b'') if at < 0 else (data[:at + 2], data[at + 4:])


def fields(header):
    """[(name, whole field with its CRLF)]; a line without colon belongs to no field."""
    found = []
    open_field = False
    for line in header.split(b'\r\n')[:-1]:
        if line[:1] in (b' ', b'\t'):
            if open_field:
                found[-1][1] += line + b'\r\n'
            continue
        name, colon, _ = line.partition(b':')
        open_field = bool(colon) and bool(re.fullmatch(rb'[!-9;-~]+[ \t]*', name))
        if open_field:
            found.append([name.rstrip(b' \t'), line + b'\r\n'])
    return [(name, whole) for name, whole in found]


def content_fields(header):
    return [whole for name, whole in fields(header) if name.lower().startswith(b'content-')]


def field_value(header, wanted):
    for name, whole in fields(header):
        if name.lower() == wanted.lower():
            value = whole.split(b':', 1)[1]
            return re.sub(rb'\r\n(?=[ \t])', b'', value).strip()
    return None


class Refused(Exception):
    def __init__(self, code, text):
        super().__init__(text)
        self.code = code
        self.text = text


class Smtp:
    """One SMTP or LMTP session; lines and messages go out byte for byte."""

    def __init__(self, where, hello='EHLO client.example.net', timeout=60, source='127.0.0.1'):
        """where: a TCP port on loopback, or the path of a unix socket; source: own address"""
        if isinstance(where, int):
            self.sock = socket.create_connection(('127.0.0.1', where), timeout=timeout,
                                                 source_address=(source, 0))
        else:
            self.sock = socket.socket(socket.AF_UNIX)
            self.sock.settimeout(timeout)
            self.sock.connect(where)
        self.file = self.sock.makefile('rb')
        self.expect('2')
        self.extensions = self.command(hello)

    def reply(self):
        lines = []
        while True:
            line = self.file.readline()
            if not line:
                raise ConnectionError('connection closed')
            lines.append(line.decode('utf-8', 'replace').rstrip('\r\n'))
            if line[3:4] != b'-':
                return int(line[:3]), '\n'.join(lines)

    def expect(self, kind):
        code, text = self.reply()
        if not str(code).startswith(kind):
            raise Refused(code, text)
        return text

    def command(self, line, kind='2'):
        self.sock.sendall(line.encode() if isinstance(line, str) else line)
        self.sock.sendall(b'\r\n')
        return self.expect(kind)

    def send(self, mail_from, rcpts, data):
        """One transaction; data with CRLF line ends as it is. Returns the last answer."""
        self.command('MAIL FROM:<%s> BODY=8BITMIME' % mail_from)
        for rcpt in rcpts:
            self.command('RCPT TO:<%s>' % rcpt)
        self.command('DATA', '3')
        stuffed = re.sub(rb'(^|\r\n)\.', rb'\1..', data)
        self.sock.sendall(stuffed + b'.\r\n')
        return self.expect('2')

    def close(self):
        try:
            self.sock.sendall(b'QUIT\r\n')
        except OSError:
            pass
        self.sock.close()


def send_retrying(port, mail_from, rcpt, data, tries=120):
    """Send one message in a session of its own; a 4xx is tried again. Raises Refused on 5xx."""
    last = None
    for attempt in range(tries):
        session = None
        try:
            session = Smtp(port)
            return session.send(mail_from, [rcpt], data)
        except Refused as refusal:
            if refusal.code >= 500:
                raise
            last = refusal
        except (OSError, ConnectionError) as error:
            last = Refused(0, 'connection: %s' % error)
        finally:
            if session:
                session.close()
        time.sleep(min(0.2 * (attempt + 1), 2))
    raise last


class Maildir:
    """The new/ folder of a Maildir; names once handed out are not handed out again."""

    def __init__(self, path):
        self.path = os.path.join(path, 'new')
        self.seen = set(self.names())

    def names(self):
        try:
            return sorted(os.listdir(self.path))
        except FileNotFoundError:
            return []

    def fresh(self):
        names = [name for name in self.names() if name not in self.seen]
        self.seen.update(names)
        return [os.path.join(self.path, name) for name in names]

    def wait(self, count=1, seconds=60):
        """The next messages to arrive; fewer when time runs out."""
        got = []
        end = time.monotonic() + seconds
        while len(got) < count and time.monotonic() < end:
            new = self.fresh()
            got += new
            if not new:
                time.sleep(0.01)
        return got
