# SPDX-License-Identifier: GPL-3.0-or-later
"""A power cut at every instant of accepting mail, replayed from recorded system calls.

strace records what a running relay writes, syncs, makes and removes below its state folder while it
takes messages. Every prefix of that record gives states a disk may be in: what was synced and no
more; everything written; synced and a random part of the rest, one write of it torn. A new file is
there only once its folder was synced. The relay starts on each state, and all that was acknowledged
before the cut arrives.
"""
import hashlib
import os
import random
import re
import shutil
import subprocess
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '../support'))
import marked
import relay

CALLS = 'pwrite64,write,ftruncate,fsync,fdatasync,openat,unlink,unlinkat,rename,sendto'
SIZES = (2000, 600 * 1024, 2000)  # the second is a file, the others are rows
CALL = re.compile(r'^(\w+)\((.*)\)\s+= (-?\d+)(?:<((?:\\x..)*)>)?')
STRING = re.compile(r'"((?:\\x[0-9a-f]{2})*)"')
PATH_OF_FD = re.compile(r'^\d+<((?:\\x..)*)>')


# ---- the record ----

def record(r, state):
    """Send the messages while strace watches; (markers, lines of strace)."""
    trace = os.path.join(r.user_folder, 'trace')
    tracer = subprocess.Popen(['strace', '-f', '-qq', '-y', '-xx', '-s', '4000000', '-e',
                               'trace=' + CALLS, '-o', trace, '-p', str(r.pid('sealrelayd'))])
    r.wait_until(lambda: relay.traced(r.pid('sealrelayd')), 'strace is there')
    before = snapshot(state)
    names = [marked.marker() for _ in SIZES]
    for name, size in zip(names, SIZES):
        r.wait_until(lambda name=name, size=size: marked.try_once(r, name, size), 'accepted', 60)
    tracer.terminate()
    tracer.wait()
    with open(trace, encoding='ascii') as file:
        return names, before, list(whole_lines(file))


def snapshot(state):
    """{path: content} of what lies below a folder; SQLite makes its shared memory anew."""
    found = {}
    for folder, _, files in os.walk(state):
        for name in files:
            if not name.endswith('-shm'):
                path = os.path.join(folder, name)
                with open(path, 'rb') as file:
                    found[path] = file.read()
    return found


def whole_lines(lines):
    """Calls in the order of their ends, those that strace had to cut put together."""
    begun = {}
    for line in lines:
        pid, text = line.rstrip('\n').split(None, 1)
        resumed = re.match(r'<\.\.\. \w+ resumed>(.*)', text)
        if text.endswith(' <unfinished ...>'):
            begun[pid] = text[:-len(' <unfinished ...>')]
        elif resumed:
            yield begun.pop(pid) + resumed.group(1)
        else:
            yield text


def plain(text):
    """What strace wrote in hexadecimal, paths included."""
    return bytes.fromhex(text.replace('\\x', ''))


def events(lines, state):
    """(what, path, data, offset) of the calls that went well below state; ('ack',) of a 250 to a
    message."""
    for line in lines:
        match = CALL.match(line)
        if not match or int(match.group(3)) < 0:
            continue
        call, words, result, made = match.groups()
        known = PATH_OF_FD.match(words)
        path = os.fsdecode(plain(known.group(1))) if known else ''
        made = os.fsdecode(plain(made)) if made else ''
        texts = [plain(found) for found in STRING.findall(words)]
        if call == 'sendto' and texts and b' queued as ' in texts[0]:
            yield ('ack', None, texts[0], 0)
        elif call == 'openat' and 'O_CREAT' in words and made.startswith(state):
            yield ('make', made, b'', 0)
        elif not path.startswith(state):
            continue
        elif call == 'pwrite64':
            yield ('write', path, texts[0], int(words.rsplit(',', 1)[1]))
        elif call == 'write':
            yield ('append', path, texts[0][:int(result)], 0)
        elif call == 'ftruncate':
            yield ('cut', path, b'', int(words.rsplit(',', 1)[1]))
        elif call in ('fsync', 'fdatasync'):
            yield ('sync', path, b'', 0)
        elif call == 'unlinkat':
            yield ('remove', os.path.join(path, texts[0].decode()), b'', 0)
        elif call in ('unlink', 'rename'):
            raise SystemExit('a call that the replay does not know: ' + call)


# ---- the disk ----

