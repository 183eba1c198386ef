# SPDX-License-Identifier: GPL-3.0-or-later
"""Odd messages and what becomes of them: a table, used by badinput.py.

wanted is "sealed", and then the message must arrive, open, and be what was sent byte for byte,
    or the
code of the refusal. Content is never re-encoded, long lines are taken: what leaves is base64.
"""
import collections

# shown: words of the From that the user sees. fields: names that the outer header must have;
# absent: bytes that must be neither in the outer nor in the protected header.
Case = collections.namedtuple('Case', 'ident data wanted shown fields absent mail_from wire')

FROM = b'From: Bob <bob@shop.example.net>\r\n'
DATE = b'Date: Sun, 22 Nov 2026 10:00:00 +0000\r\n'
TO = b'To: <shop@relay.example.com>\r\n'
SUBJECT = b'Subject: odd\r\n'
REST = TO + SUBJECT + DATE + b'Message-ID: <odd@badinput.example>\r\n'
ENVELOPE = 'stranger at client.example.net'  # whom a message without usable From is from
BOB = 'Bob - bob at shop.example.net'

CASES = []


def case(ident, data, wanted='sealed', shown=None, fields=(), absent=(),
         mail_from=b'<stranger@client.example.net>', wire=None):
    CASES.append(Case(ident, data, wanted, shown, fields, absent, mail_from, wire))


def letter(extra=b'', body=b'Hello.\r\n', sender=FROM):
    return sender + REST + extra + b'\r\n' + body


def part(content_type, body, encoding=b''):
    return letter(b'MIME-Version: 1.0\r\nContent-Type: ' + content_type + b'\r\n' + encoding, body)


MIXED = b'multipart/mixed; boundary='
TEXT = b'Content-Type: text/plain\r\n\r\n'
PARTS = b'--b\r\n' + TEXT + b'one\r\n--b\r\n' + TEXT + b'two\r\n--b--\r\n'

# ---- header and body as such ----

case('msg01 no header', b'\r\nOnly a body.\r\n', shown=ENVELOPE, fields=(b'Date', b'Message-ID'))
case('msg01 an empty line', b'\r\n', shown=ENVELOPE)
case('msg01 nothing', b'', shown=ENVELOPE)
case('msg01 two empty lines', b'\r\n\r\n')
case('msg02 no colon in the middle', FROM + b'this is no field\r\n' + REST + b'\r\nx\r\n',
     shown=BOB)
case('msg02 no colon at first', b'this is no field\r\n' + FROM + REST + b'\r\nx\r\n', shown=BOB)
case('msg02 no colon at all', b'this is no field\r\n\r\nx\r\n', shown=ENVELOPE)
case('msg02 no colon before a fold', FROM + b'no field\r\n Content-Type: text/html\r\n' + REST
     + b'\r\nx\r\n', shown=BOB)
case('only colons', b':\r\n::\r\n : x\r\n' + FROM + REST + b'\r\nx\r\n', shown=BOB)
case('a blank line of blanks in the header', FROM + b' \r\n\t\r\n' + REST + b'\r\nx\r\n', shown=BOB)
case('a mailbox file line', b'From bob@shop.example.net Sun Nov 22 10:00:00 2026\r\n' + letter(),
     shown=BOB)
case('header only', FROM + REST, shown=BOB)
case('header only, last field folded', FROM + REST +
     b'Content-Type: text/plain;\r\n charset=utf-8\r\n')
case('dot01', b'From: x\r\n\r\n.\r\n.x\r\n..\r\n',
     wire=b'.From: x\r\n\r\n..\r\n..x\r\n...\r\n.\r\n')
case('dots and From lines in the body',
     letter(body=b'.\r\n..\r\n.a\r\nFrom me\r\n>From you\r\n \r\n-- \r\n'))
case('msg03 raw UTF-8 in the header', letter(b'X: \xc3\xa4\r\n',
     sender=b'From: B\xc3\xb6b <bob@shop.example.net>\r\n'),
     shown='B\xf6b - bob at shop.example.net')
case('msg03 raw Latin-1 in the header', letter(sender=b'From: B\xf6b <bob@shop.example.net>\r\n'),
     shown='B\xf6b - bob at shop.example.net')
