# SPDX-License-Identifier: GPL-3.0-or-later
"""Strangers who probe: what one of them writes makes no reply tell whose alias it is, whom else the
user knows, or that an earlier message is to be sent again; and stops no honest reply."""
import email.utils
import os
import sys
import threading
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '../support'))
import judge
import mail
import replies
import reply
from reply import Conversation, arrived, good, policy, receive, send
from replies import MAILBOX

CASES = []
OTHER_ALIAS = 'books@relay.example.com'


def case(function):
    CASES.append(function)
    return function


def other_alias(r):
    """One more alias of the same user."""
    if OTHER_ALIAS not in [alias['address'] for alias in r.sealctl('alias', 'list')]:
        r.sealctl('alias', 'add', OTHER_ALIAS, 'alice')
    return OTHER_ALIAS


@case
def an_id_in_the_users_own_domain_is_missing_from_no_reply(r):
    guesses = ['<1@%s>' % domain for domain in ('home.example.com', 'mail.home.example.com',
                                                 'else.example.com')]
    ident = replies.fresh_id('home.example.com')  # a colleague of the user's
    sealed = receive(r, ident, 'bob@shop.example.net', guesses)
    reverse = judge.from_address(mail.split(sealed)[0])
    talk = Conversation(r)
    assert talk.reverse == reverse
    reply.reply(r, good(r, talk, references=guesses + [ident]), reverse)
    got = arrived_with(talk.box, b'home.example.com')
    assert got[b'References'].split() == guesses + [ident], got
    assert got[b'In-Reply-To'] == ident, got
    # an id that no stranger ever wrote is the user's, and does not leave
    own = replies.fresh_id()
    reply.reply(r, good(r, talk, references=[own, talk.ident]), reverse)
    assert arrived(talk.box)['References'] == talk.ident


def arrived_with(box, *_):
    header, _ = mail.split(box.next())
    return {name: ' '.join(mail.field_value(header, name).decode().split())
            for name in (b'References', b'In-Reply-To')}


@case
def an_id_with_the_mailbox_in_it_never_leaves(r):
    guess = '<%s-1@shop.example.net>' % MAILBOX
    receive(r, replies.fresh_id('shop.example.net'), 'bob@shop.example.net', [guess])
    talk = Conversation(r)
    reply.reply(r, good(r, talk, references=[guess, talk.ident]), talk.reverse)
    assert arrived(talk.box)['References'] == talk.ident


@case
def who_else_the_user_knows_under_another_alias_is_not_told(r):
    talk = Conversation(r)
    other = Conversation(r, 'carol', alias=other_alias(r))
    reply.reply(r, good(r, talk, b'Ask %s.\n' % other.reverse.encode()), talk.reverse)
    got = arrived(talk.box)
    assert 'carol' not in got.as_string() and other.reverse in got.get_content(), got.as_string()
    data = replies.message(replies.fields(talk.reverse, cc=other.reverse), r.client.sealed(
        replies.entity(), [talk.cert, other.cert]))
    r.inbox.fresh()
    text = reply.reply(r, data, talk.reverse, want=None)
    assert text.startswith('550 5.6.0'), text
    assert 'this alias' in reply.notice(r)
    talk.box.nothing()


@case
def another_alias_of_the_user_among_the_recipients_is_left_out(r):
    talk = Conversation(r, cc=other_alias(r))
    data = replies.message(replies.fields(talk.reverse, cc=OTHER_ALIAS),
                           r.client.sealed(replies.entity(), [talk.cert]))
    r.inbox.fresh()
    reply.reply(r, data, [talk.reverse, OTHER_ALIAS])
    got = arrived(talk.box)
    assert got['To'] == talk.address and got['Cc'] is None, got.items()
    assert not r.inbox.fresh(), 'the user got a copy'


