# SPDX-License-Identifier: GPL-3.0-or-later
"""survive.py PROGRAM - what the correspondent should see survives the cleaning: text in its charset,
attachments byte for byte, pictures under their links, flowed lines; 25 MB in bounded memory; and of
a corpus of real mail, where one lies beside the checkout, every word."""
import base64
import codecs
import collections
import os
import random
import re
import sys
import tarfile
import time

import cleaner

HEAD = (b'From: Jane Roe <jane.roe@home.example>\nTo: r-abcdefghijklmnop@relay.example\n'
        b'Date: Sun, 22 Nov 2026 07:30:00 +0000\nMIME-Version: 1.0\n')
CORPUS = os.path.join(os.path.dirname(os.path.abspath(__file__)),
                      '../../../shared/corpus/messages.tar.gz')
WORDS_LOST_MAX = 0.0


def leaf(kind, data, extra=b'', encode=True):
    coding = b'Content-Transfer-Encoding: base64\n' if encode else b''
    return (b'Content-Type: ' + kind + b'\n' + coding + extra + b'\n' +
            (base64.encodebytes(data) if encode else data))


def mixed(*parts, kind=b'mixed', extra=b''):
    body = b''.join(b'--b\n' + part + b'\n' for part in parts)
    return b'Content-Type: multipart/' + kind + b'; boundary=b' + extra + b'\n\n' + body + b'--b--\n'


def parts_of(run, entity):
    return list(cleaner.parse(run.clean(HEAD + entity)[0]).walk())


def text_keeps_bytes_and_charset(run):
    for charset, text in (('iso-2022-jp', 'こんにちは世界'), ('utf-8', 'שלום 👨‍👩‍👧 Ünïcödé'),
                          ('windows-1252', '“Grüße” – 5 €'), ('koi8-r', 'Привет'),
                          ('gb18030', '你好'), ('utf-16', 'wide ü'), ('us-ascii', 'plain')):
        data = text.encode(charset)
        part = parts_of(run, leaf(b'text/plain; charset=' + charset.encode(), data))[0]
        assert part.get_payload(decode=True) == data or \
            part.get_payload(decode=True) == data + b'\r\n', charset
        assert part.get_content_charset() == charset


def changed_text_is_utf8(run):
    for charset, text in (('iso-2022-jp', 'こんにちは'), ('utf-16', 'wide ü'), ('koi8-r', 'Привет'),
                          ('utf-7', 'ü')):
        data = (text + ' jane.roe@home.example').encode(charset)
        part = parts_of(run, leaf(b'text/plain; charset=' + charset.encode(), data))[0]
        assert part.get_content_charset() == 'utf-8'
        assert cleaner.part_text(part).strip() == text + ' shop@relay.example', charset


def labels_mean_what_clients_mean_by_them(run):
    """Standards' names stand for vendors' supersets, and there are names that no standard knows."""
    for label, text, codec in (
            ('ks_c_5601-1987', '안녕 똠방각하', 'cp949'), ('EUC-KR', '똠방각하', 'cp949'),
            ('gb2312', '朱镕基 ①', 'gbk'), ('x-gbk', '你好', 'gbk'), ('big5', '碁銹 €', 'cp950'),
            ('shift_jis', 'ｶﾅ ①髙', 'cp932'), ('x-sjis', 'こんにちは', 'cp932'),
            ('euc-jp', '①', 'euc_jis_2004'), ('iso-8859-1', '“5 €” – it’s', 'cp1252'),
            ('us-ascii', 'it’s', 'cp1252'), ('us-ascii', 'it’s', 'utf-8'), ('', 'é', 'cp1252'),
            ('iso-8859-9', 'Ğş €', 'cp1254'), ('tis-620', 'สวัสดี €', 'cp874'),
            ('iso-8859-8-i', 'שלום', 'iso-8859-8'), ('iso-8859-6-e', 'سلام', 'iso-8859-6'),
            ('win-1251', 'Привет', 'cp1251'), ('x-cp1251', 'Привет', 'cp1251'),
            ('cp-850', 'é', 'cp850'), ('x-mac-roman', 'é', 'mac_roman'),
            ('unicode-1-1-utf-7', 'é', 'utf-7'), ('utf8mb4', 'é', 'utf-8'),
            ('iso-2022-jp', 'かな 漢字 and', 'iso-2022-jp'),
            ('iso-2022-jp', '丂', 'iso-2022-jp-1'), ('no-such', 'é €', 'utf-8')):
        changed_reads(run, label, text.encode(codec) + ' jane.roe@home.example'.encode(codec), text)
    for data, text in ((b'\x1b$B-!|b\x1b(B', '①髙'), (b'\x1b(I6E\x1b(J', 'ｶﾅ')):
        changed_reads(run, 'iso-2022-jp', data + b' jane.roe@home.example', text)


