# SPDX-License-Identifier: GPL-3.0-or-later
"""Nothing of the user leaves: replies through real daemons into a sink that keeps every byte, read by
decoders other than ours. The same decoders find each planted word in what the user sent."""
import base64
import email.utils
import os
import re
import sys
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
for folder in ('../support', '../clean'):
    sys.path.insert(0, os.path.join(HERE, folder))
import cleaner
import correspondence as w
import der
import everywhere
import judge
import mail
import planted
import relay
import replies
import stranger

CASES = []
TEMPLATES = os.path.join(HERE, '../clean/replies')
REVERSE = b'r-abcdefghijklmnop@relay.example'
SIGNING_DESCRIPTION = '1.2.840.113549.1.9.13'
UNSTRUCTURED_NAME = '1.2.840.113549.1.9.2'
RECEIPT_FIELDS = {'Final-Recipient', 'Original-Message-ID', 'Disposition'}
NOT_TAKEN = ('501 5.5.4 ', '555 5.5.4 ')
PROTECTING = {'HP-Outer'}
WORDS = planted.PLANTED + planted.CLIENTS


def case(function):
    CASES.append(function)
    return function


def tolerant(text):
    """A pattern for text in which quoted-printable may break lines."""
    return b'(?:=\\r?\\n)?'.join(re.escape(text[i:i + 1]) for i in range(len(text)))


def localised(raw, reverse):
    """A template with the addresses of this relay; in base64 too."""
    def swap(text):
        text = re.sub(tolerant(REVERSE), reverse.encode(), text)
        return re.sub(tolerant(b'shop@relay.example') + rb'(?!\.com)', w.ALIAS.encode(), text)

    def unpacked(found):
        plain = base64.b64decode(found.group(2))
        return found.group(1) + (found.group(2) if swap(plain) == plain else
                                 base64.encodebytes(swap(plain)).strip()) + b'\n'
    return re.sub(rb'(?is)(Content-Transfer-Encoding: base64\n(?:[^\n]+\n)*\n)((?:[A-Za-z0-9+/=]+\n)+)',
                  unpacked, swap(raw + b'\n'))


def parted(raw):
    """(header without Content-*, MIME entity) of a message; LF."""
    header, body = raw.split(b'\n\n', 1)
    fields = re.findall(rb'[^\n]+\n(?:[ \t][^\n]*\n)*', header + b'\n')
    content = [field for field in fields if field.lower().startswith(b'content-')]
    rest = b''.join(f for f in fields if f not in content)
    signed = re.search(rb'(?is)multipart/signed;.*boundary="([^"]+)"', b''.join(content))
    if signed:  # the client's own signature gives way to a true one
        return rest, (b'\n' + body).split(b'\n--' + signed.group(1) + b'\n')[1]
    return rest, b''.join(content) + b'\n' + body


def leaks(delivery, words=WORDS):
    """What of the user is in anything that was sent for a message."""
    found = [(word, 'session') for word in words for text in cleaner.spellings(
        (delivery.session + delivery.envelope).decode('latin-1').lower()) if word in text]
    return found + cleaner.found(delivery.message, words)


def must_be_clean(name, delivery, marks=None, message=None):
    """message: what the correspondent decrypts, where that is not what was sent"""
    wrong = ['%s: %s in %s' % (name, (marks or {}).get(word, word), where)
             for word, where in leaks(delivery, WORDS + list(marks or ()))]
    if message:
        wrong += ['%s: inside, %s in %s' % (name, (marks or {}).get(word, word), where)
                  for word, where in cleaner.found(message, WORDS + list(marks or ()))]
    inside = bool(message)
    message = message or delivery.message
    for part in cleaner.parse(message).walk():
        wrong += ['%s: a field %s' % (name, f) for f in part.keys()
                  if f not in planted.FIELDS | RECEIPT_FIELDS | (PROTECTING if inside else set())]
    if max(message) > 126 or max(map(len, message.split(b'\r\n'))) > 998:
        wrong.append('%s: 8-bit, or a long line' % name)
    text = '\n'.join(cleaner.part_text(part) for part in cleaner.parse(message).walk()
                     if part.get_content_maintype() == 'text')
    wrong += ['%s: %s is gone' % (name, word) for word in ('keep-text', 'keep-quote')
              if word not in text]
    assert not wrong, wrong
    return message


