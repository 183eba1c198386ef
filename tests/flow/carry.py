# SPDX-License-Identifier: GPL-3.0-or-later
"""carry.py BUILD [all] - what a user sends is what the correspondent sees: odd content, big files, and
real mail of many clients where a corpus of it lies beside the checkout, sent as replies through real
daemons. Of the corpus every sixth message unless all is asked for."""
import base64
import collections
import hashlib
import os
import re
import sys
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
for folder in ('../support', '../clean'):
    sys.path.insert(0, os.path.join(HERE, folder))
import cleaner
import corpus
import correspondence as w
import mail
import relay
import replies
import sink
import survive

CASES = []
CORPUS = os.path.join(os.path.dirname(relay.TOP), 'shared/corpus/messages.tar.gz')
BIG_BYTES = 20 * 1000 * 1000
SEEN_ELSEWHERE = ('message', 'multipart')
OTHERS = {'application/pgp-signature', 'application/pkcs7-signature', 'application/pgp-keys',
          'application/x-pkcs7-signature', 'text/x-amp-html', 'text/rfc822-headers',
          'signature/plain', 'application/ics', 'application/pkcs7-mime', 'application/x-pkcs7-mime', 'application/applefile'}


def case(function):
    CASES.append(function)
    return function


def parts(message):
    return [part for part in cleaner.parse(message).walk() if not part.is_multipart()]


def seven_bit(message):
    assert max(message) < 0x7f and max(map(len, message.split(b'\r\n'))) <= 998
    return message


def got(r, talk, entity):
    return parts(seven_bit(w.reply(r, talk, entity).message))


def text(charset, data, coding='8bit', more=b''):
    return b'Content-Type: text/plain; charset=' + charset + more + \
        b'\nContent-Transfer-Encoding: ' + coding.encode() + b'\n\n' + data


def mixed(*entities):
    return b'Content-Type: multipart/mixed; boundary=b\n\n' + b''.join(
        b'--b\n' + entity + b'\n' for entity in entities) + b'--b--\n'


def attachment(data, name='x.bin'):
    return ('Content-Type: application/octet-stream\nContent-Disposition: attachment; filename="%s"\n'
            'Content-Transfer-Encoding: base64\n\n' % name).encode() + base64.encodebytes(data)


@case
def text_of_any_kind_arrives_as_it_was_through_a_server_that_takes_ascii_alone(r):
    talk = w.Talk(r)
    odd = '. dot\n.\nFrom here\n  blanks  \n\ttab\t\n-- \nJane \U0001f44b \u05e9\u05dc\u05d5\u05dd \u65e5\u672c\n'
    rows = {
        '8-bit UTF-8': (text(b'utf-8', odd.encode()), odd),
        'flowed': (text(b'utf-8', odd.encode(), more=b'; format=flowed'), odd),
        'one line of 5,000': (text(b'utf-8', 'ä'.encode() * 5000), 'ä' * 5000),
        'lines of 998 and 999': (text(b'us-ascii', b'a' * 998 + b'\n' + b'b' * 999 + b'\n'),
                                 'a' * 998 + '\n' + 'b' * 999 + '\n'),
        'empty': (text(b'utf-8', b''), ''),
        'only blank lines': (text(b'utf-8', b'\n\n\n'), '\n\n\n'),
        'byte order mark': (text(b'utf-8', '\ufeffbom\n'.encode()), '\ufeffbom\n'),
        'UTF-16': (text(b'utf-16', base64.encodebytes('wide \u00fc\n'.encode('utf-16')), 'base64'),
                   'wide \u00fc\n'),
        'ISO-2022-JP': (text(b'iso-2022-jp', '\u65e5\u672c\n'.encode('iso-2022-jp'), '7bit'),
                        '\u65e5\u672c\n'),
        'windows-1252': (text(b'windows-1252', '\u201cquoted\u201d\n'.encode('cp1252')),
                         '\u201cquoted\u201d\n'),
        'binary': (text(b'utf-8', odd.encode(), 'binary'), odd),
    }
    r.sink.offers = sink.BARE
    try:
        for name, (entity, want) in rows.items():
            data = replies.message(w.fields(talk.reverse), r.client.encrypt(
                r.client.sign(mail.to_crlf(entity), '-binary'), [talk.cert], '-aes256', '-binary'))
            answer = w.post(r, [talk.reverse], data)
            assert answer.startswith('250'), (name, answer)
            found = parts(seven_bit(r.sink.take(talk.address).message))
            assert len(found) == 1, name
            seen = cleaner.part_text(found[0]).replace('\r\n', '\n')
            assert seen.rstrip('\n') == want.rstrip('\n'), (name, seen[:200])
            assert ('flowed' in name) == (found[0].get_param('format') == 'flowed'), name
    finally:
        r.sink.offers = sink.OFFERS


