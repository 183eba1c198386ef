# SPDX-License-Identifier: GPL-3.0-or-later
"""CMS that no client would write, made with libcrypto and by surgery on DER: signatures of another
day, of nobody, by a key that is not the certificate's, and content keys that do not unwrap."""
import base64
import ctypes
import os
import re
import tempfile

import judge
import mail
from opener import CRYPTO, Bio, call, content, must

for _name in ('CMS_sign', 'CMS_add1_signer', 'EVP_sha256', 'ASN1_UTCTIME_set', 'ASN1_STRING_dup'):
    getattr(CRYPTO, _name).restype = ctypes.c_void_p
DETACHED, BINARY, PARTIAL = 0x40, 0x80, 0x4000
SIGNING_TIME = 52
BOUNDARY = b'a-boundary-of-nobody'


# ---- signatures ----

def signature(identity, entity, when=None, detached=True):
    """DER of a SignedData. identity: PEM file of key and certificate; when: signingTime in
    seconds, None: now"""
    flags = ctypes.c_uint(BINARY | PARTIAL | (DETACHED if detached else 0))
    with Bio(entity) as data, Bio() as out:
        cms = must(call('CMS_sign', None, None, None, data, flags), 'signing')
        try:
            _signer_add(cms, identity, when)
            must(call('CMS_final', cms, data, None, flags), 'signing')
            must(call('i2d_CMS_bio', out, cms), 'writing')
            return content(out)
        finally:
            call('CMS_ContentInfo_free', cms)


def _signer_add(cms, identity, when):
    with open(identity, 'rb') as file:
        pem = file.read()
    with Bio(pem) as bio:
        key = must(call('PEM_read_bio_PrivateKey', bio, None, None, None), 'key')
    with Bio(pem) as bio:
        cert = must(call('PEM_read_bio_X509', bio, None, None, None), 'certificate')
    signer = must(call('CMS_add1_signer', cms, cert, key, call('EVP_sha256'), ctypes.c_uint(0)),
                  'signer')
    if when is not None:
        time = must(call('ASN1_UTCTIME_set', None, ctypes.c_long(int(when))), 'time')
        must(call('CMS_signed_add1_attr_by_NID', signer, ctypes.c_int(SIGNING_TIME),
                  ctypes.c_int(23), time, ctypes.c_int(-1)), 'signingTime')
        call('ASN1_STRING_free', time)
    call('EVP_PKEY_free', key)
    call('X509_free', cert)


def lines(der):
    return base64.encodebytes(der)


def opaque(der, kind='signed-data'):
    return (b'Content-Type: application/pkcs7-mime; smime-type=%s; name=smime.p7m\n'
            b'Content-Transfer-Encoding: base64\n\n' % kind.encode() + lines(der))


def multipart(entity, der):
    """multipart/signed. entity: LF, as it will be signed in its CRLF form"""
    return (b'Content-Type: multipart/signed; protocol="application/pkcs7-signature"; '
            b'micalg=sha-256;\n boundary="%s"\n\n--%s\n%s\n--%s\n'
            b'Content-Type: application/pkcs7-signature; name=smime.p7s\n'
            b'Content-Transfer-Encoding: base64\n\n%s--%s--\n' % (
                BOUNDARY, BOUNDARY, entity, BOUNDARY, lines(der), BOUNDARY))


def signed(identity, entity, when=None, detached=True):
    der = signature(identity, mail.to_crlf(entity), when, detached)
    return multipart(entity, der) if detached else opaque(der)


def elements(der):
    """[(tag, contents)] of DER whose lengths are definite."""
    found = []
    while der:
        length, head = der[1], 2
        if length & 0x80:
            head += length & 0x7f
            length = int.from_bytes(der[2:head], 'big')
        found.append((der[0], der[head:head + length]))
        der = der[head + length:]
    return found


