# SPDX-License-Identifier: GPL-3.0-or-later
"""Replies that come late, in parts, or again: what was put off is taken whenever it comes, what was
taken leaves once, and what strangers send blocks nobody. A script plays rspamd."""
import os
import signal
import sys
import tempfile

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '../support'))
import hop
import judge
import mail
import outages
import relay
import replies
import reply as single
import stage
from reply import PASS, REFUSED, STUB, Conversation, arrived, policy
from reply_many import transact

CASES = []
DAY = 86400
THERE = [name + '@shop.example.net' for name in
         ('bob', 'frank1', 'frank2', 'grace1', 'grace2', 'heidi')]


def case(function):
    CASES.append(function)
    return function


def first_address(name):
    return 'shop+%s=shop.example.net@relay.example.com' % name


def signed(r, to, **header):
    return replies.message(replies.fields(to, **header), r.client.sign(replies.entity()))


def settled(r, box):
    r.wait_until(lambda: not r.sealctl('queue', 'list'), 'the queue is empty')
    box.nothing()


@case
def a_copy_that_was_put_off_is_taken_days_later(r):
    """Signed mail for two: one key service answers for the first of them only."""
    for days, over_lmtp in ((1, False), (2, True)):
        names = ['frank%d' % days, 'grace%d' % days]
        frank, grace = (replies.Box(r, name) for name in names)
        rcpts = [first_address(name) for name in names]
        data = signed(r, ', '.join(rcpts))
        STUB.set(PASS)
        assert transact(r, over_lmtp, rcpts[:1], data).codes()[1] == ['250']
        arrived(frank)
        r.stop('sealhsmd', signal.SIGKILL)
        told = transact(r, over_lmtp, rcpts[1:], data)
        assert all(text.startswith('4') for text in told.rcpts + told.data), told
        r.start('sealhsmd')
        outages.clock_set(r, days * DAY)
        r.wait_until(lambda: transact(r, over_lmtp, rcpts[1:], data).codes()[1] == ['250'], 'taken')
        arrived(grace)
        assert transact(r, over_lmtp, rcpts, data).codes()[1] == ['250'] * (2 if over_lmtp else 1)
        settled(r, frank)
        settled(r, grace)
        # whoever sends it on names somebody else
        other = data.replace(rcpts[0].encode(), first_address('heidi').encode())
        assert transact(r, False, [first_address('heidi')], other).data == [REFUSED]
    outages.clock_set(r, 0)


@case
def one_person_under_two_addresses_gets_one(r):
    talk = Conversation(r, 'bob')
    for over_lmtp in (False, True):
        for rcpts in ([talk.reverse, first_address('bob')], [first_address('bob'), talk.reverse]):
            STUB.set(PASS)
            told = transact(r, over_lmtp, rcpts, signed(r, ', '.join(rcpts)))
            assert told.codes()[1] == ['250'] * (2 if over_lmtp else 1), told
            arrived(talk.box)
            settled(r, talk.box)


@case
def a_profile_that_is_suspended_meanwhile_puts_the_reply_off(r):
    talk = Conversation(r, 'bob')
    profile = r.sealctl('profile', 'list')[0]['profile']
    for over_lmtp in (False, True):
        data = single.good(r, talk)
        STUB.set(PASS)
        r.inbox.fresh()
        session = mail.Smtp(os.path.join(r.dir, 'run', 'lmtp.sock') if over_lmtp
                                   else r.smtp_port, 'LHLO x' if over_lmtp else 'EHLO x')
        session.command('MAIL FROM:<%s>' % single.MAILBOX)
        session.command('RCPT TO:<%s>' % talk.reverse)
        r.sealctl('profile', 'suspend', profile)
        session.command('DATA', '3')
        session.sock.sendall(data + b'.\r\n')
        code, text = session.reply()
        session.close()
        assert code == 450, text
        r.sealctl('profile', 'resume', profile)
        r.sealctl('profile', 'notify', profile)
        r.sealctl('profile', 'activate', profile, r.code(r.user))
        assert transact(r, over_lmtp, [talk.reverse], data).codes()[1] == ['250']
        arrived(talk.box)


@case
def a_plain_reply_leaves_once_whatever_is_put_around_it(r):
    policy(r, reply_signature='waived', plain='yes')
    talk = Conversation(r, 'bob')
    head, entity = replies.fields(talk.reverse), replies.entity(b'Pay 100.\n')
    STUB.set(PASS)
    assert transact(r, False, [talk.reverse], replies.message(head, entity)).codes()[1] == ['250']
    arrived(talk.box)
    for again in (replies.message(head, entity), replies.message(head + b'Content-X: 1\n', entity),
                  replies.message(head, b'Content-Description: y\n' + entity),
                  replies.message(head, entity + b'\n\n'),
                  replies.message(b'Message-ID: <x@y.example>\n' + head, entity)):
        assert transact(r, False, [talk.reverse], again).codes()[1][0] in ('250', '550'), again
        settled(r, talk.box)
    head = replies.fields(talk.reverse)
    for other in (entity, b'\nFirst.\n\nBye\n', b'\nSecond.\n\nBye\n'):
        told = transact(r, False, [talk.reverse], replies.message(head, other))
        assert told.codes()[1] == ['250'], other
        arrived(talk.box)
    policy(r)


@case
def what_costs_no_key_blocks_nobody(r):
    """A profile that waives the pass, and a stranger who has got hold of a reverse alias."""
    policy(r, reply_pass='waived')
    talk = Conversation(r, 'bob')
    STUB.set(single.answer())
    for _ in range(25):
        junk = replies.message(replies.fields(talk.reverse, sender='x@y.example'),
                               replies.entity())
        assert transact(r, False, [talk.reverse], junk, 'x@y.example').data == [REFUSED]
    told = transact(r, False, [talk.reverse], single.good(r, talk))
    assert told.codes()[1] == ['250'], told
    arrived(talk.box)
    policy(r)


def main(build, names):
    cases = [run for run in CASES if not names or run.__name__ in names]
    with tempfile.TemporaryDirectory() as folder:
        os.chmod(folder, 0o755)
        os.environ['SEALRELAY_CLOCK_FILE'] = os.path.join(folder, 'clock')
        outages.clock_set(outages, 0)
        with relay.Relay(build, {'RAISED': 'yes'}) as r:
            r.next_hop = hop.Hop(r)
            r.next_hop.has(hop.USER, *THERE)
            r.client = replies.Client(r.user.identity, r.user_folder)
            r.user_cert = judge.run(['openssl', 'x509', '-in', r.user.identity])
            r.configure('sealrelayd', 'verdict', 'source = rspamd',
                        'rspamd = http://127.0.0.1:%d' % STUB.port, 'timeout = 2s')
            r.restart('sealrelayd')
            return stage.run(cases, r, r.inbox.fresh, os.path.join(r.dir, 'log', 'sealrelayd.log'))


if __name__ == '__main__':
    sys.exit(main(sys.argv[1], sys.argv[2:]))
