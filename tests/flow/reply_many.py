# SPDX-License-Identifier: GPL-3.0-or-later
"""Replies to several recipients: those of several users in one LMTP transaction, aliases, reverse
aliases and return paths beside one another, a hundred at once, one of two that is refused, and one
message that comes in several transactions, at the same time too. A script plays rspamd."""
import contextlib
import os
import signal
import sys
import tempfile
import threading
import time
import types

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '../support'))
import hop
import mail
import outages
import relay
import replies
import reply as single
import stage
from reply import ALIAS, MAILBOX, PASS, REFUSED, STUB, Conversation, arrived

CASES = []
NEWS = 'news@relay.example.com'
GARDEN = 'garden@relay.example.com'  # of another user
DORA = 'dora@home.example.com'
NAMES = ('bob', 'carol', 'dave')
OTHER_USER = '452 4.5.3'


def case(function):
    CASES.append(function)
    return function


class Answers:
    """What each RCPT was answered, and the message: one answer in all, or one a recipient."""

    def __init__(self, rcpts, data):
        self.rcpts = rcpts
        self.data = data

    def codes(self):
        return [text[:3] for text in self.rcpts], [text[:3] for text in self.data]


def transact(r, lmtp, rcpts, data=None, mail_from=MAILBOX, during=contextlib.nullcontext):
    """One transaction; without data it ends behind the recipients. during: what goes on while the
    message is dealt with."""
    where = os.path.join(r.dir, 'run', 'lmtp.sock') if lmtp else r.smtp_port
    session = mail.Smtp(where, ('LHLO' if lmtp else 'EHLO') + ' client.home.example.com')
    try:
        session.command('MAIL FROM:<%s>' % mail_from)
        told = []
        for rcpt in rcpts:
            session.sock.sendall(b'RCPT TO:<%s>\r\n' % rcpt.encode())
            told.append(session.reply()[1])
        taken = [text for text in told if text.startswith('250')]
        if data is None or not taken:
            return Answers(told, [])
        with during():
            session.command('DATA', '3')
            session.sock.sendall(data + b'.\r\n')
            return Answers(told, [session.reply()[1] for _ in (taken if lmtp else taken[:1])])
    finally:
        session.close()


def to_all(r, talks, client=None, sender=MAILBOX, certs=None, **header):
    """One message sealed to all of them."""
    return replies.message(
        replies.fields(talks[0].reverse, sender=sender,
                       cc=', '.join(talk.reverse for talk in talks[1:]), **header),
        (client or r.client).sealed(replies.entity(), certs or [talk.cert for talk in talks]))


def quiet(r, *boxes):
    """Nothing more has left."""
    r.wait_until(lambda: not r.sealctl('queue', 'list'), 'the queue is empty')
    for box in boxes:
        box.nothing()
    assert not r.inbox.fresh(), 'the user got something'


def dropped(r):
    return r.sealctl('status')['relay']['receive']['dropped']


def garden(r, name='dave'):
    """Somebody who writes to the other user."""
    return Conversation(r.dora, name, alias=GARDEN)


@case
def users_of_one_lmtp_transaction_are_judged_each_by_themselves(r):
    """Sealed to both; each user may only say something to those who write to them."""
    hers, dora_s = Conversation(r, 'bob'), garden(r)
    certs = [hers.cert, dora_s.cert]
    for rcpts in ([hers.reverse, dora_s.reverse], [dora_s.reverse, hers.reverse]):
        for data, box, other in (
                (to_all(r, [hers], certs=certs), hers.box, dora_s.box),
                (to_all(r, [dora_s], r.dora.client, DORA, certs), dora_s.box, hers.box)):
            STUB.set(PASS)
            before = dropped(r)
            told = transact(r, True, rcpts, data)
            assert told.codes() == (['250'] * 2, ['250'] * 2), told.codes()
            got = box.next()
            assert (b'\r\nFrom: ' + (ALIAS if box is hers.box else GARDEN).encode()) in got, got
            assert dropped(r) == before + 1
            quiet(r, box, other)


@case
def users_of_one_smtp_transaction_come_one_after_the_other(r):
    hers, dora_s = Conversation(r, 'bob'), garden(r)
    STUB.set(PASS)
    told = transact(r, False, [hers.reverse, dora_s.reverse, hers.reverse], to_all(r, [hers]))
    assert told.rcpts[1].startswith(OTHER_USER), told.rcpts
    assert told.codes() == (['250', '452', '250'], ['250']), told.codes()
    arrived(hers.box)
    quiet(r, hers.box, dora_s.box)