case('msg03 raw bytes in every field', b''.join(n + b': \xff\xfe\xa0\r\n' for n in (
    b'From', b'To', b'Cc', b'Subject', b'Date', b'Message-ID', b'References', b'List-Id',
        b'Content-Type'))
    + b'\r\nx\r\n', shown=ENVELOPE)
case('control bytes in the header', letter(b'X: \x01\x02\x1b[31m\x7f\r\n',
     sender=b'From: "\x1b[31mBob\x07" <bob@shop.example.net>\r\n'),
     shown='?[31mBob? - bob at shop.example.net')
case('field names of odd bytes', letter(b'X\xc3\xa4: 1\r\nX Y: 2\r\n\x01: 3\r\n(x): 4\r\n'))
case('fields twice', letter(TO + SUBJECT + DATE + b'Message-ID: <second@x.example>\r\n'), shown=BOB)
case('msg07 a field of 100 kB', letter(b'X-Long: ' + b'x' * 100_000 + b'\r\n'))
case('msg07 From of 100 kB', letter(sender=b'From: "' + b'x' * 100_000 +
     b'" <bob@shop.example.net>\r\n'))
case('msg07 To of 100 kB', letter(b'To: ' + b', '.join(b'u%d@x%d.example' % (i,
     i) for i in range(4000))
                                  + b'\r\n'))
case('msg07 Subject of 100 kB', letter(b'', sender=FROM + b'Subject: ' + b'y' * 100_000 + b'\r\n'))
case('msg07 References of 100 kB', letter(b'References: ' + b'<a@b.example> ' * 7500 + b'\r\n'))
case('msg07 ten thousand fields', letter(b'X: y\r\n' * 9990))
case('msg07 ten thousand To fields', letter(b'To: <u@x.example>\r\n' * 9990))
case('msg07 ten thousand Reply-To fields', letter(b'Reply-To: <u@x.example>\r\n' * 9990))
case('msg07 From of groups', letter(sender=b'From: ' + b'a:' * 30_000 + b' <a@b.example>\r\n'))
case('msg07 more fields than are taken', letter(b'X: y\r\n' * 10001), '550/5.6.0')
case('msg07 fifty thousand folds', letter(b'X: y\r\n' + b' z\r\n' * 50_000))
case('msg07 From folded fifty thousand times', letter(sender=b'From: Bob\r\n' + b' \r\n' * 50_000
                                                      + b' <bob@shop.example.net>\r\n'))
case('msg07 a header over 1 MiB', letter(b'X: ' + b'x' * (1 << 20) + b'\r\n'), '550/5.6.0')
case('msg08 998', letter(body=b'x' * 998 + b'\r\n'))
case('msg08 999', letter(body=b'x' * 999 + b'\r\n'))
case('msg08 1000', letter(body=b'x' * 1000 + b'\r\n'))
case('msg08 10 MB', letter(body=b'x' * 10_000_000 + b'\r\n'))
case('msg09 eight bits and more', letter(body=bytes(b for b in range(1, 256) if b not in (10,
     13)) + b'\r\n'))
case('msg10 blanks at line ends', letter(body=b'a \r\nb\t\r\n  \r\n\t\r\n'))
case('msg11 final CR', letter(body=b'x\r\r\n'), '550/5.6.0')
case('msg12 CR in base64', part(b'text/plain', b'SGVs\rbG8=\r\n',
     b'Content-Transfer-Encoding: base64\r\n'),
     '550/5.6.0')
case('msg12 LF in quoted-printable', part(b'text/plain', b'a=\nb\r\n',
                                          b'Content-Transfer-Encoding: quoted-printable\r\n'),
                                              '550/5.6.0')
case('msg13 NUL in the header', letter(b'X: \x00\r\n'), '550/5.6.0|554')
case('msg13 NUL in the body', letter(body=b'a\x00b\r\n'), '550/5.6.0|554')
case('msg13 NUL in From', letter(sender=b'From: bob@shop.example.net\x00@evil.example\r\n'),
     '550/5.6.0|554')

# ---- who it is from ----

case('msg04 folded From', letter(sender=b'From: a\r\n\t<b@c.example>\r\n'),
     shown='a - b at c.example')
case('msg04 From without its colon', letter(sender=b'From\r\n : <a@b.example>\r\n'), shown=ENVELOPE)
case('msg04 blank before the colon', letter(sender=b'From : <a@b.example>\r\n'),
     shown='a at b.example')
