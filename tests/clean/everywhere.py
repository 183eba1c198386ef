# SPDX-License-Identifier: GPL-3.0-or-later
"""A reply with its user planted in every place where a mail program, a server or a document could put
them. Each place has a mark of its own, so that a reader can be shown to find it there."""
import base64
import quopri

from planted import DENIED

# How clients of several languages introduce what they quote.
WROTE = ('On Fri, Nov 20, 2026 at 9:00 AM %s wrote:', 'Am 20.11.26 um 09:00 schrieb %s:',
         'Le ven. 20 nov. 2026 à 09:00, %s a écrit :', 'El vie, 20 nov 2026 a las 9:00, %s escribió:',
         'Il giorno ven 20 nov 2026 %s ha scritto:', 'Em sex., 20 de nov. de 2026, %s escreveu:',
         'Op vr 20 nov 2026 om 09:00 schreef %s:', 'Den 20 nov. 2026 kl. 09:00 skrev %s:',
         'pt., 20 lis 2026 o 09:00 %s napisał(a):', '2026年11月20日(金) 9:00 %s:',
         'пт, 20 нояб. 2026 г. в 09:00, %s:', '%s 於 2026年11月20日 寫道：')


class Marks:
    """Hands out what names the user; every mark is another."""

    def __init__(self):
        self.places = {}  # mark: place

    def mark(self, place):
        mark = 'zq%03dzq' % len(self.places)
        self.places[mark] = place
        return mark

    def mail(self, place):
        """The mailbox's address."""
        return 'jane.roe+%s@home.example' % self.mark(place)

    def host(self, place):
        return '%s.janes-laptop.home.example' % self.mark(place)

    def name(self, place):
        """The account's name on the user's machine."""
        return 'janeroe-' + self.mark(place)

    def all(self, place):
        return '<%s> %s [192.168.77.5]' % (self.mail(place), self.name(place))


def denied(m, where):
    return ''.join('%s: %s\n' % (name, m.all('%s of %s' % (name, where))) for name in DENIED
                   if name != 'Content-Location')


def coded(text, charset='utf-8', how='B'):
    raw = text.encode(charset or 'utf-8')
    if how == 'B':
        return '=?%s?B?%s?=' % (charset, base64.b64encode(raw).decode())
    return '=?%s?Q?%s?=' % (charset, ''.join('=%02X' % byte for byte in raw))


def leaf(kind, text, charset='utf-8', how='base64', fields=''):
    data = text if isinstance(text, bytes) else text.encode(charset or 'utf-8')
    body = base64.encodebytes(data) if how == 'base64' else quopri.encodestring(data)
    if how == '8bit':
        body = data
    parameter = '; charset="%s"' % charset if charset else ''
    return ('Content-Type: %s%s\nContent-Transfer-Encoding: %s\n%s\n' %
            (kind, parameter, how, fields)).encode() + body.rstrip(b'\n') + b'\n'


def multipart(m, kind, *parts, fields='', parameters=''):
    boundary = m.name('boundary of ' + kind)
    pieces = ['Content-Type: multipart/%s; boundary="%s"%s\n%s\nfor old readers: %s\n' % (
        kind, boundary, parameters, fields, m.host('preamble of ' + kind))]
    body = pieces[0].encode()
    for part in parts:
        body += b'\n--' + boundary.encode() + b'\n' + part
    return body + ('\n--%s--\nepilogue %s\n' % (boundary, m.mail('epilogue of ' + kind))).encode()


def quoted(m, reverse):
    who = ['Jane Roe <%s>' % m.mail('quoted by "%s"' % form) for form in WROTE]
    lines = [form % name for form, name in zip(WROTE, who)]
    lines += [form % ('Bob - bob at corp.example <%s>' % reverse) for form in WROTE]
    return lines


