# SPDX-License-Identifier: GPL-3.0-or-later
"""Clean messages through the test program, and read what came out with Python's own decoders."""
import base64
import email
import email.header
import email.policy
import html
import html.parser
import re
import subprocess
import urllib.parse


class Refused(Exception):
    """Status "ERR_REFUSED:reason:part" of a message that did not leave."""


class Cleaner:
    """One run of the test program; messages go through it one after the other."""

    def __init__(self, program, env=None):
        self.process = subprocess.Popen([program], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                        env=env)

    def clean(self, raw):
        """(cleaned message, warnings as "kind:part")"""
        raw = raw.replace(b'\r\n', b'\n').replace(b'\n', b'\r\n')
        return self.clean_exactly(raw)

    def clean_exactly(self, raw):
        self.process.stdin.write(b'%d\n' % len(raw))
        self.process.stdin.write(raw)
        self.process.stdin.flush()
        line = self.process.stdout.readline().decode().split()
        if not line:
            raise RuntimeError('the cleaner died')
        if line[0] != 'ok':
            raise Refused(line[0])
        return self.process.stdout.read(int(line[1])), line[2:]

    def close(self):
        self.process.stdin.close()
        if self.process.wait() != 0:
            raise RuntimeError('the cleaner failed')


class Html(html.parser.HTMLParser):
    """What a reader of HTML sees, and what stands in its attributes."""

    def __init__(self):
        super().__init__(convert_charrefs=True)
        self.text, self.attributes, self.tags, self.other = [], [], [], []

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        self.attributes += [value or '' for _, value in attrs] + [name for name, _ in attrs]

    def handle_data(self, data):
        self.text.append(data)

    def handle_comment(self, data):
        self.other.append(data)

    def handle_decl(self, decl):
        self.other.append(decl)


def html_read(text):
    reader = Html()
    reader.feed(text)
    reader.close()
    return reader


def parse(raw):
    return email.message_from_bytes(raw, policy=email.policy.compat32)


def header_text(value):
    try:
        return str(email.header.make_header(email.header.decode_header(str(value))))
    except (LookupError, UnicodeError):
        return str(value)


# Labels that readers take for a vendor's superset (WHATWG Encoding 4.2).
SUPERSETS = {'gb2312': 'gb18030', 'euc-kr': 'cp949', 'ks_c_5601-1987': 'cp949', 'big5': 'cp950',
             'shift_jis': 'cp932', 'iso-8859-1': 'cp1252', 'iso-8859-9': 'cp1254'}


def part_text(part):
    """A text part as a reader sees its characters."""
    data = part.get_payload(decode=True) or b''
    charset = part.get_content_charset()
    charset = SUPERSETS.get(charset, charset)
    try:
        return data.decode(charset or 'utf-8', 'replace' if charset else 'strict')
    except (LookupError, UnicodeError):
        return data.decode('cp1252', 'replace')


def decoded(raw):
    """Every text to be found in a message, with every encoding undone; (where, text)."""
    yield 'raw', raw.decode('latin-1')
    yield 'raw, unfolded', re.sub(rb'\r\n[ \t]', b'', raw).decode('latin-1')
    for found in re.finditer(rb'(?:[A-Za-z0-9+/]{40,}={0,2}\r?\n)+[A-Za-z0-9+/]*={0,2}', raw):
        text = re.sub(rb'[\r\n=]', b'', found.group())  # whatever the part around it is said to be
        yield 'base64', base64.b64decode(text[:len(text) // 4 * 4]).decode('latin-1')
    for part in parse(raw).walk():
        for name, value in part.items():
            yield 'field ' + name, name + ': ' + header_text(value)
            for key, parameter in part.get_params(header=name, unquote=True) or []:
                if isinstance(parameter, tuple):
                    parameter = urllib.parse.unquote(parameter[2], parameter[0] or 'utf-8')
                yield 'parameter ' + key, header_text(parameter)
        if part.get_filename():
            yield 'file name', header_text(part.get_filename())
        if part.is_multipart():
            continue
        data = part.get_payload(decode=True) or b''
        yield part.get_content_type(), data.decode('latin-1')
        yield part.get_content_type(), part_text(part)
        if part.get_content_maintype() == 'text':
            yield 'unfolded', re.sub(r'\r?\n[ \t]', '', part_text(part))
            yield 'delsp', re.sub(r' \r?\n(>* ?)', '', part_text(part))
            reader = html_read(part_text(part))
            yield 'text of html', ''.join(reader.text)
            for value in reader.attributes + reader.other:
                yield 'attribute', value


def spellings(text):
    """The text, and what is left of it when escapes and invisible characters are undone."""
    yield text
    for _ in range(3):
        text = html.unescape(urllib.parse.unquote(text))
        yield text
    plain = re.sub('[\u00ad\u200b-\u200f\u2060\ufeff]', '', text)
    yield plain.replace('\uff20', '@')
    for label in re.findall(r'xn--[a-z0-9-]+', plain.lower()):
        try:
            yield plain.lower().replace(label, label.encode().decode('idna'))
        except UnicodeError:
            pass


def found(raw, words):
    """Which of the words are still there, and where."""
    seen = set()
    for where, text in decoded(raw):
        for spelling in spellings(text):
            lower = spelling.lower()
            for word in words:
                if word in lower:
                    seen.add((word, where))
    return sorted(seen)