def thread(r, talk):
    """Ids of an exchange that went before, as both sides know them: (the user's, the stranger's)."""
    own = '<own-1@home.example>'
    first = w.reply(r, talk, replies.entity(), w.fields(talk.reverse, ident=own))
    mapped = mail.field_value(mail.split(first.message)[0], b'Message-ID').decode()
    return ['<bobs-1@corp.example>', own, '<bobs-2@corp.example>'], \
        ['<bobs-1@corp.example>', mapped, '<bobs-2@corp.example>']


@case
def replies_in_the_style_of_ten_clients_leave_nothing(r):
    talk = w.Talk(r)
    _, theirs = thread(r, talk)
    names = sorted(os.listdir(TEMPLATES))
    for name in names:
        with open(os.path.join(TEMPLATES, name), 'rb') as file:
            raw = localised(file.read(), talk.reverse)
        date = email.utils.formatdate(localtime=False).replace('-0000', '+0000').encode()
        raw = re.sub(rb'(?m)^Date: .*$', b'Date: ' + date, raw, count=1)
        for variant in (raw, planted.with_denied_fields(raw)):
            header, entity = parted(variant)
            assert len({word for word, _ in cleaner.found(
                mail.to_crlf(header + entity), planted.PLANTED)}) >= 4, name
            delivery = w.reply(r, talk, entity, header, hello='EHLO janes-laptop.home.example')
            got = cleaner.parse(must_be_clean(name, delivery))
            assert got['From'] == w.ALIAS and got['To'].endswith('<bob@corp.example>'), got.items()
            assert cleaner.header_text(got['Subject']).startswith('Re: keep-subject'), got['Subject']
            assert got['References'].split() == theirs, (name, got['References'])
    assert len(names) >= 10


def sealed_with_plants(r, marks, signed, talk):
    """EnvelopedData around a SignedData, each with attributes that name the user; PEM-less DER."""
    header, body = mail.split(mail.to_crlf(signed))
    boundary = re.search(rb'boundary="([^"]+)"', header).group(1)
    before, last, after = re.match(
        rb'(?s)(.*\r\n--%s\r\n(?:[^\r]+\r\n)+\r\n)(.*?)(\r\n\r\n--%s--.*)' % (
            re.escape(boundary), re.escape(boundary)), body).groups()
    signature = der.with_unsigned_attribute(base64.b64decode(last), der.attribute(
        UNSTRUCTURED_NAME, marks.all('unsigned attribute')))
    signed = header + b'\r\n' + before + base64.encodebytes(signature).strip().replace(
        b'\n', b'\r\n') + after
    enveloped = judge.cms_der(r.client.encrypt(signed, [talk.cert, r.jane_cert], '-aes256', '-binary'))
    return signed, der.with_originator(
        enveloped, judge.run(['openssl', 'x509', '-in', r.jane.identity, '-outform', 'DER']),
        der.attribute(SIGNING_DESCRIPTION, marks.all('unprotected attribute')))


