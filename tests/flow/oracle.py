# SPDX-License-Identifier: GPL-3.0-or-later
"""The relay is no decryption oracle. Whatever is wrong with an envelope that comes with the user's pass,
one key is used, all of the content goes through the cipher, and the answer is the one answer: a witness
between the relay and libcrypto counts. With "timing": 2,000 interleaved pairs of good and bad padding,
by the clock of whoever sends them."""
import math
import os
import random
import re
import socket
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '../support'))
import forged
import mail
import replies
import reply
import unproven
import watch
from reply import REFUSED, Conversation, arrived, policy
from unproven_kinds import HOME, being, put

PAIRS = 2000
WARM_UP = 50
SESSION = 50  # messages
CIPHERS = {'-aes128': 16, '-aes256': 32, '-des3': 24, '-aes-128-gcm': 16, '-aes-256-gcm': 32}
VOUCHED = b'Authentication-Results: mx.example.com; dkim=pass header.d=home.example.com;\r\n' \
          b'\tdmarc=pass header.from=home.example.com\r\n'
OAEP = ('-keyopt', 'rsa_padding_mode:oaep')


class Witness:
    """Preloaded into the relay: what is given to a cipher, and how much is read through it."""

    def __init__(self, r):
        self.path = r.file('witness', b'')
        os.environ.update(WITNESS_FILE=self.path,
                          LD_PRELOAD=os.path.join(r.build, 'tests', 'flow', 'witness.so'),
                          ASAN_OPTIONS='verify_asan_link_order=0:' +
                          os.environ.get('ASAN_OPTIONS', ''))
        try:
            r.restart('sealrelayd')
        finally:
            del os.environ['LD_PRELOAD']

    def told(self):
        """(contents begun, bytes read) since it was asked last"""
        with open(self.path, 'r+', encoding='ascii') as file:
            lines = [line.split() for line in file]
            file.seek(0)
            file.truncate()
        return (sum(what == 'content' for what, _ in lines),
                sum(int(n) for what, n in lines if what == 'read'))


def transported(signed, cert, cipher, key_bytes, options):
    """{what its content key is: an envelope}: RSA"""
    def envelope():
        return forged.enveloped(signed, cert, cipher, *options)
    der = envelope()
    made = {
        'untouched': der,
        'of another envelope': forged.with_encrypted_key(der, forged.encrypted_key(envelope())),
        'no block': forged.with_key(der, cert, b'\0' + os.urandom(255)),
        'greater than the modulus': forged.with_encrypted_key(der, b'\xff' * 256),
        'zero': forged.with_encrypted_key(der, bytes(256)),
        'one bit changed': forged.with_encrypted_key(
            der, forged.with_bit_flipped(forged.encrypted_key(der), 100)),
        'the right one, the end of the content changed': forged.with_bit_flipped(der, len(der) - 1),
    }
    for what, clear in {} if options else {
            'another': forged.block(os.urandom(key_bytes)),
            'padded badly': forged.block(os.urandom(key_bytes), good=False),
            'of another length': forged.block(os.urandom(key_bytes ^ 8)),
            'of no length': forged.block(b''),
            'of 200 bytes': forged.block(os.urandom(200))}.items():
        made[what] = forged.with_key(der, cert, clear)
    return made


def agreed(signed, cert, cipher):
    """The same: ECDH"""
    der = forged.enveloped(signed, cert, cipher)
    at = forged.wrapped_key_at(der)
    return {
        'untouched': der,
        'of another envelope': forged.with_recipients_of(
            der, forged.enveloped(signed, cert, cipher)),
        'wrapped key changed': forged.with_bit_flipped(der, at + 3),
        'point changed': forged.with_bit_flipped(der, forged.point_at(der) + 20),
    }


def one(r, witness, name, der, talk, inside, sender):
    data = replies.message(replies.fields(talk.reverse, sender=sender), forged.opaque(
        der, 'enveloped-data'))
    witness.told()
    good = name.endswith('untouched')
    if good:
        text = put(r, data, talk.reverse, HOME)
        assert text.startswith('250'), '%s: %s' % (name, text)
        arrived(talk.box)
    else:
        _, used = watch.refused(r, name, data, talk.reverse, HOME)
        # that a point is on no curve is seen without a key
        assert used == (0 if name.endswith('point changed') else 1), '%s: %d keys' % (name, used)
    begun, read = witness.told()
    # without a key, to know the cipher; then with the one that was found, or one that was not
    assert begun == 2, '%s: %d contents' % (name, begun)
    assert read + 64 >= len(inside), '%s: %d of %d bytes' % (name, read, len(inside))


def a_padding_that_the_token_has_not(r, witness, talk):
    """SoftHSM's OAEP is that of SHA-1. The key service says so; the relay says what it always says."""
    signed = r.client.sign(replies.entity(b'A line of some length.\n' * 40))
    der = forged.enveloped(signed, talk.cert, '-aes128', *OAEP, '-keyopt', 'rsa_oaep_md:sha256')
    seen = watch.Watch(r)
    witness.told()
    text = put(r, replies.message(replies.fields(talk.reverse), forged.opaque(
        der, 'enveloped-data')), talk.reverse, HOME)
    begun, read = witness.told()
    assert text == REFUSED and begun == 2 and read + 64 >= len(signed), (text, begun, read)
    steps, lines = seen.steps()
    assert steps == watch.EXPECTED and 'action=' not in ''.join(lines), lines