@case
def who_goes_together_is_said_at_rcpt(r):
    hers, dora_s = Conversation(r, 'bob'), garden(r)
    path = return_path(r)
    ok, wait = '250', '452'
    for rcpts, smtp, lmtp in (
            ([ALIAS, hers.reverse], [ok, ok], [ok, ok]),
            ([hers.reverse, NEWS, ALIAS], [ok, ok, ok], [ok, ok, ok]),
            ([NEWS, ALIAS, hers.reverse], [ok, wait, ok], [ok, ok, ok]),
            ([GARDEN, hers.reverse], [ok, wait], [ok, wait]),
            ([hers.reverse, GARDEN], [ok, wait], [ok, wait]),
            ([hers.reverse, dora_s.reverse], [ok, wait], [ok, ok]),
            ([hers.reverse, dora_s.reverse, ALIAS], [ok, wait, ok], [ok, ok, wait]),
            ([ALIAS, GARDEN, hers.reverse], [ok, wait, ok], [ok, ok, wait]),
            ([path, hers.reverse], [ok, wait], [ok, wait]),
            ([hers.reverse, path], [ok, wait], [ok, wait]),
            ([hers.reverse, ALIAS, path], [ok, ok, wait], [ok, ok, wait])):
        for expected, over_lmtp in ((smtp, False), (lmtp, True)):
            told = transact(r, over_lmtp, rcpts)
            assert told.codes()[0] == expected, (over_lmtp, rcpts, told.rcpts)
            assert all(text.startswith(OTHER_USER) for text in told.rcpts if text[:3] == wait)


def return_path(r):
    """Of a message that the user has got."""
    sealed = single.receive(r, replies.fresh_id('shop.example.net'), 'bob@shop.example.net')
    return mail.field_value(mail.split(sealed)[0], b'Return-Path').decode().strip('<>')


@case
def the_users_own_aliases_beside_a_reverse_alias_are_taken_and_dropped(r):
    talk = Conversation(r, 'bob')
    for over_lmtp in (False, True):
        for rcpts in ([ALIAS, talk.reverse], [talk.reverse, NEWS], [NEWS, talk.reverse, ALIAS, NEWS]):
            STUB.set(PASS)
            r.inbox.fresh()
            told = transact(r, over_lmtp, rcpts, to_all(r, [talk]))
            assert set(sum(told.codes(), [])) == {'250'}, told.codes()
            arrived(talk.box)
            quiet(r, talk.box)


@case
def an_alias_beside_a_refused_reply_gets_nothing_of_it(r):
    talk = Conversation(r, 'bob')
    for over_lmtp in (False, True):
        STUB.set(single.answer())
        before = dropped(r)
        told = transact(r, over_lmtp, [ALIAS, talk.reverse], to_all(r, [talk]))
        if over_lmtp:
            assert told.codes()[1] == ['250', '250'] and dropped(r) == before + 1, told.data
        else:
            assert told.data == [REFUSED], told.data
        quiet(r, talk.box)


@case
def the_same_reverse_alias_named_again_is_one_recipient(r):
    talk = Conversation(r, 'bob')
    for over_lmtp in (False, True):
        STUB.set(PASS)
        told = transact(r, over_lmtp, [talk.reverse, talk.reverse.upper(), talk.reverse],
                        to_all(r, [talk]))
        assert set(sum(told.codes(), [])) == {'250'}, told.codes()
        arrived(talk.box)
        quiet(r, talk.box)


@case
def one_of_two_is_refused_and_only_lmtp_can_say_so(r):
    """Sealed to the one alone: the other's key opens nothing."""
    bob, carol = Conversation(r, 'bob'), Conversation(r, 'carol')
    STUB.set(PASS)
    for rcpts in ([bob.reverse, carol.reverse], [carol.reverse, bob.reverse]):
        data = to_all(r, [bob, carol], certs=[bob.cert])
        told = transact(r, False, rcpts, data)
        assert told.data == [REFUSED], told.data
        quiet(r, bob.box, carol.box)
        before = dropped(r)
        told = transact(r, True, rcpts, data)  # what SMTP gave back may still be sent
        assert told.codes()[1] == ['250', '250'] and dropped(r) == before + 1, told.data
        arrived(bob.box)
        quiet(r, bob.box, carol.box)