case('msg04 From indented, and another', b' From: <a@b.example>\r\n' +
     letter(sender=b'From: <c@d.example>\r\n'),
     shown='c at d.example')
case('msg04 From as a fold of Subject', b'Subject: x\r\n From: <a@b.example>\r\n'
     + letter(sender=b'From: <c@d.example>\r\n'), shown='c at d.example')
case('msg04 From with and without blank', letter(b'From : <a@b.example>\r\n'), '550/5.6.0')
case('msg04 From in other letters', letter(b'FROM: <a@b.example>\r\n'), '550/5.6.0')
case('msg04 From with a tab before the colon', letter(b'From\t: <a@b.example>\r\n'), '550/5.6.0')
case('msg04 From behind the body', letter(body=b'From: <a@b.example>\r\n'), shown=BOB)
case('msg04 From value on the next line', letter(sender=b'From:\r\n <a@b.example>\r\n'),
     shown='a at b.example')
case('msg04 a field that only begins like it',
     letter(b'From-x: <a@b.example>\r\nXFrom: <c@d.example>\r\n'), shown=BOB)
case('msg05 two From', letter(FROM), '550/5.6.0')
case('msg05 two From, one empty', letter(b'From:\r\n'), '550/5.6.0')
case('msg05 three From', letter(b'From: a@b.example\r\nFrom: c@d.example\r\n'), '550/5.6.0')

SENDERS = [
    ('two mailboxes', b'<a@b.example>, <c@d.example>', 'a at b.example'),
    ('two mailboxes without a comma', b'<a@b.example> <c@d.example>', None),
    ('group', b'Friends: a@b.example, c@d.example;', 'a at b.example'),
    ('empty group', b'undisclosed:;', ENVELOPE),
    ('empty', b'', ENVELOPE),
    ('blanks only', b'   \t', ENVELOPE),
    ('empty brackets', b'<>', ENVELOPE),
    ('name only', b'Bob', ENVELOPE),
    ('no domain', b'<bob>', ENVELOPE),
    ('no local part', b'<@shop.example.net>', ENVELOPE),
    ('an address for a name', b'"admin@x.example" <evil@y.example>',
        'admin at x.example - evil at y.example'),
    ('an encoded address for a name', b'=?utf-8?q?admin=40x=2Eexample?= <evil@y.example>',
     'admin at x.example - evil at y.example'),
    ('an encoded bracketed address', b'=?utf-8?b?PGFkbWluQHguZXhhbXBsZT4=?= <evil@y.example>',
     '(admin at x.example) - evil at y.example'),
    ('an encoded line break', b'=?utf-8?q?x=0D=0ABcc:_y@z.example?= <evil@y.example>', None),
    ('an encoded NUL', b'=?utf-8?q?x=00y?= <evil@y.example>', None),
    ('nothing but an encoded word', b'=?utf-8?q?=3Cadmin@x.example=3E?=', None),
    ('broken encoded words', b'=?utf-8?q?a =?utf-8?b?!!!?= =?x?z?y?= <evil@y.example>', None),
    ('an unknown charset', b'=?no-such?q?=FF=FE?= <evil@y.example>', None),
    ('a right-to-left override', b'=?utf-8?q?=E2=80=AEabc?= <evil@y.example>',
        'abc - evil at y.example'),
    ('a full-width at sign', b'=?utf-8?q?a=EF=BC=A0b?= <evil@y.example>',
        'a at b - evil at y.example'),
    ('a comment with an address', b'evil@y.example (admin@x.example)', None),
    ('comments everywhere', b'(a)evil(b)@(c)y.example(d)', None),
    ('comments nested', b'(' * 50 + b')' * 50 + b' <evil@y.example>', None),
    ('comments nested without an end', b'(' * 5000 + b' <evil@y.example>', None),
    ('a route', b'<@a.example,@b.example:c@d.example>', None),
    ('an address in quotes', b'"a@b.example" <"c@d"@e.example>', None),
    ('quotes without an end', b'"Bob <bob@shop.example.net>', None),
    ('brackets without an end', b'Bob <bob@shop.example.net', None),
    ('two at signs', b'<a@b@c.example>', None),
    ('two bracketed addresses', b'<a@b.example><c@d.example>', None),
    ('brackets in brackets', b'<<a@b.example>>', None),
    ('a local part of 65', b'<' + b'l' * 65 + b'@b.example>', ENVELOPE),
    ('an address literal', b'<a@[192.0.2.1]>', ENVELOPE),
    ('an IDN', b'<a@b\xc3\xbccher.example>', 'a at xn--bcher-kva.example'),
    ('UTF-8 local part', b'<f\xc3\xb6@b.example>', None),
    ('malformed UTF-8 local part', b'<f\xc3@b.example>', None),
    ('percent and bang', b'<a%b!c@d.example>', 'a%b!c at d.example'),
    ('dots', b'<a..b.@c.example>', None),
    ('a trailing dot', b'<a@b.example.>', None),
    ('a semicolon list', b'a@b.example; c@d.example', None),
    ('a thousand mailboxes', b', '.join(b'u%d@x.example' % i for i in range(1000)),
        'u0 at x.example'),
    ('a very long name', b'"' + b'n' * 5000 + b'" <evil@y.example>', None),
    ('brackets inside out', b'<c@d.example(>,<)a@b.example>', None),
    ('an escaped comma', b'<a@b.example>\\,<c@d.example>', None),
    ('a name stuck to its address', b'"a@b.example"<c@d.example', None),
    ('an address as a name', b'a@b.example <c@d.example>', 'a at b.example - c at d.example'),
    ('two groups', b'A: a@b.example;, B: c@d.example;', 'a at b.example'),
    ('groups in groups', b'A: B: a@b.example;;', None),
    ('ten thousand commas', b',' * 10_000 + b' <a@b.example>', 'a at b.example'),
    ('a line of brackets', b'<' * 10_000 + b'a@b.example>', None),
    ('a backslash at the end', b'"Bob\\" <evil@y.example>', None),
]
for name, value, shown_name in SENDERS:
    case('msg05 From: ' + name, letter(sender=b'From: ' + value + b'\r\n'), shown=shown_name)

