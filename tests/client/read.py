# SPDX-License-Identifier: GPL-3.0-or-later
"""Messages of many kinds, from a stranger, as the user's clients show them: Thunderbird (its window,
not only its library), NSS's cmsutil, gpgsm and neomutt. Each client decrypts, finds the signature good
and the signer to be the From, and shows what the stranger wrote; whatever was changed on the way is
red. The relay is a real one and the messages are those a Postfix behind it delivered."""
import base64
import email.utils
import os
import re
import sys
import tempfile
import time
import uuid

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '../support'))
import judge
import mail
import neomutt
import relay
import thunderbird

MAILBOX = 'alice@home.example.com'
STRANGER = 'bob@shop.example.net'
# 2 x 2 pixels, so that a client which shows it can tell its size.
PNG = base64.b64decode('iVBORw0KGgoAAAANSUhEUgAAAAIAAAACCAIAAAD91JpzAAAAEElEQVR4nGP4z8AARAwQCgAf7gP9i18U1AAA'
                       'AABJRU5ErkJggg==')


def letter(kind, body, **options):
    """A message of the stranger's; options: date (a text, None for none), subject, sender, fields."""
    date = options.get('date', email.utils.formatdate())
    lines = [b'From: ' + options.get('sender', b'Bob Builder <bob@shop.example.net>'),
             b'To: <shop@relay.example.com>', b'Subject: ' + options.get('subject', b'Your order'),
             b'Message-ID: <%s.%s@shop.example.net>' % (uuid.uuid4().hex[:12].encode(),
                                                        kind.replace(' ', '-').encode())]
    lines += [b'Date: ' + date.encode()] if date else []
    lines += options.get('fields', [])
    return b'\r\n'.join(lines) + b'\r\n' + mail.to_crlf(body)


def part(kind, data, *fields):
    lines = [b'Content-Type: ' + kind, b'Content-Transfer-Encoding: base64', *fields, b'']
    return b'\n'.join(lines) + b'\n' + base64.encodebytes(data)


def multipart(kind, *parts):
    border = uuid.uuid4().hex.encode()
    return (b'MIME-Version: 1.0\nContent-Type: multipart/' + kind + b'; boundary="' + border +
            b'"\n\n' + b''.join(b'--' + border + b'\n' + one.rstrip(b'\n') + b'\n' for one in parts) +
            b'--' + border + b'--\n')


TEXT = b'Content-Type: text/plain; charset=utf-8\n\nThe parts are on their way.\n'
PLAIN = b'MIME-Version: 1.0\n' + TEXT
GREETING = 'Grüße aus Köln, 你好, שלום, 🎉'
PICTURE = (b'Content-Type: text/html; charset=utf-8\n\n<html><body><p>The parts are <b>on their way'
           b'</b>.</p><img src="cid:picture@shop.example.net"></body></html>\n')
INLINE = multipart(b'related', PICTURE,
                   part(b'image/png', PNG, b'Content-ID: <picture@shop.example.net>',
                        b'Content-Disposition: inline; filename="parts.png"'))
FORWARDED = (b'Content-Type: message/rfc822\n\nFrom: carol@third.example.net\nSubject: earlier\n'
             b'Date: Sun, 1 Nov 2026 10:00:00 +0000\n\nThe earlier words.\n')


def signed_by_stranger(folder):
    """The stranger's own S/MIME signature, by a certificate nobody here trusts."""
    key = os.path.join(folder, 'stranger.pem')
    judge.run(['openssl', 'req', '-x509', '-newkey', 'rsa:2048', '-nodes', '-days', '30', '-subj',
               '/CN=Bob', '-addext', 'subjectAltName=email:' + STRANGER, '-keyout', key, '-out',
               key + '.crt'])
    return judge.run(['openssl', 'cms', '-sign', '-signer', key + '.crt', '-inkey', key],
                     mail.to_crlf(TEXT))