@case
def one_of_two_fails_for_now_and_each_leaves_once(r):
    bob, carol = Conversation(r, 'bob'), Conversation(r, 'carol')
    for over_lmtp, point in ((False, 'reply.key=error@2'), (True, 'reply.key=error@2'),
                             (False, 'reply.claimed=error@2'), (True, 'reply.write=error@2'),
                             (False, 'reply.committed=error@1'), (True, 'reply.committed=error@1')):
        data = to_all(r, [bob, carol])
        settled = 'committed' in point
        r.restart('sealrelayd', point)
        STUB.set(PASS)
        told = transact(r, over_lmtp, [bob.reverse, carol.reverse], data)
        codes = told.codes()[1]
        if settled:
            assert set(codes) == {'250'}, (point, told.data)
        elif over_lmtp:
            assert codes == ['250', '451'], (point, told.data)
        else:
            assert codes == ['451'], (point, told.data)
        if over_lmtp and not settled:
            arrived(bob.box)
            carol.box.nothing()
        retry(r, over_lmtp, [carol.reverse] if over_lmtp else [bob.reverse, carol.reverse], data,
              settled)
        arrived(carol.box)
        if not over_lmtp or settled:
            arrived(bob.box)
        quiet(r, bob.box, carol.box)
    r.restart('sealrelayd')


def retry(r, over_lmtp, rcpts, data, may_wait):
    """As a client: again until it is taken."""
    end = time.monotonic() + 30
    while True:
        told = transact(r, over_lmtp, rcpts, data)
        codes = sum(told.codes(), [])
        if set(codes) == {'250'}:
            return
        assert may_wait and set(codes) <= {'250', '451', '421'}, (told.rcpts, told.data)
        if time.monotonic() > end:
            return  # a claim that was not settled is settled later; it must not be sent twice
        time.sleep(0.5)


