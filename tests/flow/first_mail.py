# SPDX-License-Identifier: GPL-3.0-or-later
"""A user writes to somebody who never wrote: signed mail to alias+local=domain@relay goes out from the
alias, the user gets the reverse alias and its certificate by sealed mail, and from then on writes as
one replies. Nobody else gets anything but the one answer."""
import os
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import reply
import hop
import judge
import mail
import replies
import stranger
from replies import ALIAS
from reply import REFUSED, arrived, policy

FRANK = 'frank@shop.example.net'


def first_address(address, alias=ALIAS):
    local, domain = alias.split('@')
    return '%s+%s@%s' % (local, address.replace('@', '='), domain)


def signed(r, to, body=b'Hello, we have not met.\n', cc='', head=b''):
    return replies.message(replies.fields(to, cc=cc), r.client.sign(replies.entity(body, head)))


def letter(r):
    """The next sealed message to the user: (text, {address: certificate} of correspondents)."""
    found = r.inbox.wait()
    assert len(found) == 1, '%d arrived' % len(found)
    with open(found[0], 'rb') as file:
        sealed = mail.to_crlf(file.read())
    relay = judge.from_address(mail.split(sealed)[0])
    bag = {name: pem for name, pem in replies.bag_of(r.user, sealed).items()
           if name.startswith('r-') and name != relay}
    return r.user.open(sealed)[0].decode(), bag


def mailboxes(r):
    names = ('bob', 'carol', 'dave', 'frank', 'grace')
    r.next_hop.has(hop.USER, *(name + '@shop.example.net' for name in names))
    return [replies.Box(r, name) for name in names]


def a_first_mail_arrives_from_the_alias_and_brings_the_user_a_certificate(r):
    _, _, _, frank, _ = mailboxes(r)
    r.inbox.fresh()
    data = signed(r, first_address(FRANK))
    reply.reply(r, data, first_address(FRANK))
    got = arrived(frank)
    assert got['From'] == ALIAS and got['To'] == FRANK, got.items()
    text, bag = letter(r)
    (reverse, cert), = bag.items()
    assert reverse in text and FRANK in text and ALIAS in text, text
    # a client that missed the answer
    reply.reply(r, data, first_address(FRANK))
    r.wait_until(lambda: not r.sealctl('queue', 'list'), 'the queue is empty')
    frank.nothing()
    assert not r.inbox.fresh(), 'told twice'
    # the second one is written as a reply is, and the answer comes from the same reverse alias
    reply.reply(r, replies.message(replies.fields(reverse), r.client.sealed(
        replies.entity(), [cert, r.user_cert])), reverse)
    arrived(frank)
    sealed = reply.receive(r, replies.fresh_id('shop.example.net'), FRANK)
    assert judge.from_address(mail.split(sealed)[0]) == reverse


def several_are_written_to_at_once(r):
    bob, _, _, frank, grace = mailboxes(r)
    talk = reply.Conversation(r)
    addresses = [first_address(FRANK), first_address('grace@shop.example.net'), talk.reverse]
    r.inbox.fresh()
    reply.reply(r, signed(r, ', '.join(addresses[:2]), cc=addresses[2]), addresses)
    for box in (bob, frank, grace):
        got = arrived(box)
        assert (got['To'], got['Cc']) == (FRANK + ', grace@shop.example.net',
                                          'bob@shop.example.net'), got.items()


def a_client_that_writes_in_capitals_is_understood(r):
    _, _, _, frank, _ = mailboxes(r)
    address = first_address(FRANK).replace('frank', 'Frank').replace('shop+', 'Shop+')
    reply.reply(r, signed(r, address), address)
    assert arrived(frank)['To'].lower() == FRANK


def whoever_is_not_the_user_gets_the_one_answer(r):
    policy(r)
    boxes = mailboxes(r)
    talk = reply.Conversation(r)
    address = first_address('nobody-yet@shop.example.net')
    text = replies.entity()
    fields = replies.fields(address)
    public = signed(r, 'list@lists.example.org')
    r.inbox.fresh()
    kinds = {
        'no pass': (address, signed(r, address), False),
        'no signature': (address, replies.message(fields, text), True),
        'a stranger\'s signature': (address, replies.message(
            fields, r.client.sign(text, identity=r.stranger)), True),
        'encrypted to somebody': (address, replies.message(
            fields, r.client.sealed(text, [talk.cert])), True),
        'public mail sent on': (address, public, True),
        'public mail sent on to a reverse alias': (talk.reverse, public, True),
        'mail for another': (address, signed(r, first_address(FRANK)), True),
    }
    for name, (to, data, passed) in kinds.items():
        said = reply.reply(r, data, to, want=None, passed=passed)
        assert said == REFUSED, (name, said)
    r.wait_until(lambda: not r.sealctl('queue', 'list'), 'the queue is empty')
    for box in boxes:
        box.nothing()
    assert not r.inbox.fresh(), 'the user was told something'
    people = r.sealctl('correspondent', 'list', ALIAS)
    assert not [p for p in people if 'nobody-yet' in p['address']], 'a stranger made somebody'


def what_cannot_be_an_address_is_refused_at_rcpt(r):
    for address in (first_address(FRANK, 'no-such-alias@relay.example.com'),
                    first_address('x@relay.example.com'), first_address('x@sub.relay.example.com'),
                    'shop+frank@relay.example.com', 'shop+=@relay.example.com'):
        said = reply.send(r, [address], b'x')
        assert said.startswith('550 5.1.1'), (address, said)


def a_first_mail_to_somebody_whose_certificate_is_known_is_encrypted(r):
    _, _, _, frank, _ = mailboxes(r)
    own = stranger.Authority(r.user_folder, 'Test Mail CA').issue(FRANK)
    reverse = r.sealctl('correspondent', 'add', ALIAS, FRANK)['reverse']
    r.sealctl('correspondent', 'import', reverse, own.cert)
    address = first_address(FRANK)
    reply.reply(r, signed(r, address, b'The word is harbour.\n'), address)
    data = frank.next()
    assert b'application/pkcs7-mime' in data and b'harbour' not in data, data
    assert b'The word is harbour.' in own.decrypt(data)
    r.sealctl('correspondent', 'forget-certificate', reverse, '--yes')


def an_encrypted_profile_says_why_it_cannot_leave(r):
    mailboxes(r)
    policy(r, onward='required')
    r.inbox.fresh()
    address = first_address('heidi@shop.example.net')
    said = reply.reply(r, signed(r, address), address, want=None)
    assert said.startswith('550 5.6.0'), said
    assert 'certificate' in letter(r)[0]
    policy(r)


CASES = [
    a_first_mail_arrives_from_the_alias_and_brings_the_user_a_certificate,
    several_are_written_to_at_once,
    a_client_that_writes_in_capitals_is_understood,
    whoever_is_not_the_user_gets_the_one_answer,
    what_cannot_be_an_address_is_refused_at_rcpt,
    a_first_mail_to_somebody_whose_certificate_is_known_is_encrypted,
    an_encrypted_profile_says_why_it_cannot_leave,
]


if __name__ == '__main__':
    sys.exit(reply.main(sys.argv[1], [case for case in CASES
                                      if not sys.argv[2:] or case.__name__ in sys.argv[2:]]))