def plain(m, reverse):
    lines = ['keep-text Grüße', m.mail('text'), m.mail('text, capitals').upper(),
             m.mail('text, full-width @').replace('@', '＠'),
             m.mail('text, invisible characters').replace('@', '\u200b@\u00ad'),
             m.mail('text, at in words').replace('@', ' at '),
             'https://example.org/?user=' + m.mail('text, link').replace('@', '%40'),
             'mailto:' + m.mail('text, mailto').replace('@', '%2540'),
             m.mail('text, entities').replace('@', '&#64;').replace('.', '&period;', 1),
             'bounce-%s@lists.example' % m.mail('text, VERP').replace('@', '='),
             'file:///home/%s/plan.odt' % m.name('text, file link'),
             '[cid:%s]' % m.host('text, cid')]
    return '\n'.join(lines + ['> keep-quote'] + quoted(m, reverse) + ['-- ', 'Jane', ''])


def html(m, reverse, cid):
    words = {name: getattr(m, form)('html, ' + name) for name, form in (
        ('generator', 'name'), ('author', 'mail'), ('base', 'name'), ('comment', 'mail'),
        ('conditional', 'name'), ('word', 'mail'), ('css', 'name'), ('css_url', 'name'),
        ('import', 'host'), ('style', 'mail'), ('class', 'name'), ('ident', 'name'),
        ('title', 'mail'), ('alt', 'mail'), ('data', 'name'), ('mailto', 'mail'),
        ('split', 'mail'), ('file', 'name'), ('unc', 'host'), ('srcset', 'mail'),
        ('event', 'name'), ('doctype', 'name'), ('script', 'mail'), ('hidden', 'mail'),
        ('cite', 'host'), ('meta', 'mail'), ('link', 'host'), ('value', 'mail'), ('cdata', 'name'),
        ('entity', 'mail'), ('double', 'mail'), ('mid', 'host'), ('namespace', 'name'))}
    words['srcset'] = words['srcset'].replace('@', '%40')
    words['split'] = '<b>' + words['split'].replace('@', '</b>@<i>') + '</i>'
    words['entity'] = ''.join('&#%d;' % ord(c) for c in words['entity'])
    words['double'] = words['double'].replace('@', '%2540').replace('j', '%6A')
    return '''<!DOCTYPE html SYSTEM "{doctype}">
<html xmlns:o="urn:{namespace}"><head><meta name="generator" content="{generator}">
<meta name=author content="{author}"><meta http-equiv=refresh content="9;url=x?{meta}">
<base href="file:///Users/{base}/"><link rel=File-List href="cid:{link}">
<title>keep-title</title><!-- {comment} --><!--[if mso]><xml>{conditional}</xml><![endif]-->
<xml><o:Author>{word}</o:Author></xml><![CDATA[{cdata}]]>
<style><!-- /* {css} */ p.{class} {{ background: url(file:///home/{css_url}.png); color: red }}
@import url("http://{import}/x.css"); --></style><script>var me = "{script}";</script></head>
<body onload="{event}" class="{class}" id="{ident}"><p class="{class}" style="mso-a: '{style}'">keep-text
Grüße <a href="mailto:{mailto}?subject=x" title="{title}">write</a> {split} {entity}
<img src="cid:{cid}" alt="{alt}"><img src="file:///Users/{file}/x.png">
<a href="\\\\{unc}\\share">share</a> <img src="https://t.example/a" srcset="https://t.example/?{srcset} 2x">
<a href="https://u.example/?url=https%3A%2F%2Fv.example%2F%3Fm%3D{double}">x</a>
<span data-account="{data}"></span><span style="display:none">{hidden}</span>
<input type=hidden value="{value}"><a href="mid:{mid}">m</a></p>
<blockquote cite="mid:{cite}">keep-quote {quotes}</blockquote></body></html>'''.format(
        cid=cid, quotes='<br>'.join(line.replace('<', '&lt;') for line in quoted(m, reverse)),
        **words)


