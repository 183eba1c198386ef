# SPDX-License-Identifier: GPL-3.0-or-later
"""For crash.py: a user's reply, killed at each step. The client tries again as long as it has no 250;
afterwards the correspondent has the reply, once, and nothing of it lies on disk in clear. A reply
that comes back is told to the user, once."""
import os
import subprocess
import tempfile
import time

import crash_bounce
import judge
import mail
import marked
import replies
import stranger

FIELD = b'Authentication-Results: mx.example.com; dkim=pass header.d=home.example.com; spf=pass;\r\n' \
        b'\tdmarc=pass header.from=home.example.com\r\n'
REPLIES = 'SELECT count(*) FROM history WHERE direction = 1 AND state = 4'
GONE = 'gone@client.example.net'


def configure(r):
    """A correspondent whose mail goes nowhere from the hop, and one whom the hop refuses."""
    etc = os.path.join(r.dir, 'postfix', 'etc')
    subprocess.run(['postconf', '-c', etc, '-e', 'smtpd_data_restrictions=check_recipient_access'
                    ' inline:{ {%s=REJECT} }' % GONE], check=True)
    subprocess.run(['postfix', '-c', etc, 'reload'], check=True, capture_output=True)
    r.client = replies.Client(r.user.identity, r.user_folder)


def talk(r, sender):
    """(reverse alias, its certificate) of somebody who has written."""
    r.inbox.fresh()
    mail.send_retrying(r.smtp_port, sender, r.alias, marked.message(marked.marker(), 100, sender))
    with open(r.inbox.wait()[0], 'rb') as file:
        sealed = mail.to_crlf(file.read())
    return (judge.from_address(mail.split(sealed)[0]), replies.signer_of(r.user, sealed))


def own_certificate(r, reverse, address):
    """From now on replies to them are encrypted."""
    folder = tempfile.mkdtemp(dir=r.user_folder)
    r.sealctl('correspondent', 'import', reverse,
              stranger.Authority(folder, 'Test Mail CA').issue(address).cert)


def one_point(r, point, died):
    bounced = point == 'reply.bounced'
    first = point == 'reply.met'
    address = {'reply.bounced': GONE, 'reply.onward': 'sealed@client.example.net'}.get(
        point, 'back@client.example.net')
    reverse, cert = talk(r, address)
    if point == 'reply.onward':
        own_certificate(r, reverse, address)
    marker = marked.marker()
    body = replies.entity(b'The word is %s here.\n' % marked.secret(marker))
    if first:
        reverse = r.alias.replace('@', '+first=client.example.net@')
    signed = r.client.sign(body)
    data = FIELD + replies.message(replies.fields(reverse),
                                   signed if first else r.client.encrypt(signed, [cert]))
    before = crash_bounce.history(r, REPLIES)
    notices = crash_bounce.history(r, crash_bounce.NOTICES)
    r.restart_armed('sealrelayd', point, 'kill')
    acknowledged = True
    try:
        mail.send_retrying(r.smtp_port, replies.MAILBOX, reverse, data, 1)
    except mail.Refused:
        acknowledged = False
    end = time.monotonic() + 15
    while not died() and time.monotonic() < end:
        time.sleep(0.02)
    found = [path for form in marked.content_forms(marker)
             for path in r.found_in_clear(form, next_hop_too=False)]
    seen = {'fired': died(), 'acknowledged': acknowledged}
    r.restart('sealrelayd')
    mail.send_retrying(r.smtp_port, replies.MAILBOX, reverse, data)
    if bounced:
        r.wait_until(lambda: crash_bounce.history(r, crash_bounce.NOTICES) > notices, 'a notice')
        arrived = crash_bounce.history(r, crash_bounce.NOTICES) - notices
        for entry in r.sealctl('queue', 'list'):
            if entry['state'] != 'active':
                r.sealctl('queue', 'drop', entry['id'], '--yes')
    else:
        r.wait_until(lambda: not r.sealctl('queue', 'list'), 'reply of %s leaves' % point, 60)
        arrived = crash_bounce.history(r, REPLIES) - before
    seen['arrived'] = arrived
    if arrived != 1:
        seen['wrong'] = '%d times instead of once' % arrived
    seen['in_clear'] = found + [path for form in marked.content_forms(marker)
                                for path in r.found_in_clear(form, next_hop_too=False)]
    return seen