# What is sent and what a person must see: (kind, message, words, images, attachments).
def kinds(folder):
    way = 'on their way'
    umlaut = GREETING.encode()
    return [
        ('text', letter('text', PLAIN), way, 0, []),
        ('no MIME at all', letter('bare', b'\nThe parts are on their way.\n'), way, 0, []),
        ('HTML with inline image', letter('html', INLINE), way, 1, None),
        ('text or HTML', letter('alternative', multipart(b'alternative', TEXT, INLINE.split(
            b'\n', 1)[1])), way, 1, None),
        ('attachment', letter('attachment', multipart(b'mixed', TEXT, part(
            b'application/pdf; name="bill.pdf"', b'%PDF-1.4 ' * 4000,
            b'Content-Disposition: attachment; filename="bill.pdf"'))), way, 0, ['bill.pdf']),
        ('forwarded message', letter('forward', multipart(b'mixed', TEXT, FORWARDED)), way, 0, None),
        ('UTF-8, 8 bit', letter('utf8', b'MIME-Version: 1.0\nContent-Type: text/plain; '
                                b'charset=utf-8\nContent-Transfer-Encoding: 8bit\n\n' + umlaut +
                                b'\n', subject='Grüße'.encode(),
                                sender='Jörg <bob@shop.example.net>'.encode()), GREETING, 0, []),
        ('UTF-8, base64', letter('base64', b'MIME-Version: 1.0\n' + part(
            b'text/plain; charset=utf-8', umlaut + b'\n'),
            subject=b'=?utf-8?Q?Gr=C3=BC=C3=9Fe?=',
            sender=b'=?utf-8?Q?J=C3=B6rg?= <bob@shop.example.net>'), GREETING, 0, []),
        ('ISO-2022-JP', letter('jp', b'MIME-Version: 1.0\nContent-Type: text/plain; charset='
                               b'ISO-2022-JP\n\n' + '部品を送りました。'.encode('iso2022_jp') + b'\n'),
         '部品を送りました。', 0, []),
        ('signed by the stranger', letter('signed', signed_by_stranger(folder)), way, 0, None),
        ('no Date', letter('undated', PLAIN, date=None), way, 0, []),
        ('old Date', letter('old', PLAIN, date='Mon, 7 Mar 2011 10:00:00 +0100'), way, 0, []),
        ('Date in the future', letter('future', PLAIN, date='Mon, 7 Mar 2033 10:00:00 +0100'), way,
         0, []),
        ('two addresses in Cc', letter('copies', PLAIN, fields=[
            b'Cc: Carol <carol@third.example.net>, dave@fourth.example.org']), way, 0, []),
        ('no subject, empty body', letter('empty', b'MIME-Version: 1.0\n\n', subject=b''), '', 0, []),
        ('long lines, dots and From', letter('lines', b'\n' + b'x' * 5000 + b'\n.\n..\nFrom here on '
                                             b'trailing spaces   \nThe parts are on their way.\n'),
         way, 0, []),
    ]


# ---- what an attacker between the relay and the user makes of one ----

def sealed_again(r, sealed, signed):
    """Another content for the user's key, under the header of a message that was sealed."""
    with tempfile.NamedTemporaryFile(dir=r.user_folder) as cert:
        judge.run(['openssl', 'x509', '-in', r.user.identity, '-out', cert.name])
        der = judge.run(['openssl', 'cms', '-encrypt', '-binary', '-aes-256-cbc', '-outform', 'DER',
                         cert.name], signed)
    return mail.split(sealed)[0] + b'\r\n' + mail.to_crlf(base64.encodebytes(der))


def words_changed(r, sealed):
    signed = mail.to_crlf(r.user.decrypt(sealed))
    assert signed.count(b'on their way') == 1
    return sealed_again(r, sealed, signed.replace(b'on their way', b'on that way!'))


def ciphertext_damaged(r, sealed):
    """One bit of the block with the stranger's words: CBC alone would not tell."""
    signed = mail.to_crlf(r.user.decrypt(sealed))
    der = bytearray(judge.cms_der(sealed))
    padded = len(signed) // 16 * 16 + 16
    der[len(der) - padded + signed.index(b'on their way')] ^= 1
    damaged = mail.split(sealed)[0] + b'\r\n' + mail.to_crlf(base64.encodebytes(bytes(der)))
    opened = mail.to_crlf(r.user.decrypt(damaged))
    assert opened[:20] == signed[:20] and opened[-20:] == signed[-20:] and opened != signed
    return damaged