@case
def a_stranger_who_writes_to_the_mailbox_too_is_answered_by_a_reply_to_all(r):
    talk = Conversation(r, cc='%s, carol@shop.example.net' % MAILBOX)
    header, _ = mail.split(talk.sealed)
    inner, _ = mail.split(r.user.open(talk.sealed)[0])
    for shown in (header, inner):
        cc = mail.field_value(shown, b'Cc').decode()
        assert cc.count('<') == 1 and 'carol at' in cc and '<r-' in cc, cc
    assert len([name for name in talk.bag if name.startswith('r-')]) == 2, talk.bag.keys()


@case
def a_reply_that_leaves_twice_at_once_has_one_message_id(r):
    talk = Conversation(r, 'bob', cc='carol@shop.example.net')
    carol = next(name for name in talk.bag if name.startswith('r-') and name != talk.reverse)
    box = replies.Box(r, 'carol')
    reply.STUB.set(reply.PASS)
    for _ in range(5):
        data = replies.message(replies.fields(talk.reverse, cc=carol), r.client.sealed(
            replies.entity(b'x' * 200000 + b'\n'), [talk.cert, talk.bag[carol]]))
        both = [threading.Thread(target=send, args=(r, [to], data, MAILBOX, '250'))
                for to in (talk.reverse, carol)]
        for one in both:
            one.start()
        for one in both:
            one.join()
        assert arrived(talk.box)['Message-ID'] == arrived(box)['Message-ID']


@case
def a_refused_reply_is_not_dropped_before_the_user_was_told(r):
    talk = Conversation(r)
    lmtp = os.path.join(r.dir, 'run', 'lmtp.sock')

    def outside():
        return replies.message(replies.fields('%s, x@shop.example.net' % talk.reverse),
                               r.client.sealed(replies.entity(), [talk.cert]))
    r.inbox.fresh()
    told = 0
    for _ in range(60):
        text = reply.reply(r, outside(), talk.reverse, want=None, where=lmtp)
        if not text.startswith('250'):
            break
        told += 1
    assert text.startswith('451 '), (told, text)
    r.wait_until(lambda: not r.sealctl('queue', 'list'), 'the queue is empty')
    assert len(r.inbox.fresh()) == told > 10, told


@case
def an_unsigned_reply_is_honoured_for_days_and_not_for_ever(r):
    talk = Conversation(r)
    policy(r, reply_signature='waived', plain='yes')

    def dated(*dates):
        header = [line for line in replies.fields(talk.reverse).splitlines(True)
                  if not line.startswith(b'Date:')]
        header += [b'Date: %s\n' % email.utils.formatdate(at).encode() for at in dates]
        return reply.reply(r, replies.message(b''.join(header), replies.entity()), talk.reverse,
                           want=None)
    now = time.time()
    for dates in ([], [now - 8 * 86400], [now + 7200], [now, now - 8 * 86400]):
        assert dated(*dates) == reply.REFUSED, dates
    talk.box.nothing()
    assert dated(now - 6 * 86400).startswith('250')
    arrived(talk.box)
    policy(r)


@case
def a_users_public_mail_is_sent_on_from_no_alias(r):
    made_up = 'shop+carol=shop.example.net@relay.example.com'
    box = replies.Box(r, 'carol')
    public = replies.message(replies.fields('list@lists.example.org'),
                             r.client.sign(replies.entity()))
    # what a DKIM signature does not cover
    for more in (b'Cc: %s\r\n', b'To: %s\r\n', b'to : %s\r\n'):
        said = reply.reply(r, more % made_up.encode() + public, made_up, want=None)
        assert said == reply.REFUSED, (more, said)
    policy(r, reply_pass='waived')
    changed = public.replace(b'To: list@lists.example.org', b'To: ' + made_up.encode())
    assert changed != public
    assert reply.reply(r, changed, made_up, want=None, passed=False) == reply.REFUSED
    policy(r)
    box.nothing()
    reply.reply(r, changed, made_up)
    arrived(box)


if __name__ == '__main__':
    sys.exit(reply.main(sys.argv[1], [c for c in CASES if c.__name__ in sys.argv[2:]] or CASES))
