# SPDX-License-Identifier: GPL-3.0-or-later
"""Messages that can be followed: a marker for the header, which the next hop may see, and another
for the content, which nobody may."""
import base64
import os
import re
import time
import uuid

import mail

IDENT = re.compile(rb'<(m[0-9a-f]{16})@client\.example\.net>')


def marker():
    return b'm' + uuid.uuid4().hex[:16].encode()


def secret(name):
    return name[::-1]


def sender(name):
    return '%s@client.example.net' % name.decode()


def message(name, size, mail_from=None):
    address = (mail_from or sender(name)).encode()
    return (b'From: Marked %s <%s>\r\nTo: <shop@relay.example.com>\r\n'
            b'Subject: about %s\r\nMessage-ID: <%s@client.example.net>\r\n'
            b'Date: Sun, 22 Nov 2026 10:00:00 +0000\r\n\r\n' % (name, address, name, name)
            + b'The word is %s here.\r\n' % secret(name) + (b'x' * 70 + b'\r\n') * (size // 72))


def content_forms(name):
    """How the content looks where it is not sealed."""
    return secret(name), base64.b64encode(b'The word is ' + secret(name))[:-4]


def word_forms(word):
    """A word as it is, and in base64 wherever it begins."""
    forms = [word]
    for shift in range(3):
        encoded = base64.b64encode(b'\0' * shift + word).rstrip(b'=')
        forms.append(encoded[(0, 2, 3)[shift]:-1])
    return forms


def in_clear(r, name):
    found = [path for form in content_forms(name) for path in r.found_in_clear(form)]
    return found + r.found_in_clear(name, next_hop_too=False)


def try_once(r, name, size):
    """True when the relay said 250."""
    session = None
    try:
        session = mail.Smtp(r.smtp_port)
        session.send(sender(name), [r.alias], message(name, size))
        return True
    except (mail.Refused, OSError, ConnectionError):
        return False
    finally:
        if session:
            session.close()


class Arrivals:
    """Which messages lie in a Maildir, each file read once."""

    def __init__(self, inbox):
        self.inbox = inbox
        self.read = set()
        self.counts = {}
        self.unsealed = []

    def look(self):
        for name in self.inbox.names():
            if name in self.read:
                continue
            self.read.add(name)
            path = os.path.join(self.inbox.path, name)
            with open(path, 'rb') as file:
                data = file.read()
            header, _ = mail.split(mail.to_crlf(data))
            found = IDENT.search(mail.field_value(header, b'Message-ID') or b'')
            if not found:
                continue
            ident = found.group(1)
            self.counts[ident] = self.counts.get(ident, 0) + 1
            if any(form in data for form in content_forms(ident)):
                self.unsealed.append(path)
        return self.counts

    def count(self, name):
        return self.look().get(name, 0)

    def wait(self, names, seconds):
        """Those of the names that did not arrive in time."""
        end = time.monotonic() + seconds
        while True:
            counts = self.look()
            missing = [name for name in names if not counts.get(name)]
            if not missing or time.monotonic() > end:
                return missing
            time.sleep(0.05)