case('msg06 Sender, Resent-From, Reply-To', letter(
    b'Sender: <carol@x.example>\r\nResent-From: <dave@x.example>\r\nReply-To: <erin@x.example>\r\n'
    b'Return-Path: <frank@x.example>\r\nX-Original-From: <grace@x.example>\r\n'), shown=BOB)
case('msg06 our own mailbox as From', letter(sender=b'From: alice@home.example.com\r\n'))
case('msg06 the alias as From', letter(sender=b'From: shop@relay.example.com\r\n'))
case('msg24 EAI everywhere',
     letter(sender='From: "Bj\xf6rn" <bj\xf6rn@b\xfccher.example>\r\n'.encode()),
     mail_from='<bj\xf6rn@b\xfccher.example> SMTPUTF8'.encode())
case('msg26 a bounce', letter(
    b'MIME-Version: 1.0\r\n'
    b'Content-Type: multipart/report; report-type=delivery-status; boundary=b\r\n'
    b'Auto-Submitted: auto-replied\r\n', b'--b\r\n' + TEXT + b'failed\r\n--b\r\nContent-Type: '
    b'message/delivery-status\r\n\r\nReporting-MTA: dns; x\r\n\r\nFinal-Recipient: rfc822; a@b\r\n'
    b'Action: failed\r\nStatus: 5.1.1\r\n--b--\r\n', b'From: MAILER-DAEMON@mx.example\r\n'),
    mail_from=b'<>', shown='MAILER-DAEMON at mx.example')
case('msg26 a bounce without From', b'Subject: failed\r\n\r\nx\r\n', mail_from=b'<>')

# ---- what must not be kept, what must be added ----

case('msg25 fields that stay behind', letter(
    b'Bcc: secret@x.example\r\nReturn-Receipt-To: spy@x.example\r\nX-Mailer: m\r\n'
    b'Received: by x; now\r\n'
    b'Disposition-Notification-To: spy@x.example\r\nDKIM-Signature: v=1\r\nAuthentication-Results: '
    b'relay.example.com; dmarc=pass\r\nSealrelay-Verdict: pass\r\nHP-Outer: Subject: x\r\n'
    b'Delivered-To: y\r\n'),
    absent=(b'secret@', b'spy@', b'X-Mailer', b'DKIM', b'dmarc=pass', b'Verdict: pass'))
