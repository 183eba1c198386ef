# SPDX-License-Identifier: GPL-3.0-or-later
"""For crash.py: a user's reply, stopped at each step, searched for in everything that lies on disk or
is held open, and killed. What had its 250 arrives without being sent again; what had none is sent
again, as clients do; and a repeat of what has arrived never arrives twice."""
import glob
import os
import signal
import subprocess
import tempfile
import threading
import time

import crash_bounce
import front
import hop
import judge
import mail
import marked
import outages
import relay
import replies
import stranger

FIELD = b'Authentication-Results: mx.example.com; dkim=pass header.d=home.example.com; spf=pass;\r\n' \
        b'\tdmarc=pass header.from=home.example.com\r\n'
BACK, OTHER, GONE, SEALED, NEW = (
    name + '@shop.example.net' for name in ('back', 'other', 'gone', 'sealed', 'new'))
LARGE = 600 * 1024
# The next hop has the message, and nobody here has written that down yet.
MAY_TWICE = ('worker.dot', 'deliver.answered', 'queue.finish.before')
# For two correspondents: the one is through with a step, the other dies at it.
SECOND = ('reply.claimed', 'reply.key', 'reply.write', 'reply.committed', 'queue.row.inserted')
# What a reply passes as any other message does.
SHARED = ('queue.', 'deliver.', 'worker.', 'receive.answer')


def configure(r):
    """Correspondents with a mailbox at the hop, and one whose mail the hop refuses."""
    next_hop = hop.Hop(r)
    next_hop.has(hop.USER, BACK, OTHER, SEALED, NEW)
    next_hop.postconf('-e', 'smtpd_data_restrictions=check_recipient_access'
                      ' inline:{ {%s=REJECT} }' % GONE)
    subprocess.run(['postfix', '-c', next_hop.etc, 'reload'], check=True, capture_output=True)
    r.client = replies.Client(r.user.identity, r.user_folder)


class Talk:
    """Somebody who has written to the alias."""

    def __init__(self, r, address):
        marker = marked.marker()
        mail.send_retrying(r.smtp_port, address, r.alias, marked.message(marker, 100, address))
        sealed = arrived(r, marker)
        self.reverse = judge.from_address(mail.split(sealed)[0])
        self.cert = replies.signer_of(r.user, sealed)
        self.box = mailbox(r, address)

    @staticmethod
    def read(data):
        return data


class SealedTalk(Talk):
    """One whose own certificate is known: what arrives is encrypted to it."""

    def __init__(self, r):
        super().__init__(r, SEALED)
        folder = tempfile.mkdtemp(dir=r.user_folder)
        self.own = stranger.Authority(folder, 'Test Mail CA').issue(SEALED)
        r.sealctl('correspondent', 'import', self.reverse, self.own.cert)

    def read(self, data):
        return self.own.decrypt(data)


class FirstTalk(Talk):
    """One to whom the user writes first: there is no key yet that it could be encrypted to."""

    def __init__(self, r):
        self.reverse = r.alias.replace('@', '+%s@' % NEW.replace('@', '='))
        self.cert = None
        self.box = mailbox(r, NEW)


def mailbox(r, address):
    return mail.Maildir(os.path.join(r.dir, 'mail', address.split('@')[0]))


