# SPDX-License-Identifier: GPL-3.0-or-later
"""Is a sealed message what it must be? The answer comes from openssl cms, NSS and gpgsm."""
import base64
import os
import re
import subprocess
import tempfile

import mail

HP = b'; hp="cipher"'


class Wrong(Exception):
    """What a judge found; its text names the rule."""


def run(args, data=None, env=None):
    done = subprocess.run(args, input=data, capture_output=True, check=False,
                          env={**os.environ, **(env or {})})
    if done.returncode != 0:
        detail = done.stderr.decode('utf-8', 'replace').strip().splitlines()
        raise Wrong('%s: %s' % (' '.join(args[:3]), detail[-1] if detail else done.returncode))
    return done.stdout


class User:
    """The user's key, certificate and root, as files a client would hold."""

    def __init__(self, relay, folder):
        self.root = relay['root']
        self.p12 = relay['p12']
        self.passphrase = relay['p12_passphrase']
        self.folder = folder
        self.identity = os.path.join(folder, 'identity.pem')
        run(['openssl', 'pkcs12', '-in', self.p12, '-passin', 'pass:' + self.passphrase, '-nodes',
             '-out', self.identity])

    def decrypt(self, data):
        """The signed message inside a sealed one."""
        return run(['openssl', 'cms', '-decrypt', '-inkey', self.identity, '-recip',
                    self.identity], data)

    def verify(self, signed):
        """(signed entity, addresses of the signer's certificate)"""
        with tempfile.NamedTemporaryFile(dir=self.folder) as signer:
            entity = run(['openssl', 'cms', '-verify', '-CAfile', self.root, '-purpose',
                          'smimesign', '-crlfeol', '-signer', signer.name], signed)
            emails = run(['openssl', 'x509', '-in', signer.name, '-noout', '-email'])
        return entity, emails.decode().split()

    def open(self, sealed):
        return self.verify(self.decrypt(sealed))


def from_address(header):
    """The one address of a From field that the relay wrote."""
    values = [whole for name, whole in mail.fields(header) if name.lower() == b'from']
    if len(values) != 1:
        raise Wrong('%d From fields outside' % len(values))
    found = re.findall(rb'<([^<>]*)>', values[0])
    if len(found) != 1:
        raise Wrong('From has not one address')
    return found[0].decode()


def same_content(original, entity):
    """Content-* fields in order and byte for byte, hp aside; body byte for byte."""
    header, body = mail.split(original)
    inner_header, inner_body = mail.split(entity)
    want, got = mail.content_fields(header), mail.content_fields(inner_header)
    if not any(whole.lower().startswith(b'content-type') for whole in want) and got:
        if b'Content-Type: text/plain' + HP + b'\r\n' in got:
            got.remove(b'Content-Type: text/plain' + HP + b'\r\n')
    if len(want) != len(got):
        raise Wrong('%d Content-* fields became %d' % (len(want), len(got)))
    for a, b in zip(want, got):
        if a != b and a[:-2] + HP + b'\r\n' != b:
            raise Wrong('a Content-* field differs')
    if body != inner_body:
        raise Wrong('body differs (%d bytes became %d)' % (len(body), len(inner_body)))


def is_smime(header):
    """'signed', 'other' or None, by the root Content-Type alone (DESIGN: mail that is S/MIME)."""
    value = (mail.field_value(header, b'Content-Type') or b'').lower()
    kind = value.split(b';')[0].strip()
    if kind == b'multipart/signed' and b'pkcs7-signature' in value:
        return 'signed'
    if kind in (b'application/pkcs7-mime', b'application/x-pkcs7-mime'):
        signed = re.search(rb'smime-type\s*=\s*"?(signed-data|certs-only)', value)
        return 'signed' if signed else 'other'
    return None


def children(entity):
    """The parts of a multipart the relay made."""
    header, body = mail.split(entity)
    value = mail.field_value(header, b'Content-Type') or b''
    found = re.search(rb'boundary="?([^";]+)"?', value)
    if not value.lower().startswith(b'multipart/mixed') or not found:
        raise Wrong('S/MIME mail is not wrapped in multipart/mixed')
    marker = b'--' + found.group(1)
    parts = (b'\r\n' + body).split(b'\r\n' + marker)
    if len(parts) < 3 or not parts[-1].startswith(b'--'):
        raise Wrong('multipart is not closed')
    return [part.split(b'\r\n', 1)[1] for part in parts[1:-1]]


def same_wrapped(original, entity, kind):
    header, body = mail.split(original)
    parts = children(entity)
    if kind == 'signed':
        if len(parts) != 1:
            raise Wrong('signed mail has %d siblings' % (len(parts) - 1))
        inner = parts[0]
    else:
        if len(parts) != 2:
            raise Wrong('encrypted mail stands among %d parts' % len(parts))
        inner = mail.split(parts[1])[1]
    inner_header, inner_body = mail.split(inner)
    if mail.content_fields(header) != mail.content_fields(inner_header):
        raise Wrong('wrapped Content-* fields differ')
    if body != inner_body:
        raise Wrong('wrapped body differs')