def element(tag, contents):
    length = len(contents)
    octets = length.to_bytes((length.bit_length() + 7) // 8, 'big')
    return bytes([tag]) + (bytes([length]) if length < 128 else
                           bytes([0x80 | len(octets)]) + octets) + contents


def with_signers(der, times):
    """A SignedData whose SignerInfos are there so many times, RFC 5652 5.1."""
    kind, explicit = elements(elements(der)[0][1])
    parts = elements(elements(explicit[1])[0][1])
    inside = b''.join(element(*part) for part in parts[:-1])
    inside += element(parts[-1][0], parts[-1][1] * times)
    return element(0x30, element(*kind) + element(explicit[0], element(0x30, inside)))


def namesake(folder, cert, address):
    """A PEM file: another key, and a certificate that has issuer, serial number and address in
    common with cert (PEM). Whoever looks for a certificate by its name finds it."""
    def show(*words):
        return judge.run(['openssl', 'x509', '-noout', *words], cert).decode().split('=', 1)[1]
    serial = show('-serial').strip()
    issuer = show('-issuer', '-nameopt', 'RFC2253,sep_multiline,lname,utf8').strip()
    subject = ''.join('/' + line.strip().replace('/', '\\/') for line in
                      reversed(issuer.splitlines()))
    with tempfile.TemporaryDirectory() as work:
        def path(name):
            return os.path.join(work, name)
        for name, words in (('ca', ['-x509', '-subj', subject, '-utf8']),
                            ('leaf', ['-subj', '/CN=' + address])):
            judge.run(['openssl', 'req', '-new', '-newkey', 'rsa:2048', '-nodes', '-keyout',
                       path(name + '.key'), '-out', path(name + '.pem'), *words])
        with open(path('ext'), 'w', encoding='ascii') as file:
            file.write('subjectAltName=email:%s\nkeyUsage=critical,digitalSignature\n' % address)
        leaf = judge.run(['openssl', 'x509', '-req', '-in', path('leaf.pem'), '-CA', path('ca.pem'),
                          '-CAkey', path('ca.key'), '-set_serial', '0x' + serial, '-days', '30',
                          '-extfile', path('ext')])
        made = judge.run(['openssl', 'x509', '-noout', '-serial', '-issuer', '-nameopt', 'RFC2253'],
                         leaf)
        assert made == judge.run(['openssl', 'x509', '-noout', '-serial', '-issuer', '-nameopt',
                                  'RFC2253'], cert), made
        with open(path('leaf.key'), 'rb') as file:
            key = file.read()
    handle, out = tempfile.mkstemp(dir=folder, suffix='.pem')
    with os.fdopen(handle, 'wb') as file:
        file.write(key + leaf)
    return out


# ---- envelopes ----

def enveloped(data, cert, cipher, *options):
    """DER of an envelope for one certificate (PEM). options: of openssl cms, for the recipient"""
    with tempfile.NamedTemporaryFile() as file:
        file.write(cert)
        file.flush()
        return judge.run(['openssl', 'cms', '-encrypt', cipher, '-outform', 'DER', '-recip',
                          file.name, *options], data)


def modulus(cert):
    text = judge.run(['openssl', 'x509', '-noout', '-modulus'], cert).decode()
    return int(text.split('=')[1], 16)


def block(key, size=256, good=True):
    """PKCS #1 v1.5 of a content key, RFC 8017 7.2.1; bad: of a block type that is none"""
    fill = bytes(b or 1 for b in os.urandom(size - 3 - len(key)))
    return b'\0' + (b'\2' if good else b'\3') + fill + b'\0' + key


def with_key(der, cert, clear):
    """The envelope, its content key replaced by the encryption of clear, which is as long as the
    modulus."""
    made = pow(int.from_bytes(clear, 'big'), 65537, modulus(cert)).to_bytes(len(clear), 'big')
    return with_encrypted_key(der, made)


def _encrypted_key_at(der):
    found = re.search(rb'\x04\x82\x01\x00', der)
    assert found, 'no encryptedKey of 256 octets'
    return found.end()


def encrypted_key(der):
    at = _encrypted_key_at(der)
    return der[at:at + 256]


def with_encrypted_key(der, made):
    """The envelope, the 256 octets of its encryptedKey replaced."""
    at = _encrypted_key_at(der)
    return der[:at] + made + der[at + 256:]


def with_recipients_of(der, other):
    """The envelope, its recipientInfos those of another."""
    kind, explicit = elements(elements(der)[0][1])
    parts = elements(elements(explicit[1])[0][1])
    recipients = elements(elements(elements(elements(other)[0][1])[1][1])[0][1])[1]
    inside = b''.join(element(*part) for part in [parts[0], recipients, *parts[2:]])
    return element(0x30, element(*kind) + element(explicit[0], element(0x30, inside)))


def with_bit_flipped(der, at):
    return der[:at] + bytes([der[at] ^ 1]) + der[at + 1:]


def _place(der, pattern):
    printed = judge.run(['openssl', 'asn1parse', '-inform', 'DER'], der).decode()
    found = re.search(r'^ *(\d+):d=\d+ +hl=(\d+) l= *%s' % pattern, printed, re.MULTILINE)
    assert found, printed
    return int(found.group(1)) + int(found.group(2))


def wrapped_key_at(der):
    """Where in an envelope of an agreed key the wrapped content key lies, RFC 3394."""
    return _place(der, '(?:24|32|40) prim: OCTET STRING')


def point_at(der):
    """Where the originator's point on P-256 begins."""
    return _place(der, '66 prim: BIT STRING') + 1


def message(fields, der, kind='enveloped-data'):
    return mail.to_crlf(fields + opaque(der, kind))
