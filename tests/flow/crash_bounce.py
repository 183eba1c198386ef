# SPDX-License-Identifier: GPL-3.0-or-later
"""For crash.py: what happens when a message comes back, killed at each step. Afterwards the delivery
has failed once, its proven sender is told once, and a mailbox that bounces is written to no more."""
import contextlib
import os
import sqlite3
import subprocess
import time

import mail
import marked

FIELD = b'Authentication-Results: mx.example.com; dkim=pass header.d=client.example.net; spf=pass;\r\n' \
        b'\tdmarc=pass header.from=client.example.net\r\n'
NOTICES = 'SELECT (SELECT count(*) FROM history WHERE direction = 2)' \
          ' + (SELECT count(*) FROM entry WHERE direction = 2)'


def configure(r):
    """Who is proven is said by a field of the front; what they are told goes nowhere from the hop."""
    etc = os.path.join(r.dir, 'postfix', 'etc')
    subprocess.run(['postconf', '-c', etc, '-e', 'default_transport=discard:told'], check=True)
    subprocess.run(['postfix', '-c', etc, 'reload'], check=True, capture_output=True)
    r.configure('sealrelayd', 'verdict', 'source = authentication-results',
                'authserv_id = mx.example.com')


def report(status):
    return (b'From: MAILER-DAEMON@hop.example.com\r\nSubject: Undelivered\r\n'
            b'Content-Type: multipart/report; report-type=delivery-status; boundary=x\r\n\r\n'
            b'--x\r\nContent-Type: message/delivery-status\r\n\r\nAction: failed\r\nStatus: '
            + status + b'\r\n\r\n--x--\r\n')


def history(r, question, *values):
    path = os.path.join(r.dir, 'relay/queue/queue.db')
    with contextlib.closing(sqlite3.connect(path)) as queue:
        return queue.execute(question, values).fetchone()[0]


def delivered(r, marker, sender):
    """The return path of a message that has arrived."""
    r.inbox.fresh()
    mail.send_retrying(r.smtp_port, sender, r.alias, FIELD + marked.message(marker, 2000, sender))
    with open(r.inbox.wait()[0], 'rb') as file:
        header, _ = mail.split(mail.to_crlf(file.read()))
    return mail.field_value(header, b'Return-Path').decode().strip('<>')


def send_reports(r, paths, status, tries):
    for path in paths:
        mail.send_retrying(r.smtp_port, '', path, report(status), tries)


def activate_again(r, profile):
    r.sealctl('profile', 'resume', profile)
    r.inbox.fresh()
    r.sealctl('profile', 'notify', profile)
    r.activate(profile, r.user)


def fault(r, paths, notices, suspends):
    """What is not as it must be after all was worked off."""
    failed = sum(history(r, 'SELECT count(*) FROM history WHERE state = 3 AND id = ?', path[2:18])
                 for path in paths)
    if failed != len(paths):
        return '%d of %d failed' % (failed, len(paths))
    if notices is not None:
        return notices
    profile = r.sealctl('profile', 'list')[0]['profile']
    if suspends and 'suspended_for' not in r.sealctl('profile', 'show', profile):
        return 'not suspended, or it is not said why'
    return ''


def one_point(r, point, died):
    """died: has the relay? A report that got no 250 comes again, as from any mail system."""
    suspends = point == 'bounce.suspended'
    tells = point != 'bounce.close'  # that step is for those whom nobody may tell
    status = b'5.1.1' if suspends or point == 'bounce.counted' else b'5.7.1'
    markers = [marked.marker() for _ in range(5 if suspends else 1)]
    paths = [delivered(r, marker, ('' if tells else 'owner-') + marked.sender(marker))
             for marker in markers]
    before = history(r, NOTICES)
    r.restart_armed('sealrelayd', point, 'kill')
    acknowledged = True
    try:
        send_reports(r, paths, status, 1)
    except mail.Refused:
        acknowledged = False
    end = time.monotonic() + 15
    while not died() and time.monotonic() < end:
        time.sleep(0.02)
    seen = {'fired': died(), 'acknowledged': acknowledged, 'arrived': len(paths)}
    seen['in_clear'] = [path for marker in markers for path in marked.in_clear(r, marker)]
    r.restart('sealrelayd')
    send_reports(r, paths, status, 60)
    r.wait_until(lambda: history(r, 'SELECT count(*) FROM history WHERE open') == 0,
                 'what %s left is worked off' % point)
    told = history(r, NOTICES) - before
    seen['wrong'] = fault(r, paths, None if told == (len(paths) if tells else 0)
                          else '%d notices' % told, suspends)
    if suspends:
        activate_again(r, r.sealctl('profile', 'list')[0]['profile'])
    for entry in r.sealctl('queue', 'list'):
        if entry['state'] != 'active':
            r.sealctl('queue', 'drop', entry['id'], '--yes')
    return seen