@case
def a_user_planted_in_every_place_is_found_before_the_relay_and_not_behind_it(r):
    talk = w.Talk(r)
    ours, theirs = thread(r, talk)
    marks = everywhere.Marks()
    date = email.utils.formatdate(localtime=False).replace('-0000', '+0100')
    protected = everywhere.header(marks, talk.reverse, date, ours)
    entity = protected + everywhere.entity(marks, talk.reverse)
    header = everywhere.header(marks, talk.reverse, date, ours)
    seen = {word for word, _ in cleaner.found(mail.to_crlf(header + entity), list(marks.places))}
    blind = [place for mark, place in marks.places.items() if mark not in seen]
    assert not blind, 'the decoders do not see %s' % blind
    asked = marks.mail('receipt request')
    signed = r.client.sign(entity, '-receipt_request_all', '-receipt_request_to', asked)
    signed, enveloped = sealed_with_plants(r, marks, signed, talk)
    for place in ('receipt request', 'unsigned attribute', 'unprotected attribute'):
        mark = next(mark for mark, where in marks.places.items() if where == place)
        assert any(mark.encode() in data for data in
                   (enveloped, signature_of(signed))), place
    assert b'jane.roe@home.example' in enveloped, 'no certificate of the originator'
    body = b'Content-Type: application/pkcs7-mime; smime-type=enveloped-data; name="%s.p7m"\n' \
           b'Content-Transfer-Encoding: base64\nContent-Description: %s\n\n%s' % (
               marks.name('name of the body').encode(), marks.mail('description').encode(),
               base64.encodebytes(enveloped))
    hello = 'EHLO %s' % marks.host('EHLO')
    forwarded = 'XFORWARD NAME=%s ADDR=203.0.113.77 HELO=%s' % (marks.host('XFORWARD name'),
                                                              marks.host('XFORWARD HELO'))
    text = w.post(r, [talk.reverse], mail.to_crlf(header + body), hello=hello, before=[forwarded],
                  parameters=' BODY=8BITMIME SIZE=77777')
    assert text.startswith('250'), text
    delivery = r.sink.take(talk.address)
    got = cleaner.parse(must_be_clean('everywhere', delivery, marks.places))
    named = [where for _, where in cleaner.found(delivery.message, [talk.reverse])]
    assert not named, named
    text = '\n'.join(map(cleaner.part_text, got.walk()))
    for form in everywhere.WROTE:  # each in plain text and in HTML
        assert text.count(form % 'Bob <bob@corp.example>') == 1, form
        assert text.count(form % w.ALIAS) >= 1, form
    assert b'77777' not in delivery.everything and b'BODY' not in delivery.envelope
    assert re.fullmatch(rb'EHLO relay\.example\.com\r\n', delivery.session), delivery.session
    assert re.match(rb'MAIL FROM:<[a-z0-9+=.-]+@relay\.example\.com>( SIZE=\d+)?\r\n',
                    delivery.envelope), delivery.envelope
    assert got['References'].split() == theirs, got['References']
    kept = [word for word in ('keep-event', 'keep-attached', 'keep-utf-16', 'keep-bom', 'keep-page')
            if not cleaner.found(delivery.message, [word])]
    assert not kept, kept
    assert marks.places and 'reduced to the alias' in w.notice(r)
    print('    %d places' % len(marks.places))


@case
def what_is_encrypted_to_the_correspondent_names_the_user_neither_outside_nor_inside(r):
    bob = stranger.Authority(r.user_folder, 'Test Mail CA').issue('paula@corp.example')
    talk = w.Talk(r, bob.address)
    r.sealctl('correspondent', 'import', talk.reverse, bob.cert)
    ours, _ = thread(r, talk)
    marks = everywhere.Marks()
    date = email.utils.formatdate(localtime=False).replace('-0000', '+0100')
    entity = everywhere.header(marks, talk.reverse, date, ours) + everywhere.entity(marks, talk.reverse)
    delivery = w.reply(r, talk, entity, everywhere.header(marks, talk.reverse, date, ours))
    sealed = mail.to_crlf(delivery.message)
    opened = judge.run(['openssl', 'cms', '-decrypt', '-inkey', bob.key, '-recip', bob.cert], sealed)
    must_be_clean('encrypted', delivery, marks.places, mail.to_crlf(opened))
    said = judge.run(['openssl', 'cms', '-cmsout', '-print', '-noout', '-inform', 'DER'],
                     judge.cms_der(sealed)).decode()
    for absent in ('originatorInfo', 'unprotectedAttrs'):
        assert re.search(absent + r':\s+<ABSENT>', said), said[:2000]
    assert said.count('d.ktri') == 1 and 'd.kari' not in said, said[:2000]
    issued = judge.run(['openssl', 'x509', '-in', r.jane.identity, '-noout', '-serial'])
    serial = bytes.fromhex(issued.decode().strip().split('=')[1])
    assert serial not in judge.cms_der(sealed)