def changed_reads(run, label, data, text):
    for kind in ('plain', 'html'):
        kind = 'text/%s%s' % (kind, '; charset="%s"' % label if label else '')
        part = parts_of(run, leaf(kind.encode(), data))[0]
        got = cleaner.part_text(part)
        assert part.get_content_charset() == 'utf-8', kind
        assert got.strip() == text + ' shop@relay.example', (kind, text, got)


def words_of_the_header_are_read_alike(run):
    for label, text, codec in (
            ('ks_c_5601-1987', '안녕 똠방각하', 'cp949'), ('x-sjis', '①髙', 'cp932'),
            ('iso-8859-1', '5 €', 'cp1252'), ('win-1251', 'Привет', 'cp1251'),
            ('iso-8859-8-i', 'שלום', 'iso-8859-8'), ('x-gbk*zh', '朱镕基', 'gbk'),
            ('iso-2022-jp', '漢字', 'iso-2022-jp'), ('utf-8', 'é', 'utf-8')):
        word = '=?%s?B?%s?=' % (label, base64.b64encode(text.encode(codec)).decode())
        head = HEAD.replace(b'To: ', b'To: %s <' % word.encode()).replace(b'\nDate', b'>\nDate')
        message = cleaner.parse(run.clean(head + b'Subject: Re: ' + word.encode() + b'\n\nx')[0])
        assert cleaner.header_text(message['Subject']) == 'Re: ' + text, label
        assert text in cleaner.header_text(message['To']), (label, message['To'])


def no_charset_is_guessed(run):
    """Of text that nobody can read nothing is rewritten; what need not be rewritten leaves."""
    data = 'é €'.encode('cp1252')
    for label in ('no-such', 'x-unknown', '?'):
        kind = b'text/plain; charset="%s"' % label.encode()
        if label != '?':
            part = parts_of(run, leaf(kind, data))[0]
            assert part.get_payload(decode=True) == data and part.get_content_charset() == label
        for wrong in (leaf(kind, data + b' jane.roe@home.example'),
                      leaf(kind.replace(b'plain', b'html'), data)):
            try:
                parts_of(run, wrong)
            except cleaner.Refused:
                continue
            raise AssertionError(label)
        parts_of(run, leaf(kind.replace(b'plain', b'html'), b'plain'))
    part = parts_of(run, leaf(b'text/plain; charset="gb2312; x"', '你好'.encode('gbk')))[0]
    assert part.get_content_charset() == 'utf-8' and cleaner.part_text(part) == '你好'


KEY, SIGNATURE = ('-----%s PGP PUBLIC KEY BLOCK-----', '-----%s PGP SIGNATURE-----')
BASE64 = [base64.b64encode(bytes(i + k for k in range(48))).decode() for i in range(4)] + ['mQE1']


