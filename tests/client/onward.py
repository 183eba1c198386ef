# SPDX-License-Identifier: GPL-3.0-or-later
"""Replies encrypted to strangers' own certificates, RSA and EC, in a stranger's Thunderbird: its
window shows the text and that it was encrypted, and the header is the one that stands outside."""
import os
import sys
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.append(HERE)
sys.path.insert(0, os.path.join(HERE, '../flow'))
import encrypted
import reply
import thunderbird

KEYS = {'bob': ('rsa:2048', 'keyEncipherment'), 'carol': ('P-256', 'keyAgreement'),
        'dave': ('P-384', 'keyAgreement')}


def a_stranger_reads_what_was_encrypted_to_them(r):
    reply.policy(r)
    for name, (key, use) in KEYS.items():
        who = encrypted.issue(r, name, key=key, usage='digitalSignature,' + use)
        talk = encrypted.signed_talk(r, who)
        encrypted.answered(r, talk, 'Hello Bob. Grüße.\n'.encode(),
                           subject='=?utf-8?q?Gr=C3=BC=C3=9Fe?=')
        data, _ = encrypted.opened(talk, who, 'Hello Bob. Grüße.')
        with tempfile.TemporaryDirectory() as folder, thunderbird.Thunderbird(
                who.user(folder), who.address, name, r.smtp_port) as client:
            shown = client.show(data)
            print('    Thunderbird %s, %s: %s' % (client.version, key, shown['encryption']))
        assert shown['encryption'] == 'SUCCESS', shown
        assert 'Hello Bob. Grüße.' in shown['text'] and shown['subject'] == 'Grüße', shown
        assert shown['attachments'] == [] and reply.ALIAS in shown['author'], shown


if __name__ == '__main__':
    sys.exit(reply.main(sys.argv[1], [a_stranger_reads_what_was_encrypted_to_them]))