def signature_of(signed):
    return base64.b64decode(re.search(rb'(?s)smime\.p7s"\r\n\r\n(.*?)\r\n\r\n--', signed).group(1))


@case
def what_is_only_signed_and_a_first_mail_leave_nothing_either(r):
    talk = w.Talk(r)
    date = email.utils.formatdate(localtime=False).replace('-0000', '+0100')
    first = w.ALIAS.replace('@', '+quentin=corp.example@')
    for rcpt, real in ((talk.reverse, talk.address), (first, 'quentin@corp.example')):
        marks = everywhere.Marks()
        header = everywhere.header(marks, rcpt, date, [talk.ident])
        entity = everywhere.header(marks, rcpt, date, [talk.ident]) + everywhere.entity(marks, rcpt)
        data = replies.message(header, r.client.sign(entity))
        answer = w.post(r, [rcpt], data, hello='EHLO janes-laptop.home.example')
        assert answer.startswith('250'), (rcpt, answer)
        delivery = r.sink.take(real)
        got = cleaner.parse(must_be_clean(rcpt, delivery, marks.places))
        assert real in got['To'] and got['From'] == w.ALIAS, got.items()
        left = cleaner.found(delivery.message, [rcpt, 'pkcs7'])
        assert not left, left


@case
def parameters_of_the_envelope_that_name_the_user_are_not_taken(r):
    talk = w.Talk(r)
    marks = everywhere.Marks()
    data = replies.message(w.fields(talk.reverse), r.client.sealed(replies.entity(), [talk.cert]))
    for parameter in ('RET=FULL', 'ENVID=' + marks.name('ENVID'), 'AUTH=jane.roe@home.example',
                      'BY=100;R', 'MT-PRIORITY=3', 'XOORG=home.example'):
        text = w.post(r, [talk.reverse], data, parameters=' ' + parameter)
        assert text[:10] in NOT_TAKEN, (parameter, text)
    session = mail.Smtp(r.smtp_port, 'EHLO client.example.org')
    session.command('MAIL FROM:<%s>' % w.MAILBOX)
    for parameter in ('ORCPT=rfc822;jane.roe+40home.example', 'NOTIFY=SUCCESS'):
        try:
            session.command('RCPT TO:<%s> %s' % (talk.reverse, parameter))
            raise AssertionError('%s was taken' % parameter)
        except mail.Refused as refusal:
            assert refusal.text[:10] in NOT_TAKEN, refusal.text
    session.close()
    assert not r.sink.drain(talk.address)


def attached(kind, content, more=b''):
    return (b'Content-Type: multipart/mixed; boundary=b\n\n--b\nContent-Type: text/plain\n\nkeep-text\n'
            b'--b\nContent-Type: ' + kind + b'\n' + more + b'\n' + content + b'\n--b--\n')


@case
def what_cannot_be_cleaned_is_refused_with_a_precise_sealed_notice(r):
    talk = w.Talk(r)
    tnef = b'x\x9f>"' + b'\x01\x00jane.roe@home.example'
    kinds = {
        'winmail.dat': (attached(b'application/ms-tnef; name=winmail.dat',
                                 base64.encodebytes(tnef[1:]),
                                 b'Content-Transfer-Encoding: base64\n'), 'Outlook', '2'),
        'TNEF under another name': (attached(b'application/octet-stream; name=report.bin',
                                             base64.encodebytes(b'\x78\x9f\x3e\x22' + tnef),
                                             b'Content-Transfer-Encoding: base64\n'), 'Outlook', '2'),
        'a signed message': (attached(b'application/pkcs7-mime; smime-type=signed-data; name=x.p7m',
                                      base64.encodebytes(judge.cms_der(r.client.sign(
                                          replies.entity(), opaque=True))),
                                      b'Content-Transfer-Encoding: base64\n'),
                             'S/MIME', '2'),
        'a delivery report': (attached(b'message/delivery-status',
                                       b'Reporting-MTA: dns; janes-laptop.home.example\n\n'
                                       b'Final-Recipient: rfc822; jane.roe@home.example\n'
                                       b'Action: failed\n'), 'delivery report', '2'),
        'a multipart in base64': (b'Content-Type: multipart/mixed; boundary=c\n'
                                  b'Content-Transfer-Encoding: base64\n\n' + base64.encodebytes(
                                      b'--c\n\njane.roe@home.example\n--c--\n'), 'encoded', '1'),
        'a piece': (attached(b'message/partial; id=x@home.example; number=1', b'x\n'), 'piece', '2'),
        'a pointer': (attached(b'message/external-body; access-type=URL; '
                               b'URL="ftp://janes-laptop.home.example/x"', b'\n'), 'piece', '2'),
    }
    for name, (entity, word, part) in kinds.items():
        data = replies.message(w.fields(talk.reverse), r.client.sealed(entity, [talk.cert]))
        text = w.post(r, [talk.reverse], data)
        assert text == '550 5.6.0 Reply cannot be sent on, a sealed notice says why', (name, text)
        said = w.notice(r)
        assert word in said and 'part %s ' % part in said and talk.reverse in said, (name, said)
        assert talk.address not in said, (name, said)
    assert not r.sink.drain(talk.address)