def another_from(_, sealed):
    sender = judge.from_address(mail.split(sealed)[0]).encode()
    return sealed.replace(sender, b'r-aaaaaaaaaaaaaaaa@relay.example.com')


def another_root(r, sealed):
    """The same words and the same address, signed under a root the user does not know."""
    sender = judge.from_address(mail.split(sealed)[0])
    entity, _ = r.user.open(sealed)
    key = os.path.join(r.user_folder, 'forger.pem')
    judge.run(['openssl', 'req', '-x509', '-newkey', 'rsa:2048', '-nodes', '-days', '30', '-subj',
               '/CN=Sealrelay', '-addext', 'subjectAltName=email:' + sender, '-keyout', key, '-out',
               key + '.crt'])
    signed = judge.run(['openssl', 'cms', '-sign', '-signer', key + '.crt', '-inkey', key], entity)
    return sealed_again(r, sealed, mail.to_crlf(signed))


# (what is done, how, Thunderbird's word for it or None for any that is not good,
#  do the libraries under it see it: they are not told the From)
FORGERIES = [
    ('words changed', words_changed, 'VERIFY_DIGEST_MISMATCH', True),
    ('ciphertext damaged', ciphertext_damaged, None, True),
    ('From of another', another_from, 'VERIFY_HEADER_MISMATCH', False),
    ('signed under another root', another_root, 'VERIFY_UNTRUSTED', True),
]


# ---- the clients ----

class Clients:
    """Every client but Thunderbird: what each says of a sealed message, 'ok' or why not."""

    def __init__(self, r, folder):
        compatible = os.path.join(os.path.dirname(r.facts['p12']), 'identity-compatible.p12')
        self.judges = {}
        for name in ('NSS', 'gpgsm'):
            home = os.path.join(folder, name)
            os.mkdir(home)
            self.judges[name] = (judge.Nss(r.user, home) if name == 'NSS'
                                 else judge.Gpgsm(r.user, home, compatible))

    def verdicts(self, sealed, entity):
        told = {}
        for name, one in self.judges.items():
            try:
                same = one.open(sealed).rstrip(b'\r\n') == entity.rstrip(b'\r\n')
                told[name] = 'ok' if same else 'other content'
            except judge.Wrong as wrong:
                told[name] = str(wrong)
            except (IndexError, AttributeError, ValueError) as broken:
                told[name] = 'not readable: %s' % type(broken).__name__
        return told

    def close(self):
        self.judges['gpgsm'].close()


class Table:
    """One line a message; what is not as it must be is said below it."""

    def __init__(self):
        self.failed = 0
        self.lines = 0

    def add(self, kind, cells, wrong):
        self.lines += 1
        self.failed += bool(wrong)
        print('%-28s %s  %s' % (kind, '  '.join('%-22s' % cell for cell in cells),
                                'FAILED' if wrong else 'ok'), flush=True)
        for one in wrong:
            print('    ' + one)


def received(r, data):
    r.inbox.fresh()
    mail.send_retrying(r.smtp_port, STRANGER, r.alias, data)
    found = r.inbox.wait()
    if len(found) != 1:
        raise judge.Wrong('%d messages arrived' % len(found))
    with open(found[0], 'rb') as file:
        return mail.to_crlf(file.read())


def shown_wrong(shown, sealed, words, images, attachments):
    """What the window of a good message lacks."""
    wrong = []
    sender = judge.from_address(mail.split(sealed)[0])
    for what in ('encryption', 'signature'):
        if shown[what] != 'SUCCESS':
            wrong.append('%s: %s' % (what, shown[what]))
    if shown['signers'] != [sender] or sender not in shown['author']:
        wrong.append('signed by %s, from %s' % (shown['signers'], shown['author']))
    if words not in shown['text']:
        wrong.append('shows %r' % shown['text'][:200])
    if len(shown['images']) != images or 0 in shown['images']:
        wrong.append('images: %s' % shown['images'])
    if attachments is not None and shown['attachments'] != attachments:
        wrong.append('attachments: %s' % shown['attachments'])
    if any(not one.endswith('@relay.example.com')
           for one in re.findall('<([^<>]*)>', shown['copies'])):
        wrong.append('copies to %s' % shown['copies'])
    return wrong


