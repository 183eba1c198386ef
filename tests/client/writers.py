# SPDX-License-Identifier: GPL-3.0-or-later
"""Replies as a user's programs write them: signed by the user's key, then encrypted to the certificate
that came with the message answered. Each writer knows only what a client knows: the user's PKCS#12,
the root, and what arrived."""
import base64
import email.utils
import os
import re
import uuid

import judge
import mail


def letter_of(signed):
    """(protected header, {address: certificate PEM}) of the signed message inside a sealed one."""
    content, signature = judge.signed_parts(signed)
    listing = judge.run(['openssl', 'pkcs7', '-inform', 'DER', '-print_certs'], signature)
    certs = {}
    for pem in re.findall(rb'-----BEGIN.*?-----END CERTIFICATE-----\n', listing, re.DOTALL):
        for address in judge.run(['openssl', 'x509', '-noout', '-email'], pem).decode().split():
            certs[address] = pem
    return mail.split(content)[0], certs


class Letter:
    """What a reply answers: where it goes, what it refers to. A client that replies to all encrypts to
    the alias as well."""

    def __init__(self, user, sealed, alias):
        header, certs = letter_of(mail.to_crlf(user.decrypt(sealed)))
        self.to = judge.from_address(mail.split(sealed)[0])
        self.sealed = sealed
        self.everybody = [self.to, alias]
        self.certs = [certs[one] for one in self.everybody]
        self.ident = mail.field_value(header, b'Message-ID').decode()
        self.subject = mail.field_value(header, b'Subject').decode()


def entity(text):
    return ('Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n\r\n' +
            text).encode()


def outer(mailbox, letter, der):
    """(Message-ID, whole message) of a reply whose body is CMS."""
    ident = '<%s@%s>' % (uuid.uuid4(), mailbox.split('@')[1])
    lines = ['From: Alice Liddell <%s>' % mailbox, 'To: <%s>' % letter.to,
             'Subject: Re: ' + letter.subject, 'Date: ' + email.utils.formatdate(),
             'Message-ID: ' + ident, 'In-Reply-To: ' + letter.ident,
             'References: ' + letter.ident, 'MIME-Version: 1.0',
             'Content-Type: application/pkcs7-mime; smime-type=enveloped-data; name="smime.p7m"',
             'Content-Transfer-Encoding: base64', 'Content-Disposition: attachment; '
             'filename="smime.p7m"', '', '']
    return ident, '\r\n'.join(lines).encode() + mail.to_crlf(base64.encodebytes(der))


def multipart_signed(content, signature):
    border = uuid.uuid4().hex.encode()
    return (b'Content-Type: multipart/signed; protocol="application/pkcs7-signature"; '
            b'micalg=sha-256;\r\n boundary="' + border + b'"\r\n\r\n--' + border + b'\r\n' + content +
            b'\r\n--' + border + b'\r\nContent-Type: application/pkcs7-signature; name="smime.p7s"'
            b'\r\nContent-Transfer-Encoding: base64\r\n\r\n' +
            mail.to_crlf(base64.encodebytes(signature)) + b'--' + border + b'--\r\n')


class OpenSsl:
    """openssl cms; words: how it is signed and encrypted."""

    def __init__(self, user, sign=(), cipher='-aes-256-cbc'):
        self.user = user
        self.sign = sign
        self.cipher = cipher
        self.chain = os.path.join(user.folder, 'chain.pem')
        judge.run(['openssl', 'pkcs12', '-in', user.p12, '-passin', 'pass:' + user.passphrase,
                   '-nokeys', '-cacerts', '-out', self.chain])

    def seal(self, letter, text):
        paths = [os.path.join(self.user.folder, 'recipient%d.pem' % i)
                 for i in range(len(letter.certs))]
        for path, cert in zip(paths, letter.certs):
            with open(path, 'wb') as out:
                out.write(cert)
        signed = judge.run(['openssl', 'cms', '-sign', '-md', 'sha256', '-signer',
                            self.user.identity, '-inkey', self.user.identity, '-certfile',
                            self.chain, *self.sign], entity(text))
        return judge.run(['openssl', 'cms', '-encrypt', '-binary', self.cipher, '-outform', 'DER',
                          *paths], mail.to_crlf(signed))


class Nss:
    """cmsutil over a judge.Nss. Reading a message brings the certificates it came with, as it does in
    the mail programs above this library."""

    def __init__(self, nss):
        self.nss = nss
        listing = judge.run(['certutil', '-L', '-d', nss.db]).decode()
        self.own = next(line.rsplit(None, 1)[0] for line in listing.splitlines()
                        if line.endswith('u,u,u'))

    def seal(self, letter, text):
        self.nss.open(letter.sealed, keep=True)
        content = entity(text)
        signature = judge.run(['cmsutil', '-S', '-d', self.nss.db, '-N', self.own, '-H', 'SHA256',
                               '-T', '-G', '-P', '-i', self.nss.file('content', content)])
        return judge.run(['cmsutil', '-E', '-d', self.nss.db, '-r', ','.join(letter.everybody), '-i',
                          self.nss.file('signed', multipart_signed(content, signature))])


class Gpgsm:
    """gpgsm over a judge.Gpgsm, which keeps the certificates of what it verifies."""

    def __init__(self, gpgsm):
        self.gpgsm = gpgsm

    def run(self, *words):
        return judge.run([*self.gpgsm.with_key, '--output', '-', *words], self.gpgsm.passphrase,
                         self.gpgsm.env)

    def seal(self, letter, text):
        self.gpgsm.open(letter.sealed)
        content = entity(text)
        signature = self.run('--detach-sign', self.gpgsm.file('content', content))
        recipients = [word for one in letter.everybody for word in ('--recipient', one)]
        return self.run('--encrypt', *recipients, self.gpgsm.file(
            'signed', multipart_signed(content, signature)))
