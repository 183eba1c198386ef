# SPDX-License-Identifier: GPL-3.0-or-later
"""What the cases of stub.py have in common: a script for rspamd, and a relay that asks it."""
import os
import re
import uuid

import judge
import mail
from stub_rspamd import Stub

STUB = Stub()
DEFAULTS = {'failing': 'policy', 'spam': 'refuse', 'unchecked': 'accept'}


def message(sender=b'Bob <bob@shop.example.net>', before=b'', extra=b''):
    return (before + b'From: ' + sender + b'\r\nTo: <shop@relay.example.com>\r\nSubject: test\r\n'
            b'Message-ID: <' + uuid.uuid4().hex.encode() + b'@client.example.net>\r\n'
            b'Date: Sun, 22 Nov 2026 10:00:00 +0000\r\n' + extra + b'\r\nHello.\r\n')


def send(r, data, rcpts=None, xforward=None, mail_from='bounce@shop.example.net', port=None):
    """(code, text) of the one answer that counts."""
    session = mail.Smtp(port or r.smtp_port,
                        ('LHLO' if port else 'EHLO') + ' front.example.net')
    try:
        if xforward:
            session.command('XFORWARD ' + xforward)
        return 250, session.send(mail_from, rcpts or [r.alias], data)
    except mail.Refused as refusal:
        return refusal.code, refusal.text
    finally:
        session.close()


def arrived(r, data):
    """The message that came, judged: (outer header, inner header, signed message)."""
    found = r.inbox.wait()
    assert len(found) == 1, '%d arrived' % len(found)
    with open(found[0], 'rb') as file:
        sealed = mail.to_crlf(file.read())
    judge.judge(r.user, data, sealed)
    signed = mail.to_crlf(r.user.decrypt(sealed))
    return mail.split(sealed)[0], mail.split(r.user.verify(signed)[0])[0], signed


def profile_of(r):
    return next(p['profile'] for p in r.sealctl('profile', 'list') if p['state'] == 'active')


def set_policy(r, **words):
    wanted = {**DEFAULTS, **words}
    options = [w for name, value in wanted.items() for w in ('--' + name, value)]
    shown = r.sealctl('profile', 'policy', profile_of(r), *options)
    assert {name: shown[name] for name in DEFAULTS} == wanted, shown


def use_source(r, *lines):
    path = os.path.join(r.dir, 'etc', 'sealrelayd.conf')
    with open(path, encoding='ascii') as file:
        text = file.read()
    text = re.sub(r'\[verdict\]\n(?:[^\[\n]*\n)*', '', text)
    with open(path, 'w', encoding='ascii') as file:
        file.write(text + '[verdict]\n' + '\n'.join(lines) + '\n')
    r.restart('sealrelayd')


def use_rspamd(r, timeout='2s'):
    use_source(r, 'source = rspamd', 'rspamd = http://127.0.0.1:%d' % STUB.port,
               'timeout = ' + timeout)


def value(header, name):
    found = mail.field_value(header, name.encode())
    return found.decode() if found is not None else None


def correspondents(r):
    return len(r.sealctl('correspondent', 'list'))
