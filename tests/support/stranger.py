# SPDX-License-Identifier: GPL-3.0-or-later
"""Strangers who have S/MIME certificates of their own, by openssl: who issues them, signs with them,
and reads what is encrypted to them."""
import os
import subprocess
import tempfile

import judge
import mail


def openssl(*words, data=None):
    done = subprocess.run(['openssl', *words], input=data, capture_output=True, check=False)
    if done.returncode:
        raise AssertionError('openssl %s: %s' % (' '.join(words), done.stderr.decode()))
    return done.stdout


def gpgsm_reads(path, passphrase):
    """Of files in the old form gpgsm 2.2 cannot open one in fifty: old_reader.h says why."""
    with tempfile.TemporaryDirectory() as home:
        env = {**os.environ, 'GNUPGHOME': home}
        done = subprocess.run(['gpgsm', '--batch', '--disable-dirmngr', '--pinentry-mode', 'loopback',
                               '--passphrase-fd', '0', '--import', path], env=env, check=False,
                              input=passphrase.encode() + b'\n', capture_output=True)
        subprocess.run(['gpgconf', '--kill', 'all'], env=env, check=False)
    return b'decrypting the PKCS#12' not in done.stderr


class Authority:
    def __init__(self, folder, name):
        """name: common name"""
        self.folder = folder
        self.path = os.path.join(folder, name.replace(' ', '-'))
        self.cert = self.path + '.pem'
        openssl('req', '-x509', '-newkey', 'rsa:2048', '-nodes', '-keyout', self.path + '.key',
                '-out', self.cert, '-days', '3650', '-subj', '/CN=' + name, '-addext',
                'keyUsage=critical,keyCertSign,cRLSign')

    def issue(self, address, ident=None, key='rsa:2048', days=300,
              usage='digitalSignature,keyEncipherment', purpose='emailProtection'):
        """key: of openssl req -newkey; days: until the end, may be negative; purpose: extended
        key usage"""
        return Stranger(self, address, ident or address, key, days, (usage, purpose))


class Stranger:
    def __init__(self, authority, address, ident, key, days, uses):
        self.address = address
        self.authority = authority
        path = os.path.join(authority.folder, ident)
        self.cert, self.key = path + '.pem', path + '.key'
        extensions = path + '.ext'
        with open(extensions, 'w', encoding='ascii') as file:
            file.write('keyUsage=critical,%s\nextendedKeyUsage=%s\n'
                       'subjectAltName=email:%s\n' % (*uses, address))
        new = ['-newkey', key] if key.startswith('rsa') else \
            ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:' + key]
        openssl('req', *new, '-nodes', '-keyout', self.key, '-out', path + '.csr', '-subj',
                '/CN=' + ident)
        openssl('x509', '-req', '-in', path + '.csr', '-CA', authority.cert, '-CAkey',
                authority.path + '.key', '-CAcreateserial', '-days', str(days), '-extfile',
                extensions, '-out', self.cert)

    def sign(self, entity, *options, detached=True, second=None):
        """An entity, CRLF, signed: multipart/signed or opaque. second: another signer besides"""
        words = ['cms', '-sign', '-signer', self.cert, '-inkey', self.key]
        if second:
            words += ['-signer', second.cert, '-inkey', second.key]
        words += ['-binary', '-crlfeol', *options] + ([] if detached else ['-nodetach'])
        return mail.to_crlf(openssl(*words, data=entity).replace(b'\r\n', b'\n'))

    def decrypt(self, data):
        return openssl('cms', '-decrypt', '-binary', '-recip', self.cert, '-inkey', self.key,
                       data=data)

    def user(self, folder):
        """The same person with other people's programs: judge.Nss, judge.Gpgsm."""
        path = os.path.join(folder, 'stranger.p12')
        self.write_p12(path)
        while not gpgsm_reads(path, 'secret'):
            self.write_p12(path)
        return judge.User({'root': self.authority.cert, 'p12': path, 'p12_passphrase': 'secret'},
                          folder)

    def write_p12(self, path):
        """In the old form."""
        old = ['-keypbe', 'PBE-SHA1-3DES', '-certpbe', 'PBE-SHA1-3DES', '-macalg', 'sha1']
        openssl('pkcs12', '-export', '-inkey', self.key, '-in', self.cert, '-certfile',
                self.authority.cert, '-name', 'stranger', *old, '-passout', 'pass:secret', '-out',
                path)

    def fingerprint(self):
        text = openssl('x509', '-in', self.cert, '-noout', '-fingerprint', '-sha256').decode()
        return text.split('=')[1].strip().replace(':', '').lower()