def calendar(m, reverse):
    return '''BEGIN:VCALENDAR
PRODID:-//{a}//EN
VERSION:2.0
METHOD:REQUEST
X-WR-CALNAME:{b}
BEGIN:VEVENT
UID:{c}
DTSTAMP:20261122T080000Z
DTSTART:20261124T080000Z
SUMMARY:keep-event
ORGANIZER;CN=Bob:mailto:{reverse}
ATTENDEE;CN="Jane Roe";PARTSTAT=ACCEPTED;SENT-BY="mailto:{d}";EMAIL={e};X-NUM={f}:mail
 to:{g}
COMMENT:ask {h}
DESCRIPTION:see file:///home/{i}/x
ATTACH;X-FILE={j}:cid:{k}
X-MS-OLK-SENDER:mailto:{l}
BEGIN:VALARM
ACTION:EMAIL
ATTENDEE:mailto:{o}
END:VALARM
END:VEVENT
END:VCALENDAR
'''.format(reverse=reverse, **{letter: getattr(m, form)('calendar, ' + letter) for letter, form in zip(
        'abcdefghijklo', ('name', 'mail', 'host', 'mail', 'mail', 'name', 'mail', 'mail', 'name',
                          'name', 'host', 'mail', 'mail'))})


def card(m):
    return '''BEGIN:VCARD
VERSION:2.1
N;CHARSET=UTF-8;ENCODING=QUOTED-PRINTABLE:Roe;Jane =28{a}=29
EMAIL;INTERNET;ENCODING=QUOTED-PRINTABLE:{b}
NOTE:{c}
URL:http://{d}/
UID:{e}
END:VCARD
'''.format(a=m.name('vCard, name'), b=m.mail('vCard, address').replace('@', '=40'),
           c=m.mail('vCard, note'), d=m.host('vCard, link'), e=m.name('vCard, uid'))


def attached_message(m, reverse):
    inner = multipart(m, 'alternative', leaf('text/plain', 'keep-attached %s\n' %
                                             m.mail('attached message, text')),
                      leaf('text/html', '<p title="%s">keep-attached</p>' %
                           m.mail('attached message, html')))
    return ('Content-Type: message/rfc822; name="%s.eml"\n\n%sFrom: Jane <%s>\n'
            'To: Bob <%s>\nCc: %s\nSubject: %s\nMessage-ID: <%s>\nReferences: <%s>\n'
            'Date: Fri, 20 Nov 2026 10:00:00 +0100 (%s)\nMIME-Version: 1.0\n' % (
                m.name('attached message, file name'), denied(m, 'attached message'),
                m.mail('attached message, From'), reverse, m.mail('attached message, Cc'),
                coded('an earlier one ' + m.mail('attached message, Subject')),
                m.host('attached message, id'), m.host('attached message, References'),
                m.host('attached message, Date'))).encode() + inner


def message_file(m, kind, place):
    """A message as a file, whose encoding hides it from a parser of messages."""
    return leaf(kind, '%sFrom: %s\nSubject: x %s\nContent-Type: text/plain\n\nkeep-file %s\n' % (
        denied(m, place), m.mail(place + ', From'), m.mail(place + ', Subject'),
        m.mail(place + ', text')), None)


def receipt(m):
    return leaf('message/disposition-notification', (
        'Reporting-UA: %s; mail 1.0\nOriginal-Recipient: rfc822;%s\nFinal-Recipient: rfc822;%s\n'
        'Original-Message-ID: <bobs-1@corp.example>\nDisposition: manual-action/MDN-sent-manually; '
        'displayed\nX-Host: %s\n' % (m.host('receipt, program'), m.mail('receipt, original'),
                                     m.mail('receipt, final'), m.host('receipt, more'))),
        None, '8bit')


def texts(m):
    """Attached and inline texts in odd charsets."""
    for charset in ('utf-16', 'utf-16-le', 'utf-32', 'utf-7', 'iso-2022-jp', 'windows-1252'):
        yield odd_text(charset, m)
    yield leaf('text/csv; name="%s.csv"' % m.mail('name of a csv'), '\ufeffkeep-bom;%s\n' %
               m.mail('text with a byte order mark'), 'utf-8')
    yield leaf('text/html', '<p>keep-page %s</p>' % m.mail('attached page'), fields=(
        'Content-Disposition: attachment; filename="page.html"\n'))
    yield leaf('application/octet-stream', calendar(m, 'x@example.org'), None, fields=(
        'Content-Disposition: attachment; filename="invite.ics"\n'))