def armor_goes_and_nothing_with_it(run):
    """With its end, without, quoted, cut short; and what only talks of it."""
    def armor(what, *ends):
        return [what % 'BEGIN', 'Version: x', ''] + BASE64 + ['=Ab1d'] + [what % end for end in ends]

    for what in (KEY, SIGNATURE):
        for mark in ('', '> ', '> > '):
            for end in ('END',), ():
                block = '\n'.join(mark + line for line in armor(what, *end))
                answer_survives(run, mark + 'quoted\n' + block, what)
                answer_survives(run, '\n'.join(block.splitlines()[:5]), what)
            answer_survives(run, mark + what % 'BEGIN' + '\n', what)
        for ends in ('END',), ():
            answer_survives(run, ' '.join(armor(what, *ends)), what)
            answer_survives(run, 'It is quoted: ' + '\n'.join(armor(what, *ends)), what)
            answer_survives(run, 'It is quoted: ' + ' '.join(armor(what, *ends)), what)
        answer_survives(run, '\n'.join(armor(what) + [''] + armor(what, 'END')), what)
        for talk in ('The line %s was missing.', 'Is %s there?\nOr not?', '%s is the first line',
                     'From %s to ' + what % 'END'):
            talk %= what % 'BEGIN'
            assert talk in answer_survives(run, talk, None, (b'plain',))
            answer_survives(run, '<p>' + talk.replace(what % 'BEGIN', '<code>%s</code>' %
                                                      what % 'BEGIN'), None, (b'html',))
    signed = '-----BEGIN PGP SIGNED MESSAGE-----\n'
    for head in ('', 'Hash: SHA256\n'):
        answer_survives(run, signed + head + '\nquoted\n' + '\n'.join(armor(SIGNATURE, 'END')), '')


def answer_survives(run, text, what, kinds=(b'plain', b'html')):
    for kind in kinds:
        for turn in (str, lambda t: t.replace('\n', '\r\n')):
            body = turn(text + '\n\nMy answer.\nThanks\n-- \nx')
            if kind == b'html':
                body = body.replace('>', '&gt;') if what is not None else body
                body = '<div>%s</div>' % re.sub('\r?\n', '<br>\\g<0>', body)
            message, warned = run.clean_exactly((HEAD + b'Content-Type: text/' + kind +
                                                 b'\n\n').replace(b'\n', b'\r\n') + body.encode())
            got = cleaner.part_text(cleaner.parse(message)).replace('\r', '')
            shown = cleaner.html_read(got).text if kind == b'html' else got.splitlines()
            shown = [line.strip() for line in shown]
            assert 'My answer.' in ' '.join(shown).replace('> My', '') and 'Thanks' in shown, got
            assert ('quoted' in text) == ('quoted' in got), got
            if what is not None:
                assert 'PGP' not in got and not any(b in got for b in BASE64), (text, got)
                assert warned == ['2:1'] * len(warned) and warned
            else:
                assert not warned and 'PGP' in got
    return got


def flowed_text_stays_flowed(run):
    text = 'a line that \r\ngoes on\r\n\r\n> quoted \r\n> too\r\n-- \r\nme\r\n'
    part = parts_of(run, leaf(b'text/plain; charset=utf-8; format=flowed; delsp=yes',
                              text.encode(), encode=False))[0]
    assert part.get_param('format') == 'flowed' and part.get_param('delsp') == 'yes'
    assert cleaner.part_text(part) == text


def attachments_pass_byte_for_byte(run):
    chance = random.Random(1)
    for size in (0, 1, 2, 3, 56, 57, 58, 1000, 65535, 65536, 65537, 200001):
        data = bytes(chance.randrange(256) for _ in range(size))
        part = parts_of(run, mixed(leaf(b'text/plain', b'hi'), leaf(
            b'application/zip; name=x.zip', data,
            b'Content-Disposition: attachment; filename=x.zip\n')))[2]
        assert part.get_payload(decode=True) == data, size
        assert part.get_filename() == 'x.zip'
    for kind in (b'text/csv', b'text/html', b'text/x-patch', b'application/json'):
        data = b'<!-- kept -->\n"a","b"\r\nmixed ends\n\xff\x00'
        part = parts_of(run, mixed(leaf(kind, data, b'Content-Disposition: attachment; '
                                                    b'filename=x.dat\n'), leaf(b'text/plain', b'')))[1]
        assert part.get_payload(decode=True) == data, kind