class Disk:
    """What is certain to be on disk, and what may be."""

    def __init__(self, files):
        self.files = dict(files)     # path: synced content
        self.names = set(files)      # in their folders, synced
        self.pending = []            # changes of contents since, in order
        self.names_pending = []      # (path, is it there)

    def take(self, event):
        what, path, _, _ = event
        if what in ('write', 'append', 'cut'):
            self.pending.append(event)
        elif what == 'make' and path not in self.files:
            self.files[path] = b''
            self.names_pending.append((path, True))
        elif what == 'remove':
            self.names_pending.append((path, False))
        elif what == 'sync':
            for change in [change for change in self.pending if change[1] == path]:
                self.files[path] = changed(self.files[path], change)
            self.pending = [change for change in self.pending if change[1] != path]
            for name, there in self.names_pending:
                if os.path.dirname(name) == path:
                    (self.names.add if there else self.names.discard)(name)
            self.names_pending = [change for change in self.names_pending
                                  if os.path.dirname(change[0]) != path]

    def state(self, variant, dice):
        """{path: content}"""
        keep = {'synced': 0.0, 'written': 1.0, 'some': 0.5}[variant]
        files, names = dict(self.files), set(self.names)
        for change in self.pending:
            if dice.random() < keep or keep == 1.0:
                files[change[1]] = changed(files[change[1]], change)
        if variant == 'some' and self.pending:
            what, path, data, at = dice.choice(self.pending)
            files[path] = changed(files[path], (what, path, data[:dice.randrange(len(data) + 1)],
                                                at))
        for name, there in self.names_pending:
            if dice.random() < keep or keep == 1.0:
                (names.add if there else names.discard)(name)
        return {path: files[path] for path in names}


def changed(content, change):
    what, _, data, at = change
    if what == 'cut':
        return content[:at].ljust(at, b'\0')
    if what == 'append':
        at = len(content)
    return content[:at].ljust(at, b'\0') + data + content[at + len(data):]


# ---- the start after the cut ----

def write_state(state, files):
    for folder, _, names in os.walk(state):
        for name in names:
            os.unlink(os.path.join(folder, name))
    for path, content in files.items():
        with open(path, 'wb') as file:
            file.write(content)
        os.chmod(path, 0o600)


def start_on(r, arrivals, state, files, owed):
    """Why the start was not good, or None."""
    write_state(state, files)
    before = {name: arrivals.count(name) for name in owed}
    try:
        r.start('sealrelayd')
    except relay.Died:
        return 'the relay did not start'
    try:
        r.wait_until(lambda: all(arrivals.count(name) > before[name] for name in owed),
                     'what was acknowledged arrives', 20)
        held = [entry for entry in r.sealctl('queue', 'list') if entry['state'] == 'held']
        return '%d entries held' % len(held) if held else None
    except AssertionError as failure:
        return str(failure)
    finally:
        r.stop('sealrelayd')


def replay(r, arrivals, state, before, lines, names):
    """Every state of every prefix, each once: (states, list of what was wrong)."""
    disk, dice, seen, wrong, acknowledged = Disk(before), random.Random(1), set(), [], 0
    for number, event in enumerate(list(events(lines, state))):
        disk.take(event)
        acknowledged += event[0] == 'ack'
        for variant in ('synced', 'written', 'some'):
            files = disk.state(variant, dice)
            key = hashlib.sha256(repr((acknowledged, sorted(files.items()))).encode()).digest()
            if key in seen:
                continue
            seen.add(key)
            why = start_on(r, arrivals, state, files, names[:acknowledged])
            if why:
                wrong.append('after call %d (%s %s), %s: %s' % (
                    number, event[0], os.path.basename(event[1] or ''), variant, why))
    if acknowledged != len(names):
        wrong.append('%d of %d answers found in the record' % (acknowledged, len(names)))
    return len(seen), wrong


def main(build):
    with relay.Relay(build) as r:
        state = os.path.join(r.dir, 'relay')
        arrivals = marked.Arrivals(r.inbox)
        r.wait_until(lambda: marked.try_once(r, marked.marker(), 2000), 'the first message', 60)
        r.wait_until(lambda: not r.sealctl('queue', 'list'), 'the queue is empty')
        r.stop('sealdeliver')
        names, before, lines = record(r, state)
        r.stop('sealrelayd')
        shutil.copytree(state, state + '.kept')
        r.start('sealdeliver')
        states, wrong = replay(r, arrivals, state, before, lines, names)
        for line in wrong:
            print('WRONG: ' + line)
        if arrivals.unsealed:
            wrong.append('in clear: ' + arrivals.unsealed[0])
        r.start('sealrelayd')
    print('%d states of a disk, %d wrong' % (states, len(wrong)))
    return 1 if wrong or states < 20 else 0


if __name__ == '__main__':
    sys.exit(main(sys.argv[1]))
