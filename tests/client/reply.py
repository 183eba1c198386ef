# SPDX-License-Identifier: GPL-3.0-or-later
"""Round trips with replies by the programs people use: a stranger writes to an alias, the user answers
the reverse alias, the stranger answers that. Real Postfixes stand before and behind the relay, real
Thunderbird writes one of the replies and shows whether the conversation holds together.

The stranger must get mail of the alias, readable and threaded, with no trace of the mailbox."""
import email
import email.policy
import email.utils
import os
import re
import subprocess
import sys
import tempfile
import time
import uuid

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [os.path.join(HERE, '../support'), os.path.join(HERE, '../verdict')]
import front
import judge
import mail
import relay
import thunderbird
import writers
from stub_rspamd import Stub, answer, symbol

MAILBOX = 'alice@home.example.com'
STRANGER = 'bob@shop.example.net'
THIRD = 'carol@shop.example.net'
FOURTH = 'dave@shop.example.net'
HIDDEN = ('alice@', 'home.example.com', 'liddell', 'thunderbird', 'mozilla')
TEXT = ('Grüße, the parts have come.\r\nWrite to me at %s, or to you: %s.\r\n\r\n'
        '> The parts are on their way.\r\n')


class World:
    """The relay between two Postfixes, and who may write."""

    def __init__(self, r, postfix, stub):
        self.relay = r
        self.postfix = postfix
        self.stub = stub
        folder = os.path.dirname(r.facts['maildir'].rstrip('/'))
        self.boxes = {who: mail.Maildir(os.path.join(folder, who.split('@')[0]))
                      for who in (STRANGER, THIRD, FOURTH)}
        self.stranger = self.boxes[STRANGER]
        etc = os.path.join(r.dir, 'postfix/etc')
        subprocess.run(['postconf', '-c', etc, '-e',
                        'virtual_mailbox_domains = home.example.com shop.example.net',
                        'virtual_mailbox_maps = inline:{%s}' % ','.join(
                            '%s=%s/' % (who, who.split('@')[0]) for who in (MAILBOX, *self.boxes))],
                       check=True)
        front.hop(r, 'reload')
        r.configure('sealrelayd', 'verdict', 'source = rspamd',
                    'rspamd = http://127.0.0.1:%d' % stub.port)
        r.restart('sealrelayd')

    def vouch(self, address):
        """From now on rspamd says that this one's domain passes, and no other."""
        self.stub.set(answer(symbol('DMARC_POLICY_ALLOW', address.split('@')[1], 'reject'),
                             'R_SPF_ALLOW', 'R_DKIM_ALLOW'))

    def send(self, sender, rcpt, data):
        self.vouch(sender)
        mail.send_retrying(self.postfix.port, sender, rcpt, data)

    @staticmethod
    def arrived(box):
        found = box.wait()
        if len(found) != 1:
            raise judge.Wrong('%d messages arrived' % len(found))
        with open(found[0], 'rb') as file:
            return mail.to_crlf(file.read())


def stranger_writes(subject, text, refers=(), copy=None, sender=STRANGER):
    """(Message-ID, message) from a stranger."""
    ident = '<%s@shop.example.net>' % uuid.uuid4().hex
    lines = ['From: Bob Builder <%s>' % sender, 'To: <shop@relay.example.com>',
             'Subject: ' + subject, 'Date: ' + email.utils.formatdate(), 'Message-ID: ' + ident]
    if copy:
        lines += ['Cc: Carol <%s>' % copy]
    if refers:
        lines += ['In-Reply-To: ' + refers[-1], 'References: ' + ' '.join(refers)]
    lines += ['MIME-Version: 1.0', 'Content-Type: text/plain; charset=utf-8', '', text, '']
    return ident, '\r\n'.join(lines).encode()


def everything(data):
    """A message and all that decoding brings to light, in small letters."""
    found = [data.decode('latin-1')]
    parsed = email.message_from_bytes(data, policy=email.policy.default)
    for part in parsed.walk():
        found += ['%s: %s' % pair for pair in part.items()]
        if not part.is_multipart():
            found.append(part.get_payload(decode=True).decode('utf-8', 'replace'))
    return '\n'.join(found).lower()


def what_is_wrong(world, data, letter, first, own):
    """What the stranger got, held against what he may get."""
    wrong = []
    got = email.message_from_bytes(data, policy=email.policy.default)
    body = got.get_body(('plain', 'html'))
    text = ' '.join(body.get_content().split()) if body else ''
    alias = world.relay.alias
    for name, wanted in (('From', alias), ('To', STRANGER)):
        addresses = [one.addr_spec for one in got[name].addresses] if got[name] else None
        if addresses != [wanted]:
            wrong.append('%s: %s' % (name, got[name]))
    if got['Subject'] != 'Re: ' + letter.subject:
        wrong.append('Subject: %s' % got['Subject'])
    if first not in str(got['In-Reply-To']) or first not in str(got['References']):
        wrong.append('not threaded: %s; %s' % (got['In-Reply-To'], got['References']))
    if not got['Message-ID'] or got['Message-ID'] == own:
        wrong.append('Message-ID: %s' % got['Message-ID'])
    if not str(got['Return-Path']).strip('<>').endswith('@relay.example.com'):
        wrong.append('Return-Path: %s' % got['Return-Path'])
    if not got.get_content_type().startswith('text/'):
        wrong.append('it is %s' % got.get_content_type())
    for word in ('Grüße, the parts have come.', 'on their way', 'to me at ' + alias,
                 'to you: ' + STRANGER):
        if word not in text:
            wrong.append('%r is not in %r' % (word, text))
    return wrong + leaks(data, letter.to), got['Message-ID']


