# SPDX-License-Identifier: GPL-3.0-or-later
"""Just enough DER to put into a CMS structure what openssl cms has no option for."""

SEQUENCE, SET = 0x30, 0x31


def element(tag, *contents):
    body = b''.join(contents)
    length = len(body)
    if length < 0x80:
        return bytes((tag, length)) + body
    coded = length.to_bytes((length.bit_length() + 7) // 8, 'big')
    return bytes((tag, 0x80 | len(coded))) + coded + body


def children(data):
    """(tag, contents) of the elements that follow each other in data."""
    found = []
    while data:
        length, head = data[1], 2
        if length & 0x80:
            head += length & 0x7f
            length = int.from_bytes(data[2:head], 'big')
        found.append((data[0], data[head:head + length]))
        data = data[head + length:]
    return found


def oid(text):
    numbers = [int(word) for word in text.split('.')]
    body = bytes((numbers[0] * 40 + numbers[1],))
    for number in numbers[2:]:
        coded = [number & 0x7f]
        while number > 0x7f:
            number >>= 7
            coded.append(0x80 | number & 0x7f)
        body += bytes(reversed(coded))
    return element(0x06, body)


def attribute(kind, text):
    """An Attribute with one UTF8String."""
    return element(SEQUENCE, oid(kind), element(SET, element(0x0c, text.encode())))


def content(info):
    """What a ContentInfo holds: (its type's element, children of the content's SEQUENCE)."""
    parts = children(children(info)[0][1])
    return element(*parts[0]), children(children(parts[1][1])[0][1])


def info(kind, parts):
    return element(SEQUENCE, kind, element(0xa0, element(SEQUENCE, *(element(*p) for p in parts))))


def with_unsigned_attribute(signed, one):
    """A SignedData whose signer has an unsigned attribute."""
    kind, parts = content(signed)
    signers = children(parts[-1][1])
    tag, body = signers[0]
    parts[-1] = (SET, element(tag, body, element(0xa1, one)))
    return info(kind, parts)


def with_originator(enveloped, certificate, attribute_more):
    """An EnvelopedData with originator info and an unprotected attribute."""
    kind, parts = content(enveloped)
    parts[0] = (0x02, b'\x02')
    parts.insert(1, (0xa0, element(0xa0, certificate)))
    parts.append((0xa1, attribute_more))
    return info(kind, parts)
