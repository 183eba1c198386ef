# SPDX-License-Identifier: GPL-3.0-or-later
"""kill -9 at every named fail point: nothing acknowledged is lost, nothing lies on disk in clear.

The points are read from the sources, so that a new one is covered or fails this test.
"""
import base64
import os
import re
import sys
import time
import uuid

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '../support'))
import mail
import relay

POINT = re.compile(r'failpoint\("([a-z0-9_.]+)"\)')
LARGE = 600 * 1024  # sealed, it is a file and not a row


def fail_points():
    """{name: program} of every fail point in the sources"""
    points = {}
    for folder, _, names in os.walk(os.path.join(relay.TOP, 'daemon')):
        for name in names:
            if not name.endswith('.c'):
                continue
            with open(os.path.join(folder, name), encoding='utf-8') as file:
                for point in POINT.findall(file.read()):
                    if point in points:
                        raise SystemExit('fail point %s stands in two places' % point)
                    points[point] = 'sealdeliver' if point.startswith('worker.') else 'sealrelayd'
    return points


def message(marker, size):
    """A marker for the header, which the next hop may see, and another for the content."""
    body = b'The word is %s here.\r\n' % secret(marker) + (b'x' * 70 + b'\r\n') * (size // 72)
    return (b'From: Marked %s <%s@client.example.net>\r\nTo: <shop@relay.example.com>\r\n'
            b'Subject: about %s\r\nMessage-ID: <%s@client.example.net>\r\n'
            b'Date: Sun, 22 Nov 2026 10:00:00 +0000\r\n\r\n' % (marker, marker, marker, marker)
            + body)


def secret(marker):
    return marker[::-1]


def in_clear(r, marker):
    text = b'The word is ' + secret(marker)
    return r.found_in_clear(secret(marker)) + r.found_in_clear(base64.b64encode(text)[:-4]) + \
        r.found_in_clear(marker, next_hop_too=False)


def try_once(r, marker, size):
    """True when the relay said 250."""
    session = None
    try:
        session = mail.Smtp(r.smtp_port)
        session.send('%s@client.example.net' % marker.decode(), [r.alias], message(marker, size))
        return True
    except (mail.Refused, OSError, ConnectionError):
        return False
    finally:
        if session:
            session.close()


def arrived(r, marker):
    count = 0
    for name in r.inbox.names():
        with open(os.path.join(r.inbox.path, name), 'rb') as file:
            header, _ = mail.split(mail.to_crlf(file.read()))
        count += b'<%s@client.example.net>' % marker in header
    return count


def died(r, name):
    process = r.started[name]
    return process.poll() == -9


def one_point(r, point, program):
    marker = b'm' + uuid.uuid4().hex[:16].encode()
    size = LARGE if '.body.' in point or '.chunk' in point or '.file.' in point else 2000
    r.restart_armed(program, point, 'kill')
    acknowledged = try_once(r, marker, size)
    end = time.monotonic() + 15
    fired = False
    while not fired and time.monotonic() < end:
        time.sleep(0.02)
        fired = died(r, program) if program == 'sealrelayd' else worker_died(r)
    found = in_clear(r, marker)
    r.restart(program)
    if not acknowledged:
        # The client tries again, as every SMTP client does.
        mail.send_retrying(r.smtp_port, '%s@client.example.net' % marker.decode(), r.alias,
                           message(marker, size))
    r.wait_until(lambda: arrived(r, marker) > 0, 'message of %s arrives' % point, 60)
    found += in_clear(r, marker)
    return {'acknowledged': acknowledged, 'fired': fired, 'arrived': arrived(r, marker),
            'in_clear': found}


def worker_died(r):
    """The parent lives on; the relay says that no answer came."""
    return any(entry.get('last_result', '').startswith('no answer')
               for entry in r.sealctl('queue', 'list'))


def main(build):
    wrong = 0
    points = fail_points()
    with relay.Relay(build) as r:
        print('%-28s %-6s %-6s %s' % ('killed at', '250', 'arrived', 'verdict'))
        for point, program in sorted(points.items()):
            seen = one_point(r, point, program)
            verdict = 'good'
            if not seen['fired']:
                verdict = 'WRONG: never reached'
            elif seen['in_clear']:
                verdict = 'WRONG: in clear in ' + seen['in_clear'][0]
            wrong += verdict != 'good'
            print('%-28s %-6s %-6d %s' % (point, 'yes' if seen['acknowledged'] else 'no',
                                          seen['arrived'], verdict))
        r.wait_until(lambda: not r.sealctl('queue', 'list'), 'the queue is empty', 60)
    print('%d points, %d wrong' % (len(points), wrong))
    return 1 if wrong or not points else 0


if __name__ == '__main__':
    sys.exit(main(sys.argv[1]))
