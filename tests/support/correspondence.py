# SPDX-License-Identifier: GPL-3.0-or-later
"""A user whose name, mailbox and machine are known words, who corresponds through real daemons; what
leaves lands in a sink that keeps every byte of it."""
import email.utils
import os
import re
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '../verdict'))
import judge
import mail
import replies
import sink
import stage
from stub_rspamd import Stub, answer, symbol

MAILBOX = 'jane.roe@home.example'
ALIAS = 'orders@relay.example.com'
STUB = Stub()
STRANGER = answer(symbol('DMARC_POLICY_ALLOW', 'corp.example', 'reject'))
OWN = answer(symbol('DMARC_POLICY_ALLOW', 'home.example', 'reject'))


def start(r, folder):
    """The user enrolled, the relay's next hop a sink."""
    r.sink = sink.Sink(folder)
    r.configure('sealrelayd', 'next-hop default', 'host = 127.0.0.1', 'port = %d' % r.sink.port)
    r.configure('sealrelayd', 'verdict', 'source = rspamd',
                'rspamd = http://127.0.0.1:%d' % STUB.port, 'timeout = 5s')
    r.restart('sealrelayd')
    r.inbox = mail.Maildir(r.sink.box(MAILBOX))
    r.sealctl('user', 'add', 'jane', MAILBOX)
    r.jane_profile, r.jane, _ = r.profile('jane', '--key', 'rsa-2048')
    r.sealctl('alias', 'add', ALIAS, 'jane')
    r.client = replies.Client(r.jane.identity, r.user_folder)
    r.jane_cert = judge.run(['openssl', 'x509', '-in', r.jane.identity])
    r.sink.drain(MAILBOX)


def policy(r, *words):
    r.sealctl('profile', 'policy', r.jane_profile, '--reply-pass', 'required', '--reply-signature',
              'required', '--plain', 'no', *words)


def letter(r, sender='bob@corp.example', ident=None, references=(), alias=ALIAS, cc='', name='Bob'):
    """A stranger's message, as it arrives at the user's."""
    STUB.set(STRANGER)
    data = 'From: %s <%s>\nTo: %s\n%sSubject: keep-subject\nMessage-ID: %s\nDate: %s\n' % (
        name, sender, alias, 'Cc: %s\n' % cc if cc else '',
        ident or replies.fresh_id('corp.example'), email.utils.formatdate())
    if references:
        data += 'In-Reply-To: %s\nReferences: %s\n' % (references[-1], '\n '.join(references))
    session = mail.Smtp(r.smtp_port, 'EHLO mx.corp.example')
    try:
        session.send(sender, [alias], mail.to_crlf(data.encode() + b'\nHow are you?\n'))
    finally:
        session.close()
    return mail.to_crlf(r.sink.take(MAILBOX).message)


class Talk:
    """A stranger who has written, and what the user's client has of them."""

    def __init__(self, r, address='bob@corp.example', alias=ALIAS, cc=''):
        self.address = address
        self.alias = alias
        self.ident = replies.fresh_id('corp.example')
        self.sealed = letter(r, address, self.ident, alias=alias, cc=cc)
        self.reverse = judge.from_address(mail.split(self.sealed)[0])
        self.bag = replies.bag_of(r.jane, self.sealed)
        self.cert = self.bag[self.reverse]


def post(r, rcpts, data, hello='EHLO client.example.org', parameters='', before=()):
    """The last answer to a message of the user's; parameters: of MAIL; before: commands ahead of it."""
    STUB.set(OWN)
    session = mail.Smtp(r.smtp_port, hello)
    try:
        for command in before:
            session.command(command)
        session.command('MAIL FROM:<%s>%s' % (MAILBOX, parameters))
        for rcpt in rcpts:
            session.command('RCPT TO:<%s>' % rcpt)
        session.command('DATA', '3')
        session.sock.sendall(re.sub(rb'(^|\r\n)\.', rb'\1..', data) + b'.\r\n')
        return session.expect('2')
    except mail.Refused as refusal:
        return refusal.text
    finally:
        session.close()


def fields(to, **header):
    return replies.fields(to, sender=MAILBOX, **header).replace(b'Alice Example', b'Jane Roe')


def reply(r, talk, entity, header=None, **how):
    """What leaves for a reply that is signed and encrypted."""
    data = replies.message(header or fields(talk.reverse),
                           r.client.sealed(entity, [talk.cert, r.jane_cert]))
    text = post(r, [talk.reverse], data, **how)
    assert text.startswith('250'), text
    return r.sink.take(talk.address)


def notice(r):
    """What the relay tells the user next, header and text."""
    return r.jane.open(mail.to_crlf(r.sink.take(MAILBOX).message))[0].decode()


def run(r, cases):
    def before():
        r.wait_until(lambda: not r.sealctl('queue', 'list'), 'the queue is empty')
        r.sink.drain(MAILBOX)
    return stage.run(cases, r, before, os.path.join(r.dir, 'log', 'sealrelayd.log'))