def names_survive_in_any_script(run):
    for name in ('plan.pdf', 'Übersicht für März.pdf', '日本語のとても長い名前のファイル' * 3 + '.pdf',
                 "it's 100 %.pdf"):
        coded = '=?utf-8?B?%s?=' % base64.b64encode(name.encode()).decode()
        part = parts_of(run, leaf(b'application/pdf', b'x', (
            'Content-Disposition: attachment; filename="%s"\n' % coded).encode()))[0]
        want = name if len(name.encode()) <= 200 else name.encode()[:200].decode('utf-8', 'ignore')
        assert part.get_filename() == want, (name, part.get_filename())


def pictures_meet_their_links(run):
    page = b'<p>hi</p><img src="cid:pic%40home.example"><img src=cid:other@x><a href="#end">x</a>' \
           b'<h1 id=end>x</h1>'
    root, _, html, one, two = parts_of(run, mixed(
        b'Content-Type: multipart/alternative; boundary=c\n\n--c\n' +
        leaf(b'text/html; charset=utf-8', page) + b'\n--c--\n',
        leaf(b'image/png', b'one', b'Content-ID: <pic@home.example>\n'),
        leaf(b'image/png', b'two', b'Content-ID: <other@x>\n'), kind=b'related',
        extra=b'; start="<nobody@home.example>"; type="multipart/alternative"'))
    assert root.get_param('start').endswith('@relay.example>')
    reader = cleaner.html_read(cleaner.part_text(html))
    links = [attributes['src'][4:] for tag, attributes in reader.tags if tag == 'img']
    assert ['<%s>' % link for link in links] == [one['Content-ID'], two['Content-ID']]
    anchors = [a.get('href', '')[1:] or a.get('id') for t, a in reader.tags if t in ('a', 'h1')]
    assert anchors[0] == anchors[1]


def styles_still_meet_their_elements(run):
    page = b'<style>.MsoNormal, #x > p.b:hover { color: #abc; margin: .5em }\n' \
           b'@media (max-width: 9px) { .b { color: red } }</style><p class="MsoNormal b" id=x>y</p>'
    text = cleaner.part_text(parts_of(run, leaf(b'text/html', page))[0])
    reader = cleaner.html_read(text)
    attributes = dict(reader.tags)['p']
    first, second = attributes['class'].split()
    style = ''.join(reader.text)
    assert '.%s, #%s > p.%s:hover { color: #abc; margin: .5em }' % (first, attributes['id'],
                                                                   second) in style, style
    assert '.%s { color: red }' % second in style and 'Mso' not in text