@case
def a_reply_that_bounces_tells_the_correspondent_nothing_and_the_user_a_reverse_alias(r):
    talk = w.Talk(r, 'gone@corp.example')
    r.sink.refuse = lambda rcpt: '550 5.1.1 <%s> unknown at mx9.corp.example [192.0.2.99]' % rcpt \
        if rcpt == talk.address else None
    try:
        data = replies.message(w.fields(talk.reverse), r.client.sealed(
            replies.entity(b'secret word\n'), [talk.cert]))
        assert w.post(r, [talk.reverse], data).startswith('250')
        delivery = r.sink.take(w.MAILBOX)
    finally:
        r.sink.refuse = lambda rcpt: None
    said = r.jane.open(mail.to_crlf(delivery.message))[0].decode()
    assert talk.reverse in said and '5.1.1' in said, said
    for word in ('gone@', 'corp.example', 'mx9', '192.0.2', 'secret'):
        assert word not in said and word.encode() not in delivery.message, (word, said)
    assert b'MAIL FROM:<>' in delivery.envelope, delivery.envelope
    assert not r.sink.drain(talk.address)
    for entry in r.sealctl('queue', 'list'):
        r.sealctl('queue', 'drop', entry['id'], '--yes')


@case
def a_report_about_a_reply_goes_no_further_and_leaves_nothing(r):
    talk = w.Talk(r)
    delivery = w.reply(r, talk, replies.entity())
    report = mail.to_crlf(
        b'From: MAILER-DAEMON@mx9.corp.example\nTo: %s\nSubject: failed\nMIME-Version: 1.0\n'
        b'Content-Type: multipart/report; report-type=delivery-status; boundary=r\n\n--r\n'
        b'Content-Type: text/plain\n\nbob@corp.example is no more\n--r\n'
        b'Content-Type: message/delivery-status\n\nReporting-MTA: dns; mx9.corp.example\n\n'
        b'Final-Recipient: rfc822; bob@corp.example\nAction: failed\nStatus: 5.2.2\n'
        b'Diagnostic-Code: smtp; 552 5.2.2 bob@corp.example over quota\n--r\n'
        b'Content-Type: text/rfc822-headers\n\nSubject: Re: hello\n--r--\n'
        % delivery.mail_from.encode())
    session = mail.Smtp(r.smtp_port, 'EHLO mx9.corp.example')
    session.send('', [delivery.mail_from], report)
    session.close()
    taken = r.sink.take(w.MAILBOX)
    said = r.jane.open(mail.to_crlf(taken.message))[0].decode()
    assert talk.reverse in said and '5.2.2' in said, said
    assert 'corp.example' not in said and b'corp.example' not in taken.message, said
    assert not r.sink.drain(talk.address)


def main(build, names):
    with relay.Relay(build, {'RAISED': 'yes'}) as r, tempfile.TemporaryDirectory() as folder:
        w.start(r, folder)
        return w.run(r, [c for c in CASES if not names or c.__name__ in names])


if __name__ == '__main__':
    sys.exit(main(sys.argv[1], sys.argv[2:]))