case('msg23 no Date, no Message-ID', FROM + TO + SUBJECT + b'\r\nx\r\n', fields=(b'Date',
     b'Message-ID'))
for name, value in (('empty', b''), ('of words', b'yesterday'), ('of 1900',
    b'Mon, 1 Jan 1900 00:00:00 +0000'),
                    ('of 9999', b'Fri, 31 Dec 9999 23:59:60 +9999'), ('of digits', b'9' * 500)):
    case('msg23 a Date ' + name, FROM + TO + b'Date: ' + value + b'\r\n\r\nx\r\n',
         fields=(b'Date',))
for name, value in (('empty', b''), ('without brackets', b'a@b'), ('of two', b'<a@b> <c@d>'),
                    ('of 10 kB', b'<' + b'a' * 10_000 + b'@b>'), ('of UTF-8', b'<\xc3\xa4@b>'),
                    ('with a blank', b'<a b@c>')):
    case('msg23 a Message-ID ' + name, FROM + TO + b'Message-ID: ' + value + b'\r\n\r\nx\r\n',
         fields=(b'Message-ID',))
case('list fields',
     letter(b'List-Id: x\r\nList-Unsubscribe: <mailto:a@b.example>, <https://x.example/u>\r\n'
                           b'Precedence: bulk\r\nAuto-Submitted: auto-generated\r\n'),
     fields=(b'List-Id', b'Precedence', b'Auto-Submitted'), absent=(b'mailto:',))

# ---- encoded words ----

for name, value in (('a line break', b'=?utf-8?q?a=0D=0ABcc:_b@c.example?='), ('a NUL',
    b'=?utf-8?q?a=00b?='),
                    ('no end', b'=?utf-8?q?a'), ('no charset', b'=???='), ('nesting',
                        b'=?utf-8?b?=?utf-8?q?a?=?='),
                    ('a word of 50 kB', b'=?utf-8?q?' + b'=41' * 17_000 + b'?='),
                        ('half a character',
                    b'=?utf-8?q?=C3?= =?utf-8?q?=A4?='), ('UTF-7', b'=?utf-7?q?+ADw-?='),
                        ('ten thousand words',
                    b'=?utf-8?q?a?= ' * 10_000), ('base64 that is none', b'=?utf-8?b?====?=')):
    case('msg17 Subject: ' + name, letter(sender=FROM + b'Subject: ' + value + b'\r\n'))

# ---- MIME ----

for name, head, body in (
        ('no boundary', b'multipart/mixed', PARTS), ('an empty boundary', MIXED + b'""', PARTS),
        ('a boundary of 200', MIXED + b'x' * 200,
            b'--' + b'x' * 200 + b'\r\n\r\na\r\n--' + b'x' * 200 + b'--\r\n'),
        ('a boundary that begins another', MIXED + b'b', PARTS + b'--bb\r\n\r\nx\r\n--bb--\r\n'),
        ('a boundary with a blank at its end', MIXED + b'"b "', PARTS.replace(b'--b', b'--b ')),
        ('no end', MIXED + b'b', PARTS[:-7]), ('the end first', MIXED + b'b', b'--b--\r\n' + PARTS),
        ('an end without line end', MIXED + b'b', PARTS[:-2] + b' and more\r\n'),
        ('two boundaries', MIXED + b'b; boundary=c', PARTS), ('text around', MIXED + b'b',
            b'pre\r\n' + PARTS + b'post\r\n'),
        ('no parts', MIXED + b'b', b''), ('boundary in pieces',
            MIXED[:-9] + b'boundary*0=b; boundary*1=c', PARTS)):
    case('msg14 ' + name, part(head, body))


def nested(levels, kind):
    head = b''.join(b'--b%d\r\nContent-Type: multipart/mixed; boundary=b%d\r\n\r\n' % (i, i + 1)
                    for i in range(levels))
    return head + b'--b%d\r\n\r\nx\r\n' % levels if kind == 'multipart' else \
        b'Content-Type: message/rfc822\r\n\r\n' * levels + b'\r\nx\r\n'


for count in (100, 1000, 100_000):
    case('msg15 %d levels' % count, part(MIXED + b'b0', nested(count, 'multipart')))
case('msg15 10000 messages in messages', part(b'message/rfc822', nested(10_000, 'message')))

