# SPDX-License-Identifier: GPL-3.0-or-later
"""The certificates of a user's aliases, over the user's own key: they come with each message, so that
a reply to all can be encrypted, and they prove nothing to the relay."""
import contextlib
import os
import sqlite3
import subprocess
import sys
import tempfile

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '../support'))
import judge
import mail
import replies
import reply
from replies import ALIAS, MAILBOX
from reply import Conversation, arrived, receive

CASES = []
ERIN = []  # profile, judge.User, folder
OTHER = 'news@relay.example.com'


def case(function):
    CASES.append(function)
    return function


def public(pem):
    """The key in a certificate."""
    return judge.run(['openssl', 'x509', '-noout', '-pubkey'], pem)


def bag(r, name='bob', **how):
    """What came with a new message: {address: PEM}."""
    sealed = receive(r, replies.fresh_id('shop.example.net'), name + '@shop.example.net', **how)
    return replies.bag_of(r.user, sealed)


@case
def each_message_brings_its_aliass_certificate_over_the_users_key(r):
    first = bag(r)[ALIAS]
    assert public(first) == public(r.user_cert) and first != r.user_cert
    text = judge.run(['openssl', 'x509', '-noout', '-text'], first)
    assert b'home.example.com' not in text and b'alice' not in text.lower(), text
    assert bag(r)[ALIAS] == first and bag(r, 'carol')[ALIAS] == first
    r.restart('sealrelayd')
    assert bag(r)[ALIAS] == first


@case
def so_do_the_users_other_aliases_that_the_header_names(r):
    r.sealctl('alias', 'add', OTHER, 'alice')
    assert OTHER not in bag(r)
    found = bag(r, cc='News@Relay.example.com, carol@shop.example.net')
    assert public(found[ALIAS]) == public(found[OTHER]) == public(r.user_cert)
    assert found[ALIAS] != found[OTHER]
    r.sealctl('alias', 'remove', OTHER, '--yes')
    r.sealctl('alias', 'add', OTHER, 'alice')
    assert bag(r, alias=OTHER)[OTHER] != found[OTHER], 'it outlived its alias'


@case
def a_reply_to_all_is_encrypted_to_it_and_the_aliass_copy_does_nothing(r):
    talk = Conversation(r, cc='carol@shop.example.net')
    carol = next(name for name in talk.bag if name.startswith('r-') and name != talk.reverse)
    sealed = r.client.sealed(replies.entity(), [talk.cert, talk.bag[carol], talk.bag[ALIAS],
                                                r.user_cert])
    data = replies.message(replies.fields('%s, %s, %s' % (talk.reverse, ALIAS, carol)), sealed)
    reply.reply(r, data, [ALIAS, talk.reverse, carol])
    for box in (talk.box, replies.Box(r, 'carol')):
        got = arrived(box)
        assert got['From'] == ALIAS, got.items()
        assert sorted(one.addr_spec for one in got['To'].addresses) == [
            'bob@shop.example.net', 'carol@shop.example.net'], got['To']
    assert not r.inbox.wait(1, 1), 'a copy came back'


@case
def so_does_a_copy_that_comes_by_itself(r):
    """Mailbox providers hand over each recipient in a transaction of its own."""
    talk = Conversation(r)
    first = 'shop+dave=shop.example.net@relay.example.com'
    stranger = 'r-aaaaaaaaaaaaaaaa@relay.example.com'

    def arrives(to, cc='', sender=MAILBOX, passed=True):
        sealed = r.client.sealed(replies.entity(), [talk.cert, talk.bag[ALIAS], r.user_cert])
        data = replies.message(replies.fields(to, cc=cc, sender=sender), sealed)
        reply.reply(r, data, ALIAS, passed=passed)
        return bool(r.inbox.wait(1, 2))
    before = len(r.sealctl('correspondent', 'list'))
    assert not arrives('%s, %s' % (talk.reverse, ALIAS))
    assert not arrives('<%s>' % ALIAS, cc=talk.reverse.upper())
    assert not arrives('%s, %s' % (first, ALIAS))
    assert len(r.sealctl('correspondent', 'list')) == before
    # what nobody vouches for, what others send, and what is for the user alone is mail like any other
    assert arrives('%s, %s' % (talk.reverse, ALIAS), passed=False)
    assert arrives('%s, %s' % (talk.reverse, ALIAS), sender='mallory@home.example.com')
    assert arrives(ALIAS)
    assert arrives('%s, %s' % (stranger, ALIAS))


