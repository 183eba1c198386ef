# SPDX-License-Identifier: GPL-3.0-or-later
"""A next hop that keeps every byte a client of it sends, and offers all that could tempt one to say
more than it should."""
import os
import re
import socket
import threading

OFFERS = ('PIPELINING', 'SIZE 104857600', '8BITMIME', 'SMTPUTF8', 'DSN', 'ENHANCEDSTATUSCODES',
          'AUTH PLAIN', 'XFORWARD NAME ADDR PROTO HELO IDENT SOURCE',
          'XCLIENT NAME ADDR PROTO HELO LOGIN')
BARE = ('SIZE 104857600',)


class Delivery:
    """One transaction: all that was sent for it, the session's first lines included."""

    def __init__(self, session):
        self.session = session  # bytes sent before its MAIL that belong to no other transaction
        self.envelope = b''     # from MAIL to DATA
        self.wire = b''         # behind DATA, as sent
        self.rcpts = []

    @property
    def mail_from(self):
        return re.search(rb'(?i)MAIL FROM:\s*<(.*?)>', self.envelope).group(1).decode()

    @property
    def message(self):
        return re.sub(rb'(?m)^\.(?=.)', b'', self.wire[:-3])

    @property
    def everything(self):
        return self.session + self.envelope + self.wire


class Sink:
    """Listens on loopback; refuse(rcpt) names the answer to a recipient, or None for 250."""

    def __init__(self, folder, offers=OFFERS):
        self.folder = folder
        self.offers = offers
        self.refuse = lambda rcpt: None
        self.taken = []
        self.changed = threading.Condition()
        self.server = socket.create_server(('127.0.0.1', 0))
        self.port = self.server.getsockname()[1]
        threading.Thread(target=self.serve, daemon=True).start()

    def serve(self):
        while True:
            client, _ = self.server.accept()
            threading.Thread(target=self.talk, args=(client,), daemon=True).start()

    def talk(self, client):
        with client, client.makefile('rb') as lines:
            say = lambda text: client.sendall(text.encode() + b'\r\n')
            say('220 mx.example.net ESMTP')
            session, delivery = b'', None
            try:
                for line in lines:
                    word = line.strip().upper()
                    if word.startswith(b'MAIL'):
                        delivery = Delivery(session)
                    if delivery:
                        delivery.envelope += line
                    else:
                        session += line
                    if word == b'DATA' and delivery and delivery.rcpts:
                        say('354 go on')
                        self.data(lines, delivery)
                        delivery = None
                        say('250 2.0.0 queued as sink')
                    elif word == b'QUIT':
                        say('221 bye')
                        return
                    else:
                        say(self.answer(word, line, delivery))
            except OSError:
                pass

    def answer(self, word, line, delivery):
        if word.startswith(b'EHLO'):
            words = ['mx.example.net', *self.offers]
            return '\r\n'.join('250%s%s' % (' ' if i == len(words) - 1 else '-', text)
                               for i, text in enumerate(words))
        if word.startswith(b'RCPT'):
            rcpt = re.search(rb'<(.*?)>', line).group(1).decode()
            refused = self.refuse(rcpt)
            if refused is None:
                delivery.rcpts.append(rcpt)
            return refused or '250 2.1.5 ok'
        if word == b'DATA':
            return '554 5.5.1 no recipients'
        return '250 2.0.0 ok'

    def data(self, lines, delivery):
        pieces = []
        for line in lines:
            pieces.append(line)
            if line == b'.\r\n':
                break
        delivery.wire = b''.join(pieces)
        for rcpt in delivery.rcpts:
            self.keep(rcpt, delivery.message)
        with self.changed:
            self.taken.append(delivery)
            self.changed.notify_all()

    def box(self, rcpt):
        """The Maildir of a recipient."""
        return os.path.join(self.folder, rcpt.lower())

    def keep(self, rcpt, message):
        new = os.path.join(self.box(rcpt), 'new')
        os.makedirs(new, exist_ok=True)
        path = os.path.join(self.box(rcpt), 'tmp')
        with open(path, 'wb') as file:
            file.write(message)
        with self.changed:
            os.rename(path, os.path.join(new, '%06d' % len(os.listdir(new))))

    def take(self, rcpt, seconds=30):
        """The next delivery to a recipient that was not taken yet."""
        def index():
            return next((i for i, d in enumerate(self.taken) if rcpt in d.rcpts), None)
        with self.changed:
            assert self.changed.wait_for(lambda: index() is not None, seconds), \
                'nothing came for %s' % rcpt
            return self.taken.pop(index())

    def drain(self, rcpt):
        """How many deliveries to a recipient nobody has taken; they are gone then."""
        with self.changed:
            kept = [d for d in self.taken if rcpt not in d.rcpts]
            n = len(self.taken) - len(kept)
            self.taken = kept
            return n