def arrived(r, marker, seconds=60):
    """The message of this name; others may arrive before it, of points before."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        for path in r.inbox.fresh():
            with open(path, 'rb') as file:
                data = mail.to_crlf(file.read())
            if marker in (mail.field_value(mail.split(data)[0], b'Message-ID') or b''):
                return data
        time.sleep(0.02)
    raise AssertionError('%s did not arrive' % marker.decode())


class Reply:
    """One message of the user's to some who have written."""

    def __init__(self, r, talks, size=0):
        self.relay = r
        self.talks = talks
        self.secret = marked.secret(marked.marker())
        body = b'The word is %s here.\n' % self.secret * 5 + (b'x' * 70 + b'\n') * (size // 71)
        certs = [talk.cert for talk in talks if talk.cert]
        signed = r.client.sign(replies.entity(body))
        self.data = FIELD + replies.message(
            replies.fields(talks[0].reverse, cc=', '.join(talk.reverse for talk in talks[1:])),
            r.client.encrypt(signed, certs) if certs else signed)
        self.acknowledged = False

    def send(self):
        """Once; a relay that stops or dies has acknowledged nothing."""
        session = None
        try:
            session = mail.Smtp(self.relay.smtp_port)
            session.send(replies.MAILBOX, [talk.reverse for talk in self.talks], self.data)
            self.acknowledged = True
        except (mail.Refused, OSError, ConnectionError):
            pass
        finally:
            if session:
                session.close()

    def send_until_taken(self, seconds=60):
        self.acknowledged = False
        end = time.monotonic() + seconds
        while not self.acknowledged and time.monotonic() < end:
            self.send()
            time.sleep(0.02)
        assert self.acknowledged, 'never taken'

    def on_disk(self):
        found = glob.glob(os.path.join(self.relay.dir, '**', 'core*'), recursive=True)
        for form in marked.word_forms(self.secret):
            found += self.relay.found_in_clear(form, next_hop_too=False)
            found += front.nameless_files_with(os.path.join(self.relay.dir, 'relay'), form)
        return found

    def arrivals(self):
        """How often each correspondent has it."""
        counts = []
        for talk in self.talks:
            texts = []
            for name in talk.box.names():
                with open(os.path.join(talk.box.path, name), 'rb') as file:
                    texts.append(talk.read(file.read()))
            counts.append(sum(self.secret in text for text in texts))
        return counts


def stopped(r, program):
    """The process that a point has stopped: the program itself, or a worker of its."""
    pid = r.pid(program)
    return [one for one in [pid] + outages.children(pid) if relay.stopped(one)]


def stop_at(r, program, point, passage, work):
    """Start work in a thread, armed; the processes that were stopped, and the thread."""
    if passage == 1:
        r.restart_armed(program, point, 'stop')
    else:
        r.restart(program, '%s=stop@%d' % (point, passage))
    thread = threading.Thread(target=work)
    thread.start()
    end = time.monotonic() + 20
    while not stopped(r, program) and time.monotonic() < end:
        time.sleep(0.02)
    return stopped(r, program), thread


def judged(r, reply, what, at_most=1):
    """After all programs run again: it arrives, and never a second time."""
    seen = {'fired': True, 'in_clear': reply.on_disk(), 'acknowledged': reply.acknowledged}
    if not reply.acknowledged:
        reply.send_until_taken()
    r.wait_until(lambda: all(reply.arrivals()), 'reply of %s arrives' % what, 90)
    reply.send_until_taken()
    r.wait_until(lambda: not r.sealctl('queue', 'list'), 'nothing is left of %s' % what, 60)
    seen['arrived'] = max(reply.arrivals())
    if seen['arrived'] > at_most:
        seen['wrong'] = '%s times' % reply.arrivals()
    seen['in_clear'] += reply.on_disk()
    return seen

def one_point(r, point, program='sealrelayd', passage=1):
    if point == 'reply.bounced':
        return bounced(r, point)
    size = LARGE if '.body.' in point or '.chunk' in point or '.file.' in point else 0
    talks = {'reply.onward': SealedTalk, 'reply.met': FirstTalk}.get(point)
    talks = [talks(r)] if talks else [Talk(r, BACK)] + ([Talk(r, OTHER)] if passage > 1 else [])
    reply = Reply(r, talks, size)
    found, thread = stop_at(r, program, point, passage, reply.send)
    in_clear = reply.on_disk()
    for pid in found:
        os.kill(pid, signal.SIGKILL)
    r.restart(program)
    thread.join()
    after = judged(r, reply, point, 2 if point in MAY_TWICE else 1)
    return {**after, 'fired': bool(found), 'in_clear': in_clear + after['in_clear']}


def bounced(r, point):
    """It comes back at once; the user is told, once."""
    reply = Reply(r, [Talk(r, GONE)])
    notices = crash_bounce.history(r, crash_bounce.NOTICES)
    found, thread = stop_at(r, 'sealrelayd', point, 1, reply.send)
    thread.join()
    seen = {'fired': bool(found), 'in_clear': reply.on_disk(), 'acknowledged': reply.acknowledged}
    for pid in found:
        os.kill(pid, signal.SIGKILL)
    r.restart('sealrelayd')
    reply.send_until_taken()
    r.wait_until(lambda: crash_bounce.history(r, crash_bounce.NOTICES) > notices, 'a notice')
    time.sleep(2)  # a second would come by now
    seen['arrived'] = crash_bounce.history(r, crash_bounce.NOTICES) - notices
    if seen['arrived'] != 1:
        seen['wrong'] = 'told %d times' % seen['arrived']
    for entry in r.sealctl('queue', 'list'):
        if entry['state'] != 'active':
            r.sealctl('queue', 'drop', entry['id'], '--yes')
    seen['in_clear'] += reply.on_disk()
    return seen


def key_service_dies(r, delay_ms):
    """Killed while it has the key operation before it (None), or so long behind the message."""
    reply = Reply(r, [Talk(r, BACK)])
    pid = r.pid('sealhsmd')
    if delay_ms is None:
        session = mail.Smtp(r.smtp_port)  # RCPT is answered before it stops
        session.command('MAIL FROM:<%s>' % replies.MAILBOX)
        session.command('RCPT TO:<%s>' % reply.talks[0].reverse)
        session.command('DATA', '3')
        os.kill(pid, signal.SIGSTOP)
        session.sock.sendall(reply.data + b'.\r\n')
        time.sleep(0.5)
        r.stop('sealhsmd', signal.SIGKILL)
        code, text = session.reply()
        assert 400 <= code < 500, text
        session.close()
    else:
        thread = threading.Thread(target=reply.send)
        thread.start()
        time.sleep(delay_ms / 1000)
        r.stop('sealhsmd', signal.SIGKILL)
        thread.join()
    r.start('sealhsmd')
    return judged(r, reply, 'the key service')


def delivery_service_dies(r, point, alone):
    """Killed with a worker in the middle of a session; alone: that one goes on."""
    reply = Reply(r, [Talk(r, BACK)], LARGE)
    found, thread = stop_at(r, 'sealdeliver', point, 1, reply.send)
    thread.join()
    in_clear = reply.on_disk()
    os.kill(r.pid('sealdeliver'), signal.SIGKILL)
    for pid in found:
        os.kill(pid, signal.SIGCONT if alone else signal.SIGKILL)
    r.restart('sealdeliver')
    seen = judged(r, reply, 'the delivery service')
    return {**seen, 'fired': bool(found), 'in_clear': in_clear + seen['in_clear']}


def no_core(r):
    """A fault of our own while the reply lies open in memory leaves no picture of it."""
    reply = Reply(r, [Talk(r, BACK)])
    found, thread = stop_at(r, 'sealrelayd', 'reply.write', 1, reply.send)
    for pid in found:
        os.kill(pid, signal.SIGSEGV)
        os.kill(pid, signal.SIGCONT)
    thread.join()
    r.wait_until(lambda: not relay.alive(r.pid('sealrelayd')), 'it ends')
    in_clear = reply.on_disk()
    r.restart('sealrelayd')
    seen = judged(r, reply, 'a fault')
    return {**seen, 'fired': bool(found), 'in_clear': in_clear + seen['in_clear']}


def programs(r):
    """(what is shown, what happened) of programs that die beside the relay."""
    yield 'a reply, fault in the relay', no_core(r)
    for point in ('worker.connected', 'worker.body'):
        yield 'a reply, sealdeliver at ' + point, delivery_service_dies(r, point, False)
        yield 'a reply, its worker lives on', delivery_service_dies(r, point, True)
    for delay_ms in (None, 0, 2, 4, 7, 11, 16, 25, 40):
        yield ('a reply, sealhsmd ' + ('asked' if delay_ms is None else 'after %d ms' % delay_ms),
               key_service_dies(r, delay_ms))
