# SPDX-License-Identifier: GPL-3.0-or-later
"""Messages to a reverse alias that prove nothing, one for each way in which they can fail to, and
the people that are needed for them: another user of the relay, and nobody's keys."""
import contextlib
import os
import re
import time

import forged
import hop
import judge
import mail
import replies
import reply
from replies import MAILBOX
from stub_rspamd import answer, symbol

HOME = answer(symbol('DMARC_POLICY_ALLOW', 'home.example.com', 'reject'))
SHOP = answer(symbol('DMARC_POLICY_ALLOW', 'shop.example.net', 'reject'))
FAILED = answer(symbol('DMARC_POLICY_REJECT', 'home.example.com', 'reject'))
NOTHING = answer()
WEEK = 7 * 86400
MAILBOXES = {hop.USER, *(name + '@shop.example.net' for name in ('bob', 'carol', 'dave'))}


class Person:
    """A user of the relay and what they hold."""

    def __init__(self, r, name, profile, user, folder):
        self.name = name
        self.user = user
        self.profile = profile
        self.folder = folder
        self.inbox = mail.Maildir(os.path.join(r.dir, 'mail', name))
        self.client = replies.Client(user.identity, r.user_folder)
        self.cert = judge.run(['openssl', 'x509', '-in', user.identity])


@contextlib.contextmanager
def being(r, person):
    """What r.user, r.inbox and r.client are is this person's."""
    kept = r.user, r.inbox, r.client, r.user_cert
    r.user, r.inbox, r.client, r.user_cert = (person.user, person.inbox, person.client,
                                              person.cert)
    try:
        yield person
    finally:
        r.user, r.inbox, r.client, r.user_cert = kept


def enrol(r, name, mailboxes, alias, *options):
    """Another user with a profile of their own; the alias delivers to their first mailbox."""
    MAILBOXES.update(mailboxes)
    r.next_hop.has(*MAILBOXES)
    r.sealctl('user', 'add', name, *mailboxes)
    inbox, r.inbox = r.inbox, mail.Maildir(os.path.join(r.dir, 'mail', name))
    try:
        profile, user, folder = r.profile(name, *options)
    finally:
        r.inbox = inbox
    r.sealctl('alias', 'add', alias, name, '--mailbox', mailboxes[0])
    return Person(r, name, profile, user, folder)


def request(r, person, verb, *options):
    """A request signed by a user's first key, handed in: what sealctl printed, as a file."""
    nonce = r.sealctl('profile', 'nonce', person.profile)['nonce']
    out = os.path.join(r.user_folder, verb + '.json')
    r.enroll('request', verb, person.folder, nonce, out, '--passphrase-file', r.secret(), *options)
    return r.document(verb + '.issued', 'profile', 'issue', person.profile, '--request', out)


def put(r, data, to, verdict, where=None):
    """The answer to a message with a verdict."""
    reply.STUB.set(verdict)
    return reply.send(r, [to], data, where=where)


def enclosed(r, entity, cert):
    return r.client.encrypt(entity, [cert]) if cert else entity


# ---- what can be wrong ----

def senders(r, text, to, cert, carl):
    """Whose word it is: verdict, From, signature outside of any doubt otherwise. cert: None for an
    address that has none yet"""
    fields, message, client = replies.fields, replies.message, r.client
    sealed = enclosed(r, client.sign(text), cert)
    public = enclosed(r, client.sign(replies.entity(b'To all on the list.\n')), cert)
    eve = fields(to, sender='eve@shop.example.net')
    return {
        'no pass': (message(fields(to), sealed), NOTHING),
        'DMARC fails': (message(fields(to), sealed), FAILED),
        'a pass of another domain': (message(fields(to), sealed), SHOP),
        'no pass, in clear': (message(fields(to), text), NOTHING),
        'public, encrypted by a stranger, no pass': (message(fields(to), public), NOTHING),
        'public, encrypted by a stranger with a pass': (message(eve, public), SHOP),
        'public, From of stranger and user': (message(fields(
            to, sender='eve@shop.example.net>, Alice <' + MAILBOX), public), SHOP),
        'another From of the domain': (message(fields(to, sender='mallory@home.example.com'),
                                               sealed), HOME),
        'another user, who has a key': (message(fields(to, sender='carl@home.example.com'),
                                                enclosed(r, carl.client.sign(text), cert)), HOME),
        'From is the reverse alias': (message(fields(to, sender=to), sealed), HOME),
        'From is the alias': (message(fields(to, sender=replies.ALIAS), sealed), HOME),
        'two From fields': (message(fields(to) + b'From: ' + MAILBOX.encode() + b'\n', sealed),
                            HOME),
        'two From fields, a stranger before': (message(
            b'From: eve@shop.example.net\n' + fields(to), sealed), HOME),
        'two From fields, a stranger behind': (message(
            fields(to) + b'From: eve@shop.example.net\n', sealed), HOME),
        'two mailboxes in From': (message(fields(
            to, sender=MAILBOX + '>, <eve@shop.example.net'), sealed), HOME),
        'no From': (message(re.sub(b'^From:.*\n', b'', fields(to)), sealed), HOME),
        'a From that is none': (message(fields(to, sender=MAILBOX.replace('@', ' at ')), sealed),
                                HOME),
    }