for name, fields_of in (
        ('Content-Type twice', b'Content-Type: text/plain\r\nContent-Type: text/html\r\n'),
        ('Content-Transfer-Encoding twice',
            b'Content-Transfer-Encoding: base64\r\nContent-Transfer-Encoding: 7bit\r\n'),
        ('base64 of a multipart',
            b'Content-Type: multipart/mixed; boundary=b\r\nContent-Transfer-Encoding: base64\r\n'),
        ('uuencode', b'Content-Type: text/plain\r\nContent-Transfer-Encoding: x-uuencode\r\n'),
        ('an unknown charset', b'Content-Type: text/plain; charset=x-unknown\r\n'),
        ('RFC 2231 abuse',
            b"Content-Type: application/x; name*0*=utf-8''a%00b; name*2=c; name*1*=%zz; n=d\r\n"),
        ('a name of paths and breaks',
            b'Content-Disposition: attachment; filename="../../etc/x\\\r\n \x07.exe"\r\n'),
        ('parameters without end', b'Content-Type: text/plain' + b'; a=b' * 5000 + b'\r\n'),
        ('comments without end', b'Content-Type: text/plain (' + b'(' * 5000 + b'\r\n'),
        ('a type of junk', b'Content-Type: ;;;=";\\\r\n'), ('an empty type', b'Content-Type:\r\n'),
        ('hp already', b'Content-Type: text/plain; hp="clear"\r\nHP-Outer: From: x@y\r\n'),
        ('a folded field name', b'Content-Type\r\n : text/html\r\n'), ('blank before the colon',
            b'Content-Type : text/html\r\n'),
        ('MIME version 9', b'MIME-Version: 9.9 (x)\r\nContent-Type: text/html\r\n'),
        ('Content fields nobody knows',
            b'Content-MD5: x\r\nContent-\r\nContent-X: y\r\nContent-Length: 5\r\n')):
    case('msg16 ' + name, letter(fields_of, PARTS))

SIGNATURE = b'multipart/signed; protocol="application/pkcs7-signature"; micalg=sha-256; boundary=b'
P7M = b'application/pkcs7-mime; name=smime.p7m'
for name, kind in (
        ('signed', SIGNATURE), ('signed, capitals', SIGNATURE.upper().replace(b'BOUNDARY=B',
            b'BOUNDARY=b')),
        ('signed, boundary missing', SIGNATURE[:-12]), ('OpenPGP signed',
            SIGNATURE.replace(b'pkcs7', b'pgp')),
        ('OpenPGP encrypted',
            b'multipart/encrypted; protocol="application/pgp-encrypted"; boundary=b'),
        ('enveloped', P7M + b'; smime-type=enveloped-data'), ('opaque signed',
            P7M + b'; smime-type=signed-data'),
        ('certificates', P7M + b'; smime-type=certs-only'), ('no smime-type', P7M),
        ('old name', P7M.replace(b'/pkcs7', b'/x-pkcs7')), ('compressed',
            P7M + b'; smime-type=compressed-data'),
        ('authEnveloped', P7M + b'; smime-type=authEnveloped-data')):
    case('msg18 ' + name, part(kind, PARTS))

# ---- hops, loops ----

case('msg19 fifty hops', letter(b'Received: by x; now\r\n' * 50))
case('msg19 fifty-one hops', letter(b'Received: by x; now\r\n' * 51), '554/5.4.6')
case('msg20 here once before', letter(b'Sealrelay-Loop: relay.example.com\r\n'))
case('msg20 here five times', letter(b'Sealrelay-Loop: relay.example.com\r\n' * 5), '554/5.4.6')
case('msg20 other relays too often', letter(b'Sealrelay-Loop: other.example\r\n' * 26), '554/5.4.6')
case('msg20 a loop mark of junk', letter(b'Sealrelay-Loop: \xff\xfe\r\nSealrelay-Loop:\r\n'))
case('msg20 a reverse alias as From',
     letter(sender=b'From: r-abcdefghijklmnop@relay.example.com\r\n'), '554/5.4.6')
case('msg21 Resent fields',
     letter(b'Resent-From: a@b.example\r\nResent-To: c@d.example\r\nResent-Date: x\r\n'))
case('msg22 a vacation answer',
     letter(b'Auto-Submitted: auto-replied (vacation)\r\nPrecedence: junk\r\n'),
     fields=(b'Auto-Submitted',))