def leaks(data, reverse):
    """What of the user, or of addresses that only the user knows, shows in a message."""
    return ['leaks: ' + found for word in (*HIDDEN, reverse)
            for found in re.findall('.{0,40}' + re.escape(word) + '.{0,20}', everything(data))]


def reply_by_client(world, client, shown, letter, **how):
    """Thunderbird answers: what the person types, and a click. (Message-ID, what was wrong)"""
    world.vouch(MAILBOX)
    state = client.reply(shown['id'], TEXT.split('\r\n\r\n')[0].replace('\r\n', '\n') %
                         (MAILBOX, letter.to) + '\n', **how)
    if 'refused' in state:
        raise judge.Wrong('Thunderbird could not send: %s' % state['refused'])
    wrong = ['%s is %s' % (name, state[name]) for name in ('encrypted', 'signed', 'smime')
             if not state[name]]
    return '<%s>' % state['id'], wrong


def reply_by(world, writer, letter):
    ident, data = writers.outer(MAILBOX, letter,
                                writer.seal(letter, TEXT % (MAILBOX, letter.to)))
    world.send(MAILBOX, letter.to, data)
    return ident, []


def round_trip(world, client, writer):
    """What is wrong with one conversation of four messages."""
    r = world.relay
    first, shown, sealed = question(world, client)
    letter = writers.Letter(r.user, sealed, r.alias)
    if writer:
        own, wrong = reply_by(world, writer, letter)
    else:
        own, wrong = reply_by_client(world, client, shown, letter)
    data = world.arrived(world.stranger)
    more, theirs = what_is_wrong(world, data, letter, first, own)
    _, data = stranger_writes('Re: Your parts', 'Then all is well.', (first, theirs))
    world.send(STRANGER, r.alias, data)
    sealed = world.arrived(r.inbox)
    judge.judge(r.user, data, sealed)
    last = client.show(sealed)
    for what in ('encryption', 'signature'):
        if last[what] != 'SUCCESS' or shown[what] != 'SUCCESS':
            wrong.append('%s: %s, then %s' % (what, shown[what], last[what]))
    if 'Then all is well.' not in last['text']:
        wrong.append('the answer shows %r' % last['text'][:200])
    if last['thread'] != shown['thread'] or '<%s>' % last['parent'] != own:
        wrong.append('the answer is not threaded: parent %s, wanted %s' % (last['parent'], own))
    return wrong + more


def question(world, client, copy=None):
    """A new message of the stranger's: (Message-ID, what Thunderbird shows, sealed)."""
    r = world.relay
    ident, data = stranger_writes('Your parts', 'The parts are on their way.', copy=copy)
    world.send(STRANGER, r.alias, data)
    sealed = world.arrived(r.inbox)
    judge.judge(r.user, data, sealed)
    return ident, client.show(sealed), sealed


def to_everybody(world, client):
    """One reply in Thunderbird to the stranger and to whom they wrote, who know each other's real
    addresses, and to the alias, which is the user's own: its copy does nothing."""
    first, shown, sealed = question(world, client, THIRD)
    letter = writers.Letter(world.relay.user, sealed, world.relay.alias)
    own, wrong = reply_by_client(world, client, shown, letter, everybody=True)
    for box in (world.boxes[STRANGER], world.boxes[THIRD]):
        data = world.arrived(box)
        wrong += what_is_wrong(world, data, letter, first, own)[0]
        got = email.message_from_bytes(data, policy=email.policy.default)
        if [one.addr_spec for one in got['Cc'].addresses] != [THIRD]:
            wrong.append('Cc: %s' % got['Cc'])
    if world.relay.inbox.wait(1, 2):
        wrong.append('a copy came back')
    return wrong


def letter_about(world, client, who):
    """The relay's letter about a new correspondent, which brings their certificate: their reverse
    address."""
    shown = client.show(world.arrived(world.relay.inbox))
    found = re.search(r'\br-[a-z2-7]{16}@relay\.example\.com', shown['text'])
    if not found or who not in shown['text'] or shown['signature'] != 'SUCCESS':
        raise judge.Wrong('the letter shows %r' % shown['text'])
    return found.group(0)