def odd_text_takes_no_longer_than_other_text(run):
    """Each would be slow if something were searched again from every character."""
    for unit in (b' ', b'\t>', b'jane.roe+', b'<', b'<a ', b'<a "', b'&#0', b'%25', b'r-a', b'cid: ',
                 b'Jane Roe ', b'\xe2\x80\x8b', b'/*', b'<style>', b'<p title="', b' \r\n'):
        for kind in (b'plain; format=flowed; delsp=yes', b'html'):
            text = unit * (100000 // len(unit))
            start = time.monotonic()
            run.clean_exactly((HEAD + b'Content-Type: text/' + kind + b'; charset=utf-8\n'
                               b'Content-Transfer-Encoding: base64\n\n').replace(b'\n', b'\r\n') +
                              base64.encodebytes(text).replace(b'\n', b'\r\n'))
            assert time.monotonic() - start < 20, (unit, kind, time.monotonic() - start)


def a_big_attachment_stays_in_bounds(program):
    """In a process of its own, started before this one holds the message."""
    run = cleaner.Cleaner(program, {**os.environ, 'ASAN_OPTIONS': 'quarantine_size_mb=1'})
    data = os.urandom(25 * 1000 * 1000)
    raw = HEAD.replace(b'\n', b'\r\n') + mixed(
        leaf(b'text/plain', b'see'), leaf(b'application/pdf', data)).replace(b'\n', b'\r\n')
    message, _ = run.clean_exactly(raw)
    assert list(cleaner.parse(message).walk())[2].get_payload(decode=True) == data
    with open('/proc/%d/status' % run.process.pid, encoding='ascii') as status:
        peak = int(re.search(r'VmHWM:\s*(\d+) kB', status.read()).group(1)) * 1024
    run.close()
    print('25 MB attached: %d MB in, peak %d MB' % (len(raw) // 1000000, peak // 1000000))
    assert peak < 4.5 * len(raw)


def words(raw):
    """The words of all text parts and text of HTML; what is dropped by rule aside."""
    counted = collections.Counter()
    for part in cleaner.parse(raw).walk():
        if part.get_content_maintype() != 'text' or part.is_multipart():
            continue
        if 'text' not in str(part['Content-Type'] or 'text').lower():
            continue  # unreadable: text to some readers, a file to others
        if part.get_content_type() not in ('text/plain', 'text/html'):
            continue
        text = re.sub('(?s)-----BEGIN PGP (PUBLIC KEY BLOCK|SIGNATURE)-----.*?-----END PGP \\1-----',
                      '', cleaner.part_text(part))
        text = re.sub('-----BEGIN PGP SIGNED MESSAGE-----(.|\n)*?\n\r?\n', '', text)
        if part.get_content_type() == 'text/html':
            text = re.sub('(?is)<(script|style|xml|title)\\b.*?</\\1[^>]*>', ' ', text)
            text = ' '.join(cleaner.html_read(text).text)
        counted.update(re.findall(r'\w{3,}', text))
    return counted


def is_odd(raw):
    parts = list(cleaner.parse(raw).walk())
    for part in parts:
        if not part.is_multipart():
            part.get_payload(decode=True)
            try:
                codecs.lookup(part.get_content_charset() or 'utf-8')
            except LookupError:
                return True
    return any(part.defects or len(part.get_all('Content-Type', [])) > 1 for part in parts)


def corpus_loses_no_text(run):
    if not os.path.exists(CORPUS):
        print('No corpus of real mail beside the checkout: its text is not compared.')
        return
    clean, odd, refused, lossy = 0, 0, collections.Counter(), []
    with tarfile.open(CORPUS) as archive:
        for member in archive:
            if not member.isfile():
                continue
            raw = archive.extractfile(member).read().replace(b'\r\n', b'\n')
            header, _, body = raw.partition(b'\n\n')
            header = re.sub(rb'(?im)^(From|To|Cc)[ \t]*:.*\n([ \t].*\n)*', b'', header + b'\n')
            raw = header + b'\n' + body
            if is_odd(raw):
                odd += 1  # readers disagree about what is its text
                continue
            try:
                message, _ = run.clean(raw)
            except cleaner.Refused as refusal:
                refused[str(refusal).split(':')[0:2][-1]] += 1
                continue
            clean += 1
            lost = words(raw) - words(message)
            if sum(lost.values()) > WORDS_LOST_MAX * sum(words(raw).values()):
                lossy.append((member.name, sum(lost.values()), lost.most_common(4)))
    for line in lossy:
        print('lost', *line)
    print('corpus: %d cleaned, %d malformed, refused %s, %d lost words'
          % (clean, odd, dict(refused), len(lossy)))
    assert clean > 600 and not lossy


def main(program):
    run = cleaner.Cleaner(program)
    cases = [text_keeps_bytes_and_charset, changed_text_is_utf8,
             labels_mean_what_clients_mean_by_them, no_charset_is_guessed,
             words_of_the_header_are_read_alike,
             armor_goes_and_nothing_with_it, flowed_text_stays_flowed, attachments_pass_byte_for_byte, names_survive_in_any_script,
             pictures_meet_their_links, styles_still_meet_their_elements,
             odd_text_takes_no_longer_than_other_text, corpus_loses_no_text]
    failed = 0
    for case in cases:
        try:
            case(run)
        except (AssertionError, cleaner.Refused) as reason:
            failed += 1
            print('%s: %r' % (case.__name__, reason))
    run.close()
    try:
        a_big_attachment_stays_in_bounds(program)
    except (AssertionError, cleaner.Refused) as reason:
        failed += 1
        print('a_big_attachment_stays_in_bounds: %r' % reason)
    print('%d cases, %d failed' % (len(cases) + 1, failed))
    return 1 if failed else 0


if __name__ == '__main__':
    sys.exit(main(sys.argv[1]))
