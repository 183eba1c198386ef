# SPDX-License-Identifier: GPL-3.0-or-later
"""kill -9 behind a signature that is kept, an introduction, and a greeting: each is there once."""
import tempfile

import mail
import stranger

ENTITY = b'Content-Type: text/plain\r\n\r\nHello.\r\n'
POINTS = ('greet.', 'introduce.', 'forward.harvest')
WORLD = {}


def configure(r):
    """Before the first start of a killed relay."""
    folder = tempfile.mkdtemp(dir=r.user_folder)
    WORLD['ca'] = stranger.Authority(folder, 'Test Mail CA')
    r.configure('sealrelayd', 'smime', 'trust = ' + WORLD['ca'].cert)


def activation(r):
    """Everything before an activation: what does it."""
    profile = r.sealctl('profile', 'list')[0]['profile']
    r.sealctl('profile', 'suspend', profile)
    r.sealctl('profile', 'resume', profile)
    r.inbox.fresh()
    r.sealctl('profile', 'notify', profile)
    code = r.code(r.user)
    return lambda: r.sealctl('profile', 'activate', profile, code)


def greeted(r):
    """Once, also after one more start."""
    found = r.inbox.wait(1, 60) + r.inbox.wait(1, 2)
    r.restart('sealrelayd')
    found += r.inbox.wait(1, 3)
    return '' if len(found) == 1 else 'greeted %d times' % len(found)


def introduction(r):
    words = ('correspondent', 'add', r.alias, 'new@partner.example.org')

    def first():
        try:
            r.sealctl(*words)
        except AssertionError:
            pass  # it died

    def again(r):
        made = r.sealctl(*words)
        rows = [row for row in r.sealctl('correspondent', 'list')
                if row['address'] == 'new@partner.example.org']
        return '' if [row['reverse'] for row in rows] == [made['reverse']] else 'made twice'
    return first, again


def signed_mail(r):
    bob = WORLD['ca'].issue('bob@signed.example.net')
    data = (b'From: bob@signed.example.net\r\nTo: <shop@relay.example.com>\r\nSubject: test\r\n' +
            bob.sign(ENTITY))

    def first():
        session = mail.Smtp(r.smtp_port)
        try:
            session.send('bob@signed.example.net', [r.alias], data)
        except (OSError, ConnectionError):
            pass  # it died

    def again(r):
        mail.send_retrying(r.smtp_port, 'bob@signed.example.net', r.alias, data)
        row = r.sealctl('correspondent', 'show', 'bob@signed.example.net')[0]
        return '' if row['certificate']['sha256'] == bob.fingerprint() else 'another certificate'
    return first, again


def one_point(r, point, died):
    if point.startswith('greet.'):
        first, after = activation(r), greeted
    elif point.startswith('introduce.'):
        first, after = introduction(r)
    else:
        first, after = signed_mail(r)
    r.restart_armed('sealrelayd', point, 'kill')
    r.inbox.fresh()
    first()
    fired = True
    try:
        r.wait_until(died, point, 15)
    except AssertionError:
        fired = False
    r.restart('sealrelayd')
    wrong = after(r)
    return {'acknowledged': False, 'fired': fired, 'arrived': 1, 'in_clear': [], 'wrong': wrong}