def all_content_is_decrypted_whatever_its_key_is(r):
    person = unproven.carl(r)
    policy(r)
    talk = Conversation(r)
    witness = Witness(r)
    n = 0
    for how, options in (('PKCS #1 v1.5', ()), ('OAEP', OAEP)):
        for cipher, key_bytes in CIPHERS.items():
            signed = r.client.sign(replies.entity(b'A line of some length.\n' * 40))
            for what, der in transported(signed, talk.cert, cipher, key_bytes, options).items():
                one(r, witness, '%s %s: %s' % (how, cipher, what), der, talk, signed,
                    replies.MAILBOX)
                n += 1
    a_padding_that_the_token_has_not(r, witness, talk)
    with being(r, person):
        talk = Conversation(r, 'carol', alias='post@relay.example.com')
        for cipher in CIPHERS:
            signed = r.client.sign(replies.entity(b'A line of some length.\n' * 40))
            for what, der in agreed(signed, talk.cert, cipher).items():
                one(r, witness, 'ECDH %s: %s' % (cipher, what), der, talk, signed,
                    'carl@home.example.com')
                n += 1
    print('    %d envelopes' % n)
    r.restart('sealrelayd')


# ---- by the clock ----

class Clock:
    """Sends messages to a reverse alias, and says how long each answer took."""

    def __init__(self, r, to):
        self.r = r
        self.to = to
        self.sent = 0
        self.session = None

    def ns(self, data):
        if self.sent % SESSION == 0:
            if self.session:
                self.session.close()
            self.session = mail.Smtp(self.r.smtp_port)
            self.session.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.sent += 1
        self.session.command('MAIL FROM:<%s>' % replies.MAILBOX)
        self.session.command('RCPT TO:<%s>' % self.to)
        self.session.command('DATA', '3')
        self.session.sock.sendall(data)
        begun = time.perf_counter_ns()
        self.session.sock.sendall(b'.\r\n')
        _, text = self.session.reply()
        took = time.perf_counter_ns() - begun
        assert text == REFUSED, text
        return took


def mann_whitney_p(a, b):
    """Two-sided, by the normal approximation; ties at their mean rank."""
    everybody = sorted([(x, 0) for x in a] + [(x, 1) for x in b])
    ranks, at, n = 0.0, 0, len(a)
    while at < len(everybody):
        end = at
        while end < len(everybody) and everybody[end][0] == everybody[at][0]:
            end += 1
        ranks += (at + 1 + end) / 2 * sum(kind for _, kind in everybody[at:end])
        at = end
    deviation = math.sqrt(n * n * (2 * n + 1) / 12)
    return math.erfc(abs(ranks - n * (n + 1) / 2 - n * n / 2) / deviation / math.sqrt(2))


def compare(r, talk, what, key_bytes):
    """Pairs of which one holds a block that unwraps to a key of this length, one a block that is
    padded badly."""
    der = forged.enveloped(r.client.sign(replies.entity()), talk.cert, '-aes128')
    key = forged.modulus(talk.cert)
    clock = Clock(r, talk.reverse)
    times = {True: [], False: []}
    for i in range(PAIRS + WARM_UP):
        pair = [True, False]
        random.shuffle(pair)
        for good in pair:
            clear = forged.block(os.urandom(key_bytes), good=good)
            made = pow(int.from_bytes(clear, 'big'), 65537, key).to_bytes(256, 'big')
            data = VOUCHED + forged.message(replies.fields(talk.reverse),
                                            forged.with_encrypted_key(der, made))
            took = clock.ns(data)
            if i >= WARM_UP:
                times[good].append(took)
    p = mann_whitney_p(times[True], times[False])
    for kind in times.values():
        kind.sort()
    for share in (0.05, 0.25, 0.5, 0.75):
        good, bad = (times[kind][int(PAIRS * share)] / 1000 for kind in (True, False))
        print('    %s, quantile %.2f: %.1f us, with bad padding %+.1f us' % (what, share, good,
                                                                             bad - good))
    difference = abs(times[True][PAIRS // 2] - times[False][PAIRS // 2]) / 1000
    print('    %s: p = %.4f' % (what, p))
    assert p > 0.001 or difference < 50, (p, difference)


def ask_nobody(r):
    """The verdict is read from the message: no other program's time is in the answer's."""
    path = os.path.join(r.dir, 'etc', 'sealrelayd.conf')
    with open(path, encoding='ascii') as file:
        kept = [line for line in file if not re.match('(source|rspamd|timeout) = ', line)]
    with open(path, 'w', encoding='ascii') as file:
        file.writelines(kept)
    r.configure('sealrelayd', 'verdict', 'source = authentication-results',
                'authserv_id = mx.example.com')
    r.restart('sealrelayd')


def the_clock_does_not_tell_good_from_bad_padding(r):
    policy(r)
    talk = Conversation(r)
    ask_nobody(r)
    compare(r, talk, 'a key of the right length', 16)
    compare(r, talk, 'a key of 200 bytes', 200)


if __name__ == '__main__':
    if sys.argv[2:] == ['timing']:
        sys.exit(reply.main(sys.argv[1], [the_clock_does_not_tell_good_from_bad_padding]))
    sys.exit(reply.main(sys.argv[1], [watch.trace_key_service,
                                      all_content_is_decrypted_whatever_its_key_is]))