def odd_text(charset, m):
    text = 'keep-%s %s\n' % (charset, m.mail('text in ' + charset))
    return leaf('text/plain; charset=' + charset.replace('-le', 'le'), text.encode(charset), None)


def picture(m, cid):
    return leaf('image/png; name="C:\\\\Users\\\\%s\\\\x.png"; x-apple-part-url="%s"' % (
        m.name('picture, name'), m.host('picture, parameter')), b'\x89PNG picture', None, fields=(
            'Content-ID: <%s>\nContent-Location: file:///Users/%s/x.png\nX-Attachment-Id: %s\n'
            'Content-Description: %s\n'
            "Content-Disposition: inline; x-host=%s;\n filename*0*=utf-8''keep%%2d%s;\n"
            ' filename*1*=%%2epng\n' % (
                cid, m.name('picture, location'), m.name('picture, attachment id'),
                coded(m.name('picture, description')), m.host('picture, disposition'),
                m.mail('picture, RFC 2231 name').replace('@', '%40'))))


def entity(m, reverse):
    cid = m.host('Content-ID')
    body = multipart(
        m, 'alternative', leaf('text/plain; format=flowed', plain(m, reverse), how='quoted-printable',
                               fields='Content-Description: %s\n' % m.name('description')),
        multipart(m, 'related', leaf('text/html', html(m, reverse, cid)), picture(m, cid),
                  parameters='; type="text/html"; start="<%s>"' % m.host('start')),
        leaf('text/calendar; method=REQUEST; name="%s.ics"; x-uid="%s"' % (
            m.name('calendar, file name'), m.host('calendar, parameter')), calendar(m, reverse)))
    signature = leaf('application/pkcs7-signature; name=smime.p7s',
                     m.mail('attached signature'), None)
    key = leaf('application/pgp-keys; name="%s.asc"' % m.name('key, name'), m.mail('PGP key'), None)
    return multipart(
        m, 'mixed', body, leaf('text/x-vcard; name="%s.vcf"' % m.name('vCard, file name'), card(m)),
        attached_message(m, reverse), message_file(m, 'message/rfc822', 'message in base64'),
        message_file(m, 'application/octet-stream; name="x.eml"', 'message as a file'), key, signature,
        receipt(m), *texts(m), fields=denied(m, 'content') +
        'Subject: keep-subject\nHP-Outer: Subject: %s\n' % m.mail('HP-Outer'),
        parameters='; hp="clear"; x-host="%s"' % m.host('parameter'))


def header(m, reverse, date, references):
    """The outer header; date: "…, 22 Nov 2026 08:30:00 +0100" """
    return (
        denied(m, 'header') + 'From: "Jane Roe" <jane.roe@home.example> (%s)\n'
        'To: %s <%s>\nSubject: %s\n\t%s\nDate: %s (%s)\nMessage-ID: <%s>\n'
        'In-Reply-To: %s (%s)\nReferences: %s\n <%s>\n'
        'MIME-Version: 1.0 (Mac OS X Mail 16.0 \\(%s\\))\nImportance: high; %s\n'
        'X-Priority: 1 (Highest, %s)\nPriority: urgent (%s)\nAuto-Submitted: no; owner="%s"\n' % (
            m.name('comment in From'), coded('Bob ' + m.mail('name in To'), how='Q'), reverse,
            coded('Re: keep-subject ' + m.mail('Subject, base64')),
            coded(' ' + m.mail('Subject, Q'), how='Q'), date, m.host('comment in Date'),
            m.host('Message-ID'), references[-1], m.host('comment in In-Reply-To'),
            '\n '.join(references), m.host('References'), m.name('comment in MIME-Version'),
            m.name('Importance'), m.name('X-Priority'), m.name('Priority'),
            m.mail('Auto-Submitted'))).encode()
