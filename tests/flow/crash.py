# SPDX-License-Identifier: GPL-3.0-or-later
"""kill -9 at every named fail point: nothing acknowledged is lost, nothing lies on disk in clear.

The points are read from the sources, so that a new one is covered or fails this test.
"""
import os
import re
import sqlite3
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '../support'))
import crash_bounce
import crash_onward
import crash_reply
import mail
import marked
import relay
import stage

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


def died(r, name):
    process = r.started[name]
    return process.poll() == -9


def one_point(r, arrivals, point, program):
    marker = marked.marker()
    size = LARGE if '.body.' in point or '.chunk' in point or '.file.' in point else 2000
    if point == 'forward.alias_cert':
        # passed where an alias has none
        with sqlite3.connect(os.path.join(r.dir, 'relay', 'store.db')) as store:
            store.execute('DELETE FROM alias_cert')
    r.restart_armed(program, point, 'kill')
    acknowledged = fired = False
    end = time.monotonic() + 240  # a machine with much to do is slow in making keys
    while not fired and time.monotonic() < end:
        # A 4xx before the point is reached (no key ready, say) is tried again, as clients do.
        acknowledged = acknowledged or marked.try_once(r, marker, size)
        time.sleep(0.02)
        fired = died(r, program) if program == 'sealrelayd' else worker_died(r)
    found = marked.in_clear(r, marker)
    r.restart(program)
    if not acknowledged:
        # The client tries again, as every SMTP client does.
        mail.send_retrying(r.smtp_port, marked.sender(marker), r.alias,
                           marked.message(marker, size))
    r.wait_until(lambda: arrivals.count(marker) > 0, 'message of %s arrives' % point, 60)
    found += marked.in_clear(r, marker)
    return {'acknowledged': acknowledged, 'fired': fired, 'arrived': arrivals.count(marker),
            'in_clear': found + arrivals.unsealed}


def worker_died(r):
    """The parent lives on; the relay says that no answer came."""
    return any(entry.get('last_result', '').startswith('no answer')
               for entry in r.sealctl('queue', 'list'))


def rounds(points, with_replies):
    """(what is shown, how it is tried) of each point, and of those that a reply passes too."""
    for point, program in sorted(points.items()):
        yield point, point, program, 0
    if not with_replies:
        return
    for point, program in sorted(points.items()):
        if point.startswith(crash_reply.SHARED):
            yield 'a reply, ' + point, point, program, 1
        if point in crash_reply.SECOND:
            yield 'the second, ' + point, point, program, 2


def shown(what, seen):
    """Print a line; is something wrong?"""
    verdict = 'good'
    if not seen['fired']:
        verdict = 'WRONG: never reached'
    elif seen.get('wrong'):
        verdict = 'WRONG: ' + seen['wrong']
    elif seen['in_clear']:
        verdict = 'WRONG: in clear in ' + seen['in_clear'][0]
    print('%-36s %-6s %-7d %s' % (what, 'yes' if seen['acknowledged'] else 'no', seen['arrived'],
                                  verdict), flush=True)
    return verdict != 'good'


def main(build, wanted=''):
    """wanted: how the names of the points begin; all: and what queue and delivery do to replies"""
    wrong = 0
    with_replies, wanted = bool(wanted), '' if wanted == 'all' else wanted
    points = {name: program for name, program in fail_points().items() if name.startswith(wanted)}
    with relay.Relay(build, {'RAISED': 'yes'}) as r:
        crash_bounce.configure(r)
        crash_onward.configure(r)
        crash_reply.configure(r)
        # all configure what the next start reads
        r.restart('sealrelayd')
        arrivals = marked.Arrivals(r.inbox)
        print('%-36s %-6s %-7s %s' % ('killed at', '250', 'arrived', 'verdict'))
        for what, point, program, reply in rounds(points, with_replies):
            if reply or point.startswith('reply.'):
                seen = crash_reply.one_point(r, point, program, max(reply, 1))
            elif point.startswith('bounce.'):
                seen = crash_bounce.one_point(r, point, lambda: died(r, 'sealrelayd'))
            elif point.startswith(crash_onward.POINTS):
                seen = crash_onward.one_point(r, point, lambda: died(r, 'sealrelayd'))
            else:
                seen = one_point(r, arrivals, point, program)
            wrong += shown(what, seen)
        if 'reply.programs'.startswith(wanted):
            for what, seen in crash_reply.programs(r):
                wrong += shown(what, seen)
        r.wait_until(lambda: not r.sealctl('queue', 'list'), 'the queue is empty', 60)
        if wrong:
            stage.log_ends(os.path.join(r.dir, 'log'), 200)
    print('%d points, %d wrong' % (len(points), wrong))
    return 1 if wrong else 0


if __name__ == '__main__':
    sys.exit(main(*sys.argv[1:]))