def good_ones(r, table, client, clients, folder):
    """Each kind of message through the relay into each client; returns the first, sealed."""
    sealed_ones, told = [], []
    for kind, data, words, images, attachments in kinds(folder):
        sealed = received(r, data)
        judge.judge(r.user, data, sealed)
        shown = client.show(sealed)
        wrong = shown_wrong(shown, sealed, words, images, attachments)
        if 'Jörg' in data.decode('utf-8', 'replace') or b'J=C3=B6rg' in data:
            if 'Jörg - bob at' not in shown['author'] or shown['subject'] != 'Grüße':
                wrong.append('header: %s, %s' % (shown['author'], shown['subject']))
        verdicts = clients.verdicts(sealed, r.user.open(sealed)[0])
        wrong += ['%s: %s' % (name, said) for name, said in verdicts.items() if said != 'ok']
        sealed_ones.append(sealed)
        told.append((kind, [shown['encryption'], shown['signature'], *verdicts.values()], wrong))
    by_neomutt = neomutt.signatures(r.user, sealed_ones, clients.judges['gpgsm'].folder)
    for (kind, cells, wrong), said in zip(told, by_neomutt):
        if said != 'good':
            wrong.append('neomutt: ' + said)
        table.add(kind, cells + [said], wrong)
    return sealed_ones[0]


def greeting(r, table, client, clients):
    """What the user got when the profile became active: the relay's own word, good everywhere."""
    sealed = None
    folder = os.path.join(r.dir, 'mail/opened')
    for name in os.listdir(folder):
        with open(os.path.join(folder, name), 'rb') as file:
            data = mail.to_crlf(file.read())
        if mail.field_value(mail.split(data)[0], b'Subject') == b'Your sealed mail is active':
            sealed = data
    shown = client.show(sealed)
    wrong = shown_wrong(shown, sealed, 'encrypted so that only you can read it', 0, [])
    if not shown['author'].startswith('Sealrelay'):
        wrong.append('by %s' % shown['author'])
    verdicts = clients.verdicts(sealed, r.user.open(sealed)[0])
    wrong += ['%s: %s' % (name, said) for name, said in verdicts.items() if said != 'ok']
    table.add('the greeting', [shown['encryption'], shown['signature'], *verdicts.values()], wrong)


def red_ones(r, table, client, clients, sealed):
    entity, _ = r.user.open(sealed)
    for kind, change, word, seen_below in FORGERIES:
        forged = change(r, sealed)
        assert forged != sealed
        shown = client.show(forged)
        wrong = []
        if shown['signature'] == 'SUCCESS' or (word and shown['signature'] != word):
            wrong.append('signature: %s' % shown['signature'])
        verdicts = clients.verdicts(forged, entity)
        wrong += ['%s: %s' % (name, said) for name, said in verdicts.items()
                  if (said != 'ok') != seen_below]
        table.add(kind, [shown['encryption'], shown['signature'],
                         *('ok' if said == 'ok' else 'bad' for said in verdicts.values())], wrong)


def main(build):
    table = Table()
    start = time.monotonic()
    with relay.Relay(build) as r, tempfile.TemporaryDirectory() as folder:
        clients = Clients(r, folder)
        try:
            with thunderbird.Thunderbird(r.user, MAILBOX, 'Alice', r.smtp_port) as client:
                print('Thunderbird %s, without a screen' % client.version)
                print('%-28s %s' % ('', '  '.join('%-22s' % name for name in (
                    'Thunderbird: encryption', 'signature', 'NSS', 'gpgsm', 'neomutt'))))
                greeting(r, table, client, clients)
                first = good_ones(r, table, client, clients, folder)
                red_ones(r, table, client, clients, first)
        finally:
            clients.close()
    print('%d passed, %d failed, %.0f s' % (table.lines - table.failed, table.failed,
                                            time.monotonic() - start))
    return 1 if table.failed else 0


if __name__ == '__main__':
    sys.exit(main(sys.argv[1]))
