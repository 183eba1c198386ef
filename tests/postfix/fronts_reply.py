# SPDX-License-Identifier: GPL-3.0-or-later
"""Replies through a front: what has to hold for them whichever place the relay has. A reply proves
itself by its signature here; that an aligned pass is asked for is waived."""
import fronts
import front
import hop
import judge
import mail
import replies

UNKNOWN = 'r-aaaaaaaaaaaaaaaa@' + front.DOMAIN
NAMES = ('bob', 'carol')


class Talk:
    """A stranger who has written through the front."""

    def __init__(self, b, name, alias=None):
        sender = name + '@shop.example.net'
        ident, data = fronts.message(sender=sender)
        b.relay.inbox.fresh()
        code, text = b.send(data, [alias or b.relay.alias], sender)
        assert code == 250, text
        sealed = mail.to_crlf(b.arrived({ident: data})[ident])
        self.reverse = judge.from_address(mail.split(sealed)[0])
        self.cert = replies.signer_of(b.relay.user, sealed)
        self.box = replies.Box(b.relay, name)


def prepare(b):
    """Once: mailboxes of correspondents at the next hop, and the user's mail program."""
    if hasattr(b, 'client'):
        return
    hop.Hop(b.relay).has(hop.USER, *(name + '@shop.example.net' for name in NAMES))
    profile = b.relay.sealctl('profile', 'list')[0]['profile']
    b.relay.sealctl('profile', 'policy', profile, '--reply-pass', 'waived')
    b.client = replies.Client(b.relay.user.identity, b.relay.user_folder)


def reply(b, talks, unproven=False):
    text = replies.entity(b'Hello.\n')
    certs = [talk.cert for talk in talks]
    return replies.message(
        replies.fields(talks[0].reverse, cc=', '.join(talk.reverse for talk in talks[1:])),
        b.client.encrypt(text, certs) if unproven else b.client.sealed(text, certs))


def once(*talks):
    """What each correspondent has got, and nobody twice."""
    found = [talk.box.next() for talk in talks]
    for data, talk in zip(found, talks):
        assert mail.field_value(mail.split(data)[0], b'From') == b'shop@relay.example.com'
        assert b'alice' not in data and b'home.example' not in data, data
        talk.box.nothing()


def a_reply_arrives_from_the_alias(b):
    prepare(b)
    talk = Talk(b, 'bob')
    data = reply(b, [talk])
    for _ in range(2):  # and once when its client sends it again
        code, text = b.send(data, [talk.reverse], replies.MAILBOX)
        assert code == 250, text
        if b.front.queued():
            b.front.wait_empty()
    once(talk)


def a_reply_to_all_reaches_each_and_the_alias_gets_no_copy(b):
    prepare(b)
    talks = [Talk(b, name) for name in NAMES]
    data = reply(b, talks)
    rcpts = [talks[0].reverse, b.relay.alias, talks[1].reverse]
    for order in (rcpts, rcpts[::-1]):
        b.relay.inbox.fresh()
        code, text = b.send(data, order, replies.MAILBOX)
        assert code == 250, text
        if b.front.queued():
            b.front.wait_empty()
        once(*talks)
        b.nothing_arrives()
        data = reply(b, talks)


def an_unknown_reverse_alias_is_refused_at_rcpt(b):
    prepare(b)
    for address in (UNKNOWN, nobodys(b)):
        session = b.session()
        session.command('MAIL FROM:<%s>' % replies.MAILBOX)
        try:
            session.command('RCPT TO:<%s>' % address)
            raise AssertionError('taken: ' + address)
        except mail.Refused as refusal:
            assert refusal.code == 550 and '5.1.1' in refusal.text, refusal.text
        finally:
            session.close()


def nobodys(b):
    """The reverse alias of an alias that is gone."""
    alias = 'gone@' + front.DOMAIN
    b.relay.sealctl('alias', 'add', alias, 'alice')
    reverse = Talk(b, 'bob', alias).reverse
    b.relay.sealctl('alias', 'remove', alias, '--yes')
    return reverse


def foreign(b):
    """The reverse alias of somebody whom our mail cannot reach."""
    ident, data = fronts.message()
    data = data.replace(b'<bob@', b'<b\xc3\xbcro@')
    code, text = b.send(data)
    assert code == 250, text
    sealed = mail.to_crlf(next(iter(b.arrived({ident: data}).values())))
    return judge.from_address(mail.split(sealed)[0])


def unproven(b, talk):
    """The answer to a reply that nobody signed."""
    return b.send(reply(b, [talk], unproven=True), [talk.reverse], fronts.FORGED)


def nothing_left(b, talk):
    if b.front.queued():
        b.front.wait_empty()
    b.relay.wait_until(lambda: not b.relay.sealctl('queue', 'list'), 'the queue is empty')
    talk.box.nothing()
    assert not b.front.sink.messages() and not b.relay.inbox.fresh()


def an_outage_at_the_end_of_data(b, talk, data):
    """RCPT is answered, then the key service goes; the answer to the message."""
    session = b.session()
    session.command('MAIL FROM:<%s>' % replies.MAILBOX)
    session.command('RCPT TO:<%s>' % talk.reverse)
    b.relay.stop('sealhsmd')
    try:
        session.command('DATA', '3')
        session.sock.sendall(data + b'.\r\n')
        return session.reply()
    finally:
        session.close()