@contextlib.contextmanager
def key_service_hangs(r):
    os.kill(r.pid('sealhsmd'), signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(r.pid('sealhsmd'), signal.SIGCONT)


@contextlib.contextmanager
def key_service_gone(r):
    r.stop('sealhsmd', signal.SIGKILL)
    try:
        yield
    finally:
        r.start('sealhsmd')


@contextlib.contextmanager
def verdict_away():
    STUB.set(trouble='closed')
    try:
        yield
    finally:
        STUB.set(PASS)


@case
def what_is_short_behind_rcpt_defers_and_the_next_try_is_honoured(r):
    """Whatever it was that a claim had been made for is given back with the answer: at once where
    nothing has to be found again first."""
    bob, carol = Conversation(r, 'bob'), Conversation(r, 'carol')
    relay_dir = os.path.join(r.dir, 'relay')
    shortages = {
        'queue': lambda: outages.locked(os.path.join(relay_dir, 'queue', 'queue.db')),
        'store': lambda: outages.locked(os.path.join(relay_dir, 'store.db')),
        'verdict': verdict_away,
        'hang': lambda: key_service_hangs(r),
        'gone': lambda: key_service_gone(r),
    }
    for over_lmtp in (False, True):
        for name, during in shortages.items():
            data = to_all(r, [bob, carol])
            STUB.set(PASS)
            begun = time.monotonic()
            told = transact(r, over_lmtp, [bob.reverse, carol.reverse], data, during=during)
            assert all(text.startswith('45') for text in told.data), (name, told.data)
            assert time.monotonic() - begun < 25, '%s: %.1f s' % (name, time.monotonic() - begun)
            retry(r, over_lmtp, [bob.reverse, carol.reverse], data, name in ('hang', 'gone'))
            arrived(bob.box)
            arrived(carol.box)
            quiet(r, bob.box, carol.box)


@case
def a_reply_to_all_may_come_in_several_transactions(r):
    bob, carol, dave = (Conversation(r, name) for name in NAMES)
    STUB.set(PASS)
    data = to_all(r, [bob, carol, dave])
    for rcpts in ([carol.reverse], [bob.reverse, ALIAS], [dave.reverse, carol.reverse],
                  [bob.reverse, carol.reverse, dave.reverse]):
        told = transact(r, False, rcpts, data)
        assert told.codes()[1] == ['250'], told.data
    idents = set()
    for talk in (bob, carol, dave):
        got = arrived(talk.box)
        assert got['From'] == ALIAS and got['Cc'].count('@shop.example.net') == 2, got.items()
        idents.add(got['Message-ID'])
    assert len(idents) == 1, idents
    quiet(r, bob.box, carol.box, dave.box)
    # sealed anew, it is another envelope, and proves nothing for a second alias
    signed = r.client.sign(replies.entity())
    header = replies.fields(bob.reverse, cc=carol.reverse)
    first = replies.message(header, r.client.encrypt(signed, [bob.cert, carol.cert]))
    second = replies.message(header, r.client.encrypt(signed, [bob.cert, carol.cert]))
    assert transact(r, False, [bob.reverse], first).codes()[1] == ['250']
    assert transact(r, False, [carol.reverse], second).data == [REFUSED]
    assert transact(r, False, [carol.reverse], first).codes()[1] == ['250']
    arrived(bob.box)
    arrived(carol.box)
    quiet(r, bob.box, carol.box)


def at_once(jobs):
    """Each in a thread; what they give back."""
    results = [None] * len(jobs)

    def work(i):
        results[i] = jobs[i]()
    threads = [threading.Thread(target=work, args=(i,)) for i in range(len(jobs))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return results


@case
def transactions_at_the_same_time_do_not_disturb_each_other(r):
    bob, carol = Conversation(r, 'bob'), Conversation(r, 'carol')
    STUB.set(PASS)
    for _ in range(6):
        data = to_all(r, [bob, carol])
        told = at_once([lambda who=who: transact(r, False, [who.reverse], data)
                        for who in (bob, carol)])
        assert all(one.codes()[1] == ['250'] for one in told), [one.data for one in told]
        arrived(bob.box)
        arrived(carol.box)
    quiet(r, bob.box, carol.box)


@case
def the_same_reply_on_many_connections_leaves_once(r):
    bob, carol = Conversation(r, 'bob'), Conversation(r, 'carol')
    STUB.set(PASS)
    for _ in range(4):
        data = to_all(r, [bob, carol])
        rcpts = [[bob.reverse, carol.reverse], [carol.reverse, bob.reverse], [bob.reverse]] * 3
        told = at_once([lambda to=to: transact(r, False, to, data) for to in rcpts])
        codes = {code for one in told for code in one.codes()[1]}
        assert codes <= {'250', '451'}, [one.data for one in told]
        retry(r, False, [bob.reverse, carol.reverse], data, True)
        arrived(bob.box)
        arrived(carol.box)
        quiet(r, bob.box, carol.box)


def introduced(r, address):
    """The reverse alias of somebody whom the other user wants to write to; keys are made while idle."""
    end = time.monotonic() + 30
    while True:
        try:
            return r.sealctl('correspondent', 'add', GARDEN, address)['reverse']
        except AssertionError as failure:
            if 'ERR_SHARE' not in str(failure) or time.monotonic() > end:
                raise
            time.sleep(0.1)


def unsendable(r, talk):
    """Proven, and refused: it names somebody who is no correspondent."""
    return replies.message(replies.fields('%s, outside@shop.example.net' % talk.reverse),
                           r.client.sealed(replies.entity(), [talk.cert]))


@case
def a_refusal_that_cannot_be_told_now_is_no_refusal_yet(r):
    talk = Conversation(r, 'bob')
    queue = os.path.join(r.dir, 'relay', 'queue', 'queue.db')
    for over_lmtp in (False, True):
        data = unsendable(r, talk)
        STUB.set(PASS)
        r.inbox.fresh()
        before = dropped(r)
        told = transact(r, over_lmtp, [talk.reverse], data, during=lambda: outages.locked(queue))
        assert told.data[0].startswith('451'), told.data
        assert not r.inbox.fresh() and dropped(r) == before
        told = transact(r, over_lmtp, [talk.reverse], data)
        assert told.codes()[1] == (['250'] if over_lmtp else ['550']), told.data
        assert dropped(r) == before + over_lmtp
        assert len(r.inbox.wait(1)) == 1 and not r.inbox.wait(1, 1)


@case
def told_often_enough_a_refused_reply_waits_where_it_would_be_lost(r):
    talk = Conversation(r, 'bob')
    STUB.set(PASS)
    first = unsendable(r, talk)
    answers = [transact(r, False, [talk.reverse], data).codes()[1][0] for data in
               [first] * 5 + [unsendable(r, talk) for _ in range(50)]]
    assert set(answers) == {'550'}, answers
    r.wait_until(lambda: not r.sealctl('queue', 'list'), 'all told', 60)
    told = len(r.inbox.fresh())
    assert 50 <= told <= 55, told
    data = unsendable(r, talk)
    assert transact(r, True, [talk.reverse], data).codes()[1] == ['451']
    assert transact(r, False, [talk.reverse], data).codes()[1] == ['550']
    assert transact(r, True, [talk.reverse], first).codes()[1] == ['250']  # it has been counted
    assert len(r.inbox.wait(1)) == 1 and not r.inbox.wait(1, 1)


def certificates(r, count):
    """{reverse alias: certificate} of those whom the other user was told of."""
    bag = {}
    for path in r.dora.inbox.wait(count, 120):
        with open(path, 'rb') as file:
            bag.update(replies.bag_of(r.dora.user, mail.to_crlf(file.read())))
    return bag


@case
def a_hundred_reverse_aliases_are_one_transaction(r):
    names = ['friend%03d' % i for i in range(100)]
    r.next_hop.has(hop.USER, DORA, *(name + '@shop.example.net' for name in NAMES + tuple(names)))
    r.dora.inbox.fresh()
    reverses = [introduced(r, name + '@shop.example.net') for name in names]
    boxes = [replies.Box(r, name) for name in names]
    certs = certificates(r, len(names))
    STUB.set(PASS)
    for over_lmtp in (False, True):
        data = replies.message(replies.fields(reverses[0], sender=DORA),
                               r.dora.client.sealed(replies.entity(), [certs[a] for a in reverses]))
        begun = time.monotonic()
        told = transact(r, over_lmtp, reverses + [GARDEN], data)
        print('    %s: %.1f s' % ('LMTP' if over_lmtp else 'SMTP', time.monotonic() - begun))
        assert [code for code in told.codes()[0] if code != '250'] == ['452'], told.rcpts[-1]
        assert set(told.codes()[1]) == {'250'}, told.data
        again = transact(r, over_lmtp, reverses, data)
        assert set(again.codes()[1]) == {'250'}, again.data
        r.wait_until(lambda: not r.sealctl('queue', 'list'), 'all leave', 120)
        for box in boxes:
            got = box.next()
            assert b'\r\nFrom: ' + GARDEN.encode() in got and b'dora' not in got, got


def another_user(r):
    """A view of the relay as another user of it has."""
    r.sealctl('user', 'add', 'dora', DORA)
    _, user, _ = r.profile('dora', '--key', 'p-256')
    r.sealctl('alias', 'add', GARDEN, 'dora')
    folder = tempfile.mkdtemp(dir=r.user_folder)
    return types.SimpleNamespace(dir=r.dir, smtp_port=r.smtp_port, user=user,
                                 inbox=mail.Maildir(os.path.join(r.dir, 'mail', 'dora')),
                                 client=replies.Client(user.identity, folder))


def prepare(r):
    r.sealctl('alias', 'add', NEWS, 'alice')
    r.configure('sealhsmd', 'limits', 'sender_keys_per_hour = 1000')
    r.configure('sealhsmd', 'token', 'pool_share = 150')
    r.restart('sealhsmd')
    r.dora = another_user(r)
    r.next_hop = hop.Hop(r)
    r.next_hop.has(hop.USER, DORA, *(name + '@shop.example.net' for name in NAMES))
    r.client = replies.Client(r.user.identity, r.user_folder)
    r.configure('sealrelayd', 'verdict', 'source = rspamd',
                'rspamd = http://127.0.0.1:%d' % STUB.port, 'timeout = 2s')
    r.restart('sealrelayd')


def main(build, names):
    cases = [run for run in CASES if not names or run.__name__ in names]
    with relay.Relay(build, {'RAISED': 'yes'}) as r:
        prepare(r)
        return stage.run(cases, r, r.inbox.fresh, os.path.join(r.dir, 'log', 'sealrelayd.log'))


if __name__ == '__main__':
    sys.exit(main(sys.argv[1], sys.argv[2:]))