def written(world, client, to, who, encrypt=True):
    """A new message of the user's and what it is for its recipient: (as sent, as arrived, wrong)"""
    world.vouch(MAILBOX)
    state = client.write(to, 'Are there more?', 'Grüße, are there more parts?\n', encrypt)
    if 'refused' in state:
        raise judge.Wrong('Thunderbird could not send: %s' % state['refused'])
    wrong = ['%s is %s' % (name, state[name])
             for name, want in (('encrypted', encrypt), ('signed', True), ('smime', True))
             if state[name] != want]
    data = world.arrived(world.boxes[who])
    got = email.message_from_bytes(data, policy=email.policy.default)
    for name, want in (('From', world.relay.alias), ('To', who)):
        if [one.addr_spec for one in got[name].addresses] != [want]:
            wrong.append('%s: %s' % (name, got[name]))
    if 'Grüße, are there more parts?' not in got.get_content():
        wrong.append('it reads %r' % got.get_content())
    return state, got, wrong + leaks(data, to)


def answered(world, client, state, got, who):
    """The answer to a new message; what is wrong with how the user sees it."""
    _, back = stranger_writes('Re: Are there more?', 'There are.', (got['Message-ID'],), sender=who)
    world.send(who, world.relay.alias, back)
    sealed = world.arrived(world.relay.inbox)
    judge.judge(world.relay.user, back, sealed)
    shown = client.show(sealed)
    good = shown['parent'] == state['id'] and 'There are.' in shown['text']
    return [] if good else ['the answer shows %r under %s' % (shown['text'], shown['parent'])]


def first_contact(world, client):
    """The operator adds a correspondent, the user writes first."""
    world.relay.sealctl('correspondent', 'add', world.relay.alias, THIRD)
    state, got, wrong = written(world, client, letter_about(world, client, THIRD), THIRD)
    return wrong + answered(world, client, state, got, THIRD)


def signed_first(world, client):
    """Nobody added anybody: there is no certificate yet, and the signature alone proves the user. The
    second message is encrypted."""
    alias, domain = world.relay.alias.split('@')
    to = '%s+%s@%s' % (alias, FOURTH.replace('@', '='), domain)
    _, _, wrong = written(world, client, to, FOURTH, encrypt=False)
    state, got, more = written(world, client, letter_about(world, client, FOURTH), FOURTH)
    return wrong + more + answered(world, client, state, got, FOURTH)


def not_proven(world, client):
    """Without the signature, and without the pass of the domain, a person is told the same words, and
    nothing leaves."""
    _, shown, _ = question(world, client)
    told = []
    for vouched, signed in ((MAILBOX, False), (STRANGER, True)):
        world.vouch(vouched)
        state = client.reply(shown['id'], 'These words stay here.\n', sign=signed)
        told.append(state.get('refused', 'it was sent'))
    wrong = [] if 'Message refused' in told[0] and told[0] == told[1] else ['told: %s' % told]
    if world.stranger.wait(1, 2):
        wrong.append('it arrived')
    return wrong


def conversations(world, client, folder):
    r = world.relay
    for name in ('nss', 'gpgsm'):
        os.mkdir(os.path.join(folder, name))
    compatible = os.path.join(os.path.dirname(r.facts['p12']), 'identity-compatible.p12')
    gpgsm = judge.Gpgsm(r.user, os.path.join(folder, 'gpgsm'), compatible)
    failed = 0
    try:
        nss = judge.Nss(r.user, os.path.join(folder, 'nss'))
        opaque = writers.OpenSsl(r.user, ['-nodetach'], '-aes-128-gcm')
        cases = [('Thunderbird ' + client.version, round_trip, None),
                 ('openssl cms', round_trip, writers.OpenSsl(r.user)),
                 ('openssl cms, opaque, GCM', round_trip, opaque),
                 ('NSS cmsutil', round_trip, writers.Nss(nss)),
                 ('gpgsm', round_trip, writers.Gpgsm(gpgsm)),
                 ('Thunderbird, to everybody', to_everybody),
                 ('Thunderbird, first contact', first_contact),
                 ('Thunderbird, signed first', signed_first), ('not proven', not_proven)]
        for name, run, *writer in cases:
            start = time.monotonic()
            for box in (r.inbox, *world.boxes.values()):
                box.fresh()
            try:
                wrong = run(world, client, *writer)
            except (judge.Wrong, thunderbird.Trouble, mail.Refused) as error:
                wrong = ['%s: %s' % (type(error).__name__, error)]
            failed += bool(wrong)
            print('%-28s %5.1f s  %s' % (name, time.monotonic() - start,
                                         'FAILED' if wrong else 'ok'), flush=True)
            for one in wrong:
                print('    ' + one)
        print('%d passed, %d failed' % (len(cases) - failed, failed))
    finally:
        gpgsm.close()
    return failed


def main(build):
    stub = Stub()
    try:
        with relay.Relay(build) as r, front.Front(r, 'before-queue') as postfix, \
                tempfile.TemporaryDirectory() as folder:
            world = World(r, postfix, stub)
            with thunderbird.Thunderbird(r.user, MAILBOX, 'Alice Liddell',
                                         postfix.port) as client:
                return 1 if conversations(world, client, folder) else 0
    finally:
        stub.stop()


if __name__ == '__main__':
    sys.exit(main(sys.argv[1]))