@case
def files_arrive_byte_for_byte_under_their_names(r):
    talk = w.Talk(r)
    every = bytes(range(256)) * 40
    for name in ('plan.pdf', 'Übersicht März.pdf', '日本語の名前.zip', "it's 100 %.txt"):
        coded = '=?utf-8?B?%s?=' % base64.b64encode(name.encode()).decode()
        found = got(r, talk, mixed(attachment(every, coded)))
        assert [part.get_payload(decode=True) for part in found] == [every], name
        assert cleaner.header_text(found[0].get_filename()) == name, found[0].get_filename()
    found = got(r, talk, mixed(attachment(b''), attachment(b'\n'), attachment(b'\r\n.\r\n')))
    assert [part.get_payload(decode=True) for part in found] == [b'', b'\n', b'\r\n.\r\n']


def peak_bytes(r):
    with open('/proc/%d/status' % r.pid('sealrelayd'), encoding='ascii') as status:
        return int(re.search(r'VmHWM:\s*(\d+) kB', status.read()).group(1)) * 1024


@case
def a_big_file_passes_in_memory_that_is_bounded(r):
    talk = w.Talk(r)
    data = os.urandom(BIG_BYTES)
    r.configure('sealrelayd', 'limits', 'message_size = 40M')
    os.environ['ASAN_OPTIONS'] = 'quarantine_size_mb=1'  # what is freed is not in use
    r.restart('sealrelayd')
    before = peak_bytes(r)
    message = replies.message(w.fields(talk.reverse), r.client.sealed(
        mixed(text(b'utf-8', b'see\n', '7bit'), attachment(data)), [talk.cert]))
    for _ in range(3):  # on a busy machine its twenty seconds may pass: then a client comes again
        answer = w.post(r, [talk.reverse], message)
        if not answer.startswith('451'):
            break
    assert answer.startswith('250'), answer
    found = parts(r.sink.take(talk.address, 120).message)
    assert found[1].get_payload(decode=True) == data
    used = peak_bytes(r) - before
    print('    %d MB as sent, %d MB of memory' % (len(message) // 1000000, used // 1000000))
    assert used < 6 * len(message), used


# ---- real mail ----

def shown(part):
    """A text part as its reader sees it: characters, blanks aside."""
    seen = re.sub('(?s)-----BEGIN PGP (PUBLIC KEY BLOCK|SIGNATURE)-----.*?-----END PGP \\1-----', '',
                  cleaner.part_text(part))  # which leave the text, as they name their owner
    seen = re.sub('-----BEGIN PGP SIGNED MESSAGE-----(.|\n)*?\n\r?\n', '', seen)
    if part.get_content_type() == 'text/html':
        seen = re.sub(r'(?is)<(script|style|xml|title|template)\b.*?</\1[^>]*>|<!--.*?-->', '', seen)
        seen = ''.join(cleaner.html_read(seen).text)
    return re.sub(r'[\s\x00\ufeff\ufffd]+', '', seen)


def content(message):
    """(texts as they are seen, digests of files, ids that pictures have, ids that pages show)"""
    texts, files, have, want = collections.Counter(), collections.Counter(), set(), set()
    for part in parts(message):
        kind = part.get_content_type()
        if part['Content-ID']:
            have.add(part['Content-ID'].strip().strip('<>'))
        if 'text' not in str(part['Content-Type'] or 'text').lower() and kind == 'text/plain':
            continue  # unreadable: text to some readers, a file to others
        if kind in ('text/plain', 'text/html'):
            texts[shown(part)] += 1
            texts.pop('', None)  # an empty part may be left out
        if kind == 'text/html':
            want |= set(re.findall(r'(?i)src=["\']?cid:([^"\'> ]+)', cleaner.part_text(part)))
        elif part.get_content_maintype() not in SEEN_ELSEWHERE + ('text',) and kind not in OTHERS:
            files[hashlib.sha256(part.get_payload(decode=True) or b'').hexdigest()] += 1
    return texts, files, have, want


def as_reply(raw, talk):
    """A message as the user's own to one correspondent."""
    raw = re.sub(rb'\AFrom [^\n]*\n', b'', raw.replace(b'\r\n', b'\n'))
    header, _, body = raw.partition(b'\n\n')
    header = re.sub(rb'(?im)^(From|To|Cc|Date|Message-ID|Subject|Received|In-Reply-To|References)[ \t]*:'
                    rb'.*\n([ \t].*\n)*', b'', header + b'\n')
    return mail.to_crlf(w.fields(talk.reverse) + header + b'\n' + body)


def is_odd(message):
    """Do readers disagree about what is its content?"""
    for part in parts(message):
        data = part.get_payload(decode=True) or b''
        if part.get_content_charset() == 'us-ascii' and max(data, default=0) > 0x7f:
            return True
        if re.search(r'[ \t]$', part.get('Content-Transfer-Encoding', '')):
            return True
    return survive.is_odd(message)


def compare(name, sent, came):
    texts, files, have, want = content(sent)
    new_texts, new_files, new_have, new_want = content(came)
    wrong = []
    if texts - new_texts:
        wrong.append('%s: text %s' % (name, str(list((texts - new_texts)))[:300]))
    if files - new_files:
        wrong.append('%s: %d files' % (name, len(files - new_files)))
    if len(want & have) != len(new_want & new_have):
        wrong.append('%s: pictures %s' % (name, want & have))
    return wrong


def carry(r, every):
    talk = w.Talk(r)
    w.policy(r, '--reply-signature', 'waived', '--plain', 'yes')
    sent, odd, refused, wrong = 0, 0, collections.Counter(), []
    for name, raw in corpus.messages([CORPUS], every):
        data = as_reply(raw, talk)
        if is_odd(data):
            odd += 1
            continue
        answer = w.post(r, [talk.reverse], data)
        if not answer.startswith('250'):
            refused[answer[:60]] += 1
            if '5.6.0' not in answer:
                print('    %s: %s' % (name, answer))
            continue
        sent += 1
        came = r.sink.take(talk.address).message
        wrong += compare(name, data, seven_bit(came))
        wrong += ['%s: %s' % (name, word) for word, _ in cleaner.found(
            came, ['jane.roe', 'home.example', 'client.example.org'])]
    w.policy(r)
    print('    %d messages, %d malformed, %d differ, refused: %s' % (
        sent, odd, len(wrong), dict(refused)))
    for line in wrong:
        print('    ' + line)
    return sent, wrong


def real_mail_looks_the_same_to_its_reader(r):
    if not os.path.exists(CORPUS):
        print('    no corpus of real mail beside the checkout: nothing is sent of it')
        return
    every = 1 if r.all else 6
    sent, wrong = carry(r, every)
    assert sent > 400 / every and not wrong, wrong[:5]


CASES.append(real_mail_looks_the_same_to_its_reader)


def main(build, names):
    with relay.Relay(build, {'RAISED': 'yes'}) as r, tempfile.TemporaryDirectory() as folder:
        w.start(r, folder)
        r.all = 'all' in names
        names = [name for name in names if name != 'all']
        return w.run(r, [c for c in CASES if not names or c.__name__ in names])


if __name__ == '__main__':
    sys.exit(main(sys.argv[1], sys.argv[2:]))