def judge(user, original, sealed):
    """Raises Wrong unless sealed is the original, signed by its From and encrypted to the user."""
    sealed = mail.to_crlf(sealed)
    judge_opened(original, sealed, *user.open(sealed))


def judge_opened(original, sealed, entity, signers):
    """The same of a message that user.open() has opened."""
    outer, _ = mail.split(mail.to_crlf(sealed))
    if b'application/pkcs7-mime' not in (mail.field_value(outer, b'Content-Type') or b''):
        raise Wrong('what arrived is not sealed')
    sender = from_address(outer)
    if sender not in signers or sender != sender.lower():
        raise Wrong('From is not the signer')
    inner, _ = mail.split(entity)
    if from_address(inner) != sender:
        raise Wrong('protected From differs')
    kind = is_smime(mail.split(original)[0])
    if kind:
        same_wrapped(original, entity, kind)
    else:
        same_content(original, entity)


# ---- NSS and gpgsm: do the libraries behind the clients open it too? ----

def cms_der(message):
    return base64.b64decode(mail.split(mail.to_crlf(message))[1])


def signed_parts(signed):
    """(content bytes as signed, signature DER) of a multipart/signed"""
    header, body = mail.split(signed)
    boundary = re.search(rb'boundary="?([^";]+)"?',
                         mail.field_value(header, b'Content-Type')).group(1)
    parts = (b'\r\n' + body).split(b'\r\n--' + boundary)
    content = parts[1].split(b'\r\n', 1)[1]
    signature = parts[2].split(b'\r\n', 1)[1]
    return content, base64.b64decode(mail.split(signature)[1])


class Nss:
    """NSS, the library of Thunderbird and Evolution."""

    def __init__(self, user, folder):
        self.db = 'sql:' + folder
        self.folder = folder
        run(['certutil', '-N', '-d', self.db, '--empty-password'])
        run(['certutil', '-A', '-d', self.db, '-n', 'root', '-t', ',C,', '-i', user.root])
        run(['pk12util', '-d', self.db, '-i', user.p12, '-W', user.passphrase])

    def file(self, name, data):
        path = os.path.join(self.folder, name)
        with open(path, 'wb') as out:
            out.write(data)
        return path

    def decrypt(self, sealed):
        return run(['cmsutil', '-D', '-d', self.db, '-i', self.file('sealed', cms_der(sealed))])

    def open(self, sealed, keep=False):
        """keep: the certificates that came with it are kept for writing to whom they name."""
        signed = mail.to_crlf(self.decrypt(sealed))
        content, signature = signed_parts(signed)
        files = ['-c', self.file('content', content), '-i', self.file('signature', signature), '-o',
                 '/dev/null']
        run(['cmsutil', '-D', '-d', self.db, '-u', '4', *files])
        if keep:
            run(['cmsutil', '-D', '-k', '-d', self.db, '-u', '5', *files])
        return content


class Gpgsm:
    """gpgsm, the program behind KMail, Kleopatra and mutt."""

    def __init__(self, user, folder, compatible_p12):
        os.chmod(folder, 0o700)
        self.env = {'GNUPGHOME': folder}
        self.folder = folder
        root = run(['openssl', 'x509', '-in', user.root, '-noout', '-fingerprint', '-sha1'])
        fingerprint = root.decode().split('=')[1].strip()
        with open(os.path.join(folder, 'trustlist.txt'), 'w', encoding='ascii') as out:
            out.write('%s S relax\n' % fingerprint)
        self.passphrase = user.passphrase.encode() + b'\n'
        self.gpgsm = ['gpgsm', '--batch', '--disable-dirmngr', '--disable-crl-checks']
        self.with_key = self.gpgsm + ['--pinentry-mode', 'loopback', '--passphrase-fd', '0']
        run(self.gpgsm + ['--import', user.root], env=self.env)
        run(self.with_key + ['--import', compatible_p12], self.passphrase, env=self.env)

    def file(self, name, data):
        path = os.path.join(self.folder, name)
        with open(path, 'wb') as out:
            out.write(data)
        return path

    def decrypt(self, sealed):
        path = self.file('sealed', cms_der(sealed))
        return run(self.with_key + ['--decrypt', path], self.passphrase, env=self.env)

    def open(self, sealed):
        signed = mail.to_crlf(self.decrypt(sealed))
        content, signature = signed_parts(signed)
        run(self.gpgsm + ['--verify', self.file('signature', signature),
                          self.file('content', content)], env=self.env)
        return content

    def close(self):
        subprocess.run(['gpgconf', '--kill', 'all'], env={**os.environ, **self.env}, check=False)