def signatures(r, text, to, cert, talk, carl):
    """With the user's own pass: whose signature, and what of it is left."""
    fields, client = replies.fields(to), r.client

    def inside(entity):
        return replies.message(fields, enclosed(r, entity, cert)), HOME
    signed, mine = client.sign(text), r.user.identity
    assert b'word' in signed, 'a text with a word in it is wanted'
    der = forged.signature(mine, mail.to_crlf(text), detached=False)
    bare = forged.signature(mine, mail.to_crlf(text))
    now = time.time()
    return {
        'no signature': inside(text),
        'in clear': (replies.message(fields, text), HOME),
        'signature taken out of the multipart': inside(re.sub(
            rb'(?s)\n------[^\n]*\nContent-Type: application/.*', b'\n', signed)),
        'a SignerInfo of nobody': inside(forged.opaque(forged.with_signers(der, 0))),
        'a SignerInfo of nobody, detached': inside(forged.multipart(text, forged.with_signers(bare, 0))),
        'certificates only': inside(forged.opaque(forged.with_signers(der, 0), 'certs-only')),
        'content inside and outside': inside(forged.multipart(text, der)),
        'two signers': inside(client.sign(text, '-signer', r.stranger)),
        'the user twice': inside(forged.multipart(text, forged.with_signers(bare, 2))),
        'signed by a key of nobody': inside(client.sign(text, identity=r.stranger)),
        "signed by another user's key": inside(client.sign(text, identity=carl.user.identity)),
        "signed by a namesake of the user's certificate": inside(client.sign(
            text, identity=namesake(r, 'user', r.user_cert, MAILBOX))),
        "signed by a namesake of the sender's certificate": inside(client.sign(
            text, identity=namesake(r, 'sender', talk.cert, MAILBOX))),
        "signed by the sender's key": inside(r.user.decrypt(talk.sealed)),
        'signed too long ago': inside(forged.signed(mine, text, now - WEEK - 60)),
        'signed a year ago, opaque': inside(forged.signed(mine, text, now - 365 * 86400, False)),
        'signed in two hours': inside(forged.signed(mine, text, now + 7200)),
        'no signed attributes': inside(client.sign(text, '-noattr')),
        'a digest of old': inside(client.sign(text, '-md', 'sha1')),
        'the text changed': inside(signed.replace(b'word', b'deed')),
        'signed outside': (replies.message(fields, client.sign(client.encrypt(
            text, [talk.cert]))), HOME),
        'a protected From of somebody else': inside(client.sign(
            b'From: Eve <eve@shop.example.net>\n' + text)),
    }


NAMESAKES = {}


def namesake(r, name, cert, address):
    if (name, cert) not in NAMESAKES:
        NAMESAKES[name, cert] = forged.namesake(r.user_folder, cert, address)
    return NAMESAKES[name, cert]


def envelopes(r, text, to, cert, other):
    """With pass and signature: what is around them."""
    fields, client = replies.fields(to), r.client
    signed = client.sign(text)
    sealed = client.encrypt(signed, [cert])
    sent = replies.message(replies.fields(other.reverse), client.encrypt(signed, [other.cert]))
    text = put(r, sent, other.reverse, HOME)
    assert text.startswith('250'), text

    def body(entity):
        return replies.message(fields, entity), HOME
    der = forged.enveloped(signed, cert, '-aes128')
    return {
        'to another conversation': body(client.encrypt(client.sign(replies.entity()),
                                                       [other.cert])),
        'sent in another conversation before': (sent, HOME),
        'sent before, encrypted anew': body(sealed),
        'sent before, not encrypted': body(signed),
        'to nobody of ours': body(client.encrypt(signed, [r.user_cert])),
        'ciphertext changed': body(flip(sealed)),
        'ciphertext in a multipart': body(b'Content-Type: multipart/mixed; boundary=x\n\n--x\n' +
                                          sealed + b'\n--x--\n'),
        'encrypted twice': body(client.encrypt(sealed, [cert])),
        'base64 that is none': body(forged.opaque(b'', 'enveloped-data') + b'!!!!\n'),
        'content key of another message': (forged.message(fields, forged.with_key(
            der, cert, forged.block(os.urandom(16)))), HOME),
        'content key of no length': (forged.message(fields, forged.with_key(
            der, cert, forged.block(b''))), HOME),
        'content key padded badly': (forged.message(fields, forged.with_key(
            der, cert, forged.block(os.urandom(16), good=False))), HOME),
        'a bare CR': (replies.message(fields, sealed) + b'x\rx\r\n', HOME),
        'a bare LF': (replies.message(fields, sealed) + b'x\nx\r\n', HOME),
        'a NUL': (replies.message(fields, sealed) + b'x\0x\r\n', HOME),
        'a header of nothing': (replies.message(b'', sealed), HOME),
        'too many passages': (replies.message(b'Received: by x; now\n' * 60 + fields, sealed), HOME),
    }


def flip(sealed):
    """Another character in the middle of the base64."""
    at = len(sealed) * 3 // 4
    while sealed[at:at + 1] in (b'\n', b'A', b'='):
        at += 1
    return sealed[:at] + b'A' + sealed[at + 1:]


def kinds(r, talk, other, carl, text):
    """{what is wrong: (message to talk's reverse alias, verdict)}"""
    to, cert = talk.reverse, talk.cert
    return {**senders(r, text, to, cert, carl), **signatures(r, text, to, cert, talk, carl),
            **envelopes(r, text, to, cert, other)}
