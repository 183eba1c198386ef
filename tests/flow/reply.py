# SPDX-License-Identifier: GPL-3.0-or-later
"""Replies: from the user's client to a reverse alias, and on to whom it stands for. What is proven
arrives without a trace of the user and threads on both sides; whatever is not gets one answer, equal
in bytes. A script plays rspamd; replies are built by openssl cms."""
import email
import email.policy
import os
import re
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '../support'))
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '../verdict'))
import hop
import judge
import mail
import relay
import replies
from replies import ALIAS, MAILBOX
from stub_rspamd import Stub, answer, symbol

CASES = []
STUB = Stub()
PASS = answer(symbol('DMARC_POLICY_ALLOW', 'home.example.com', 'reject'))
SHOP = answer(symbol('DMARC_POLICY_ALLOW', 'shop.example.net', 'reject'))
REFUSED = '550 5.7.1 Message refused'
DEFAULTS = {'reply-pass': 'required', 'reply-signature': 'required', 'plain': 'no',
            'onward': 'when-known'}


def case(function):
    CASES.append(function)
    return function


class Conversation:
    """A stranger who has written to the alias; what the user has of them."""

    def __init__(self, r, name='bob', cc='', alias=ALIAS):
        self.name = name
        self.address = name + '@shop.example.net'
        self.alias = alias
        self.ident = replies.fresh_id('shop.example.net')
        self.sealed = receive(r, self.ident, self.address, cc=cc, alias=alias)
        self.reverse = judge.from_address(mail.split(self.sealed)[0])
        self.bag = replies.bag_of(r.user, self.sealed)
        self.cert = self.bag[self.reverse]
        self.box = replies.Box(r, name)


def receive(r, ident, sender, references=(), cc='', alias=ALIAS):
    """A stranger's message, as it arrives at the user's."""
    data = 'From: %s\nTo: %s\n%sSubject: hello\nMessage-ID: %s\n' % (
        sender, alias, 'Cc: %s\n' % cc if cc else '', ident)
    if references:
        data += 'In-Reply-To: %s\nReferences: %s\n' % (references[-1], ' '.join(references))
    STUB.set(SHOP)
    r.inbox.fresh()
    send(r, [alias], mail.to_crlf(data.encode() + b'\nHow are you?\n'), sender, '250')
    found = r.inbox.wait()
    assert len(found) == 1, '%d arrived' % len(found)
    with open(found[0], 'rb') as file:
        return mail.to_crlf(file.read())


def send(r, rcpts, data, mail_from=MAILBOX, want=None, where=None):
    """The last answer, without the id it names."""
    session = mail.Smtp(where or r.smtp_port,
                        ('LHLO' if where else 'EHLO') + ' client.home.example.com')
    try:
        text = session.send(mail_from, rcpts, data)
    except mail.Refused as refusal:
        text = refusal.text
    finally:
        session.close()
    assert want is None or text.startswith(want), text
    return text


def reply(r, data, to, want='250', passed=True, **how):
    STUB.set(PASS if passed else answer())
    return send(r, [to] if isinstance(to, str) else to, data, want=want, **how)


def good(r, talk, body=b'Hello Bob.\n', **header):
    """A signed and encrypted reply."""
    return replies.message(replies.fields(talk.reverse, **header),
                           r.client.sealed(replies.entity(body), [talk.cert, r.user_cert]))


def policy(r, **words):
    wanted = {**DEFAULTS, **{name.replace('_', '-'): word for name, word in words.items()}}
    profile = next(p['profile'] for p in r.sealctl('profile', 'list') if p['state'] == 'active')
    r.sealctl('profile', 'policy', profile,
              *[w for name, word in wanted.items() for w in ('--' + name, word)])
    return profile


def clean(data, *more):
    """Nothing of the user is in what arrives at a correspondent."""
    for word in (b'alice', b'home.example', b'client.home', *more):
        assert word not in data.lower(), '%r is in it' % word


def arrived(box):
    data = box.next()
    header, body = mail.split(data)
    # what the next hop wrote itself is not ours
    for name in (b'Delivered-To', b'X-Original-To', b'Return-Path', b'Received'):
        for found, whole in mail.fields(header):
            if found == name and name != b'Return-Path':
                header = header.replace(whole, b'')
    clean(header + b'\r\n' + body)
    return email.message_from_bytes(header + b'\r\n' + body, policy=email.policy.default)


@case
def a_reply_arrives_from_the_alias_and_the_answer_threads(r):
    talk = Conversation(r)
    ident = replies.fresh_id()
    data = good(r, talk, b'Dear Bob, gr\xc3\xbc\xc3\x9fe. alice@home.example.com\n', ident=ident,
                references=[talk.ident])
    reply(r, data, talk.reverse)
    got = arrived(talk.box)
    assert got['From'] == ALIAS and got['To'] == 'bob@shop.example.net', got.items()
    assert got['In-Reply-To'] == talk.ident and got['References'] == talk.ident
    assert got.get_content().strip() == 'Dear Bob, gr\xfc\xdfe. ' + ALIAS, got.get_content()
    assert got['Message-ID'].endswith('@relay.example.com>')
    back = receive(r, replies.fresh_id('shop.example.net'), 'bob@shop.example.net',
                   [talk.ident, got['Message-ID']])
    inner, _ = mail.split(r.user.open(back)[0])
    for header in (mail.split(back)[0], inner):
        assert mail.field_value(header, b'In-Reply-To').decode() == ident
        assert mail.field_value(header, b'References').decode().split() == [talk.ident, ident]
    later = replies.fresh_id()
    reply(r, good(r, talk, references=[talk.ident, ident, later]), talk.reverse)
    assert arrived(talk.box)['References'].split()[1] == got['Message-ID']


def main(build, cases=None):
    failed = 0
    cases = cases or CASES
    with relay.Relay(build, {'RAISED': 'yes'}) as r:
        next_hop = hop.Hop(r)
        next_hop.has(hop.USER, *(name + '@shop.example.net' for name in ('bob', 'carol', 'dave')))
        r.next_hop = next_hop
        r.client = replies.Client(r.user.identity, r.user_folder)
        r.user_cert = judge.run(['openssl', 'x509', '-in', r.user.identity])
        r.configure('sealrelayd', 'verdict', 'source = rspamd',
                    'rspamd = http://127.0.0.1:%d' % STUB.port, 'timeout = 2s')
        r.restart('sealrelayd')
        for run in cases:
            r.inbox.fresh()
            start = time.monotonic()
            try:
                run(r)
                verdict = 'ok'
            except Exception as error:  # a test's failure is reported, whatever it is
                failed += 1
                verdict = 'FAILED: %s: %s' % (type(error).__name__, error)
                if os.environ.get('RAISE'):
                    import traceback
                    traceback.print_exc()
            print('%-75s %5.1f s %s' % (run.__name__.replace('_', ' '), time.monotonic() - start,
                                        verdict), flush=True)
        if failed:
            with open(os.path.join(r.dir, 'log', 'sealrelayd.log'), encoding='utf-8',
                      errors='replace') as log:
                print('--- sealrelayd.log\n' + ''.join(log.readlines()[-40:]))
    print('%d passed, %d failed' % (len(cases) - failed, failed))
    return 1 if failed else 0


if __name__ == '__main__':
    sys.exit(main(sys.argv[1], [c for c in CASES if c.__name__ in sys.argv[2:]]))
