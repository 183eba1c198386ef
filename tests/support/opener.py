# SPDX-License-Identifier: GPL-3.0-or-later
"""openssl cms -decrypt and -verify without a process a message: for a thousand of them at once.

The same functions of libcrypto with the same flags as judge.User asks of the openssl command.
"""
import ctypes

import judge

CRYPTO = ctypes.CDLL('libcrypto.so.3')
CRLFEOL = 0x1000000
PURPOSE_SMIME_SIGN = 4
POINTERS = ('BIO_new', 'BIO_s_mem', 'BIO_new_mem_buf', 'PEM_read_bio_X509',
            'PEM_read_bio_PrivateKey', 'X509_STORE_new', 'SMIME_read_CMS', 'CMS_get0_signers',
            'X509_get1_email', 'OPENSSL_sk_value')
for _name in POINTERS:
    getattr(CRYPTO, _name).restype = ctypes.c_void_p
CRYPTO.ERR_get_error.restype = ctypes.c_ulong


def call(name, *args):
    """A call whose arguments are pointers (int, bytes, None) or c_long."""
    return getattr(CRYPTO, name)(*(ctypes.c_void_p(a) if isinstance(a, int) else a for a in args))


def must(result, what):
    if not result or result < 0:
        text = ctypes.create_string_buffer(256)
        CRYPTO.ERR_error_string_n(ctypes.c_ulong(CRYPTO.ERR_get_error()), text, 256)
        call('ERR_clear_error')
        raise judge.Wrong('%s: %s' % (what, text.value.decode()))
    return result


class Bio:
    """Memory to read from, or to write to."""

    def __init__(self, data=None):
        self.data = data
        if data is None:
            self.at = call('BIO_new', call('BIO_s_mem'))
        else:
            self.at = call('BIO_new_mem_buf', data, ctypes.c_int(len(data)))

    def __enter__(self):
        return self.at

    def __exit__(self, *failure):
        call('BIO_free', self.at)


def content(bio):
    data = b''
    piece = ctypes.create_string_buffer(65536)
    while True:
        got = call('BIO_read', bio, piece, ctypes.c_int(len(piece)))
        if got <= 0:
            return data
        data += piece.raw[:got]


class Opener:
    """What a judge.User opens, in this process."""

    def __init__(self, user):
        with open(user.identity, 'rb') as file:
            identity = file.read()
        with open(user.root, 'rb') as file:
            root = file.read()
        with Bio(identity) as bio:
            self.key = must(call('PEM_read_bio_PrivateKey', bio, None, None, None), 'key')
        with Bio(identity) as bio:
            self.cert = must(call('PEM_read_bio_X509', bio, None, None, None), 'certificate')
        self.store = must(call('X509_STORE_new'), 'store')
        with Bio(root) as bio:
            trusted = must(call('PEM_read_bio_X509', bio, None, None, None), 'root')
        must(call('X509_STORE_add_cert', self.store, trusted), 'root')
        must(CRYPTO.X509_STORE_set_purpose(ctypes.c_void_p(self.store),
                                           ctypes.c_int(PURPOSE_SMIME_SIGN)), 'purpose')

    def decrypt(self, sealed):
        with Bio(sealed) as source, Bio() as out:
            cms = must(call('SMIME_read_CMS', source, None), 'reading')
            try:
                must(call('CMS_decrypt', cms, self.key, self.cert, None, out, ctypes.c_uint(0)),
                     'decrypting')
                return content(out)
            finally:
                call('CMS_ContentInfo_free', cms)

    def verify(self, signed):
        detached = ctypes.c_void_p()
        with Bio(signed) as source, Bio() as out:
            cms = must(call('SMIME_read_CMS', source, ctypes.byref(detached)), 'reading')
            try:
                must(call('CMS_verify', cms, None, self.store, detached.value, out,
                          ctypes.c_uint(CRLFEOL)), 'verifying')
                return content(out), self.signers(cms)
            finally:
                call('BIO_free', detached.value)
                call('CMS_ContentInfo_free', cms)

    @staticmethod
    def signers(cms):
        signers = must(call('CMS_get0_signers', cms), 'signers')
        if CRYPTO.OPENSSL_sk_num(ctypes.c_void_p(signers)) != 1:
            raise judge.Wrong('not one signer')
        emails = must(call('X509_get1_email', call('OPENSSL_sk_value', signers, ctypes.c_int(0))),
                      'addresses')
        found = []
        for i in range(CRYPTO.OPENSSL_sk_num(ctypes.c_void_p(emails))):
            email = call('OPENSSL_sk_value', emails, ctypes.c_int(i))
            found.append(ctypes.string_at(email).decode())
        call('X509_email_free', emails)
        call('OPENSSL_sk_free', signers)
        return found

    def open(self, sealed):
        return self.verify(self.decrypt(sealed))
