# SPDX-License-Identifier: GPL-3.0-or-later
"""What a user's client makes of a reply: built by openssl cms, and sent as it is."""
import email.utils
import os
import re
import tempfile
import uuid

import judge
import mail

MAILBOX = 'alice@home.example.com'
ALIAS = 'shop@relay.example.com'


def fresh_id(domain='home.example.com'):
    return '<%s@%s>' % (uuid.uuid4().hex, domain)


def fields(to, sender=MAILBOX, subject='Re: hello', ident=None, references=(), cc='', extra=b''):
    """A header without Content-*; LF."""
    text = 'From: Alice Example <%s>\nTo: %s\n' % (sender, to)
    if cc:
        text += 'Cc: %s\n' % cc
    text += 'Subject: %s\nMessage-ID: %s\nDate: %s\n' % (
        subject, ident or fresh_id(), email.utils.formatdate())
    if references:
        text += 'In-Reply-To: %s\nReferences: %s\n' % (references[-1], '\n '.join(references))
    return text.encode() + extra


def entity(body=b'Hello Bob.\n', head=b''):
    """No two are equal: what is signed twice within a second is one message sent twice."""
    body += b'-- \n%s\n' % uuid.uuid4().hex.encode()
    return head + b'Content-Type: text/plain; charset=utf-8\nContent-Transfer-Encoding: 8bit\n\n' + body


class Client:
    """A user's mail program: what is in its key folder, and what it can do with it."""

    def __init__(self, identity, folder):
        self.identity = identity  # key and certificates, PEM
        self.folder = folder

    def sign(self, data, *words, identity=None, opaque=False):
        """data: a MIME entity; words: more options of openssl cms."""
        command = ['openssl', 'cms', '-sign', '-signer', identity or self.identity, '-md', 'sha256']
        if opaque:
            command.append('-nodetach')
        return judge.run(command + list(words), data)

    def encrypt(self, data, recipients, cipher='-aes256', *words):
        """recipients: PEM texts."""
        paths = []
        for pem in recipients:
            with tempfile.NamedTemporaryFile(dir=self.folder, delete=False, suffix='.pem') as out:
                out.write(pem)
            paths.append(out.name)
        return judge.run(['openssl', 'cms', '-encrypt', cipher, *words, *paths], data)

    def sealed(self, data, recipients, **how):
        return self.encrypt(self.sign(data, **how), recipients)


def message(header, body):
    """The wire form: a header of ours, and what openssl wrote."""
    return mail.to_crlf(header + body)


def signer_of(user, sealed):
    """The certificate that a sealed message is signed with, PEM: its reverse alias's."""
    signed = user.decrypt(sealed)
    with tempfile.NamedTemporaryFile(dir=user.folder) as signer:
        judge.run(['openssl', 'cms', '-verify', '-CAfile', user.root, '-purpose', 'smimesign',
                   '-crlfeol', '-signer', signer.name], signed)
        with open(signer.name, 'rb') as file:
            return file.read()


def bag_of(user, sealed):
    """{address: PEM} of all certificates that travel with a sealed message."""
    signed = user.decrypt(sealed)
    with tempfile.NamedTemporaryFile(dir=user.folder) as bag:
        judge.run(['openssl', 'cms', '-verify', '-CAfile', user.root, '-purpose', 'smimesign',
                   '-crlfeol', '-certsout', bag.name], signed)
        with open(bag.name, 'rb') as file:
            pems = re.findall(rb'-----BEGIN CERTIFICATE-----.*?-----END CERTIFICATE-----\n',
                              file.read(), re.DOTALL)
    found = {}
    for pem in pems:
        names = judge.run(['openssl', 'x509', '-noout', '-email'], pem).decode().split()
        for name in names:
            found[name] = pem
    return found


class Box:
    """A Maildir of a correspondent at the next hop."""

    def __init__(self, relay, name):
        self.maildir = mail.Maildir(os.path.join(relay.dir, 'mail', name))

    def next(self, seconds=30):
        found = self.maildir.wait(1, seconds)
        assert len(found) == 1, '%d arrived' % len(found)
        with open(found[0], 'rb') as file:
            return mail.to_crlf(file.read())

    def nothing(self):
        found = self.maildir.fresh()
        assert not found, '%d arrived that should not' % len(found)