@case
def it_proves_nothing_to_the_relay(r):
    talk = Conversation(r)
    text = replies.entity()
    key = judge.run(['openssl', 'pkey', '-in', r.user.identity])
    with tempfile.NamedTemporaryFile(dir=r.user_folder) as both:
        both.write(talk.bag[ALIAS] + key)
        both.flush()
        signed = r.client.sealed(text, [talk.cert], identity=both.name)
        # the same key, named by its identifier, is the user's: who wrote it decides
        by_key = r.client.encrypt(r.client.sign(text, '-keyid', identity=both.name), [talk.cert])
    good = r.client.sign(text)
    rows = {
        'signed under it': (replies.fields(talk.reverse), signed),
        'signed under it, From the alias': (replies.fields(talk.reverse, sender=ALIAS), signed),
        'by key, From the alias': (replies.fields(talk.reverse, sender=ALIAS), by_key),
        'encrypted to it alone': (replies.fields(talk.reverse),
                                  r.client.encrypt(good, [talk.bag[ALIAS]])),
    }
    for name, (fields, body) in rows.items():
        told = reply.reply(r, replies.message(fields, body), talk.reverse, want=None)
        assert told == reply.REFUSED, '%s: %s' % (name, told)
    talk.box.nothing()


@contextlib.contextmanager
def erins_inbox(r):
    """What arrives meanwhile is hers."""
    before = r.inbox, r.user
    try:
        boxes = os.path.dirname(os.path.dirname(r.inbox.path))
        r.inbox = mail.Maildir(os.path.join(boxes, 'erin'))
        r.user = ERIN[1] if ERIN else r.user
        yield
    finally:
        r.inbox, r.user = before


def forget(r, change='DELETE FROM alias_cert'):
    with sqlite3.connect(os.path.join(r.dir, 'relay', 'store.db'), isolation_level=None) as store:
        store.execute(change)


@case
def a_message_goes_without_it_rather_than_not_at_all(r):
    forget(r)
    r.restart_armed('sealrelayd', 'forward.alias_cert', 'error')
    assert ALIAS not in bag(r)
    assert ALIAS in bag(r)
    r.restart('sealrelayd')


@case
def what_was_written_into_the_database_is_not_passed_on(r):
    """Another's certificate, or none at all: a new one is made."""
    before = bag(r)[ALIAS]
    der = judge.run(['openssl', 'x509', '-in', r.stranger, '-outform', 'DER'])
    for wrong in (der.hex(), '00'):
        forget(r, "UPDATE alias_cert SET cert = x'%s'" % wrong)
        found = bag(r)
        assert public(found[ALIAS]) == public(r.user_cert) and found[ALIAS] != before


@case
def a_trial_makes_none_unless_asked_to(r):
    def attempt(*options):
        done = subprocess.run(r.facts['sealctl'].split() + ['message', 'test', '-', ALIAS, *options],
                              input=b'From: bob@shop.example.net\r\nTo: ' + ALIAS.encode() +
                              b'\r\n\r\nHello.\r\n', capture_output=True, check=True)
        return replies.bag_of(r.user, mail.to_crlf(done.stdout))
    bag(r)
    forget(r)
    assert ALIAS not in attempt()
    assert ALIAS in attempt('--make')


@case
def an_alias_that_a_catch_all_makes_has_one_where_the_enrolment_names_its_domain(r):
    r.configure('sealrelayd', 'relay', 'domains = relay.example.com any.relay.example.com')
    r.restart('sealrelayd')
    r.next_hop.has(*(name + '@home.example.com' for name in ('alice', 'erin')))
    r.sealctl('user', 'add', 'erin', 'erin@home.example.com')
    with erins_inbox(r):
        ERIN.extend(r.profile('erin'))
    for pattern, owner in (('*@any.relay.example.com', 'erin'), ('*@on.relay.example.com', 'alice')):
        r.sealctl('alias', 'add', pattern, owner)
    with erins_inbox(r):
        found = bag(r, alias='Fresh@any.relay.example.com')
        assert 'fresh@any.relay.example.com' in found, sorted(found)
    below = bag(r, alias='fresh@on.relay.example.com')
    assert len(below) == 1, sorted(below)


@case
def it_is_made_anew_when_the_users_keys_change(r):
    profile, _, folder = ERIN
    address = 'erin@relay.example.com'
    r.sealctl('alias', 'add', address, 'erin')

    def request(verb, *options):
        nonce = r.sealctl('profile', 'nonce', profile)['nonce']
        out = os.path.join(r.user_folder, verb + '.json')
        r.enroll('request', verb, folder, nonce, out, '--passphrase-file', r.secret(), *options)
        issued = r.document(verb + '.issued', 'profile', 'issue', profile, '--request', out)
        assert r.inbox.wait(), 'no notice'
        return issued
    with erins_inbox(r):
        first = public(bag(r, alias=address)[address])
        second = os.path.join(r.user_folder, 'erins-second')
        issued = request('add-key', '--new-dir', second, '--new-passphrase-file', r.secret())
        r.enroll('finish', second, issued, '--passphrase-file', r.secret())
        assert public(bag(r, alias=address)[address]) == first, 'the first key is still there'
        forget(r)
        newest = public(bag(r, alias=address)[address])
        assert newest != first
        request('withdraw-key', '--key', os.path.join(second, 'user.pem'))
        assert public(bag(r, alias=address)[address]) == first


if __name__ == '__main__':
    sys.exit(reply.main(sys.argv[1],
                        [c for c in CASES if c.__name__ in sys.argv[2:]] or CASES))
