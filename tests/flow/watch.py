# SPDX-License-Identifier: GPL-3.0-or-later
"""What the services do and say while one message is refused: the answer, the log's lines, the key
service's calls, and what is left on disk."""
import os
import re

import marked
import unproven_kinds
from reply import REFUSED

EXPECTED = ['flow.verdict ERR_OK', 'flow.reply ERR_UNPROVEN', 'receive.message ERR_OK']


def trace_key_service(r):
    """From now on its log has a line a call."""
    r.options['sealhsmd'] = ['--trace']
    r.restart('sealhsmd')


class Watch:
    """What the services log from now on; of the key service every call, for it traces."""

    def __init__(self, r):
        self.paths = {name: os.path.join(r.dir, 'log', name + '.log')
                      for name in ('sealrelayd', 'sealhsmd')}
        self.sizes = {name: os.path.getsize(path) for name, path in self.paths.items()}

    def lines(self, name):
        with open(self.paths[name], encoding='utf-8') as file:
            file.seek(self.sizes[name])
            return file.read().splitlines()

    def steps(self):
        """[stage and result] of messages that came, and the lines themselves without what is
        different for each"""
        found = [line for line in self.lines('sealrelayd')
                 if re.search(r' stage=(flow|receive|reply|open)\.', line)]
        return ([' '.join(re.search(r'stage=(\S+) .*?result=(\S+)', line).groups())
                 for line in found],
                [re.sub(r' (id|entry|ms|bytes)=\S+', '', line) for line in found])

    def keys_used(self):
        return sum(' stage=key_use ' in line for line in self.lines('sealhsmd'))

    def complaints(self):
        """Lines of the key service about calls that did not go well."""
        return [line for line in self.lines('sealhsmd') if ' result=ERR_OK' not in line]


def refused(r, name, data, to, verdict, steps=None):
    """One message that is: the line that the log has of it, and how often a key was used."""
    watch = Watch(r)
    text = unproven_kinds.put(r, data, to, verdict)
    assert text == REFUSED, '%s: %s' % (name, text)
    got, lines = watch.steps()
    assert got == (steps or EXPECTED), '%s: %s' % (name, got)
    assert not watch.complaints(), '%s: %s' % (name, watch.complaints())
    return next(line for line in lines if 'flow.reply' in line), watch.keys_used()


def nothing_left(r, *markers):
    """Neither on the way nor at anybody's, neither on disk nor in a log."""
    r.wait_until(lambda: not r.sealctl('queue', 'list'), 'the queue is empty')
    assert not r.inbox.fresh(), 'the user was told something'
    for marker in markers:
        found = marked.in_clear(r, marker)
        assert not found, found
