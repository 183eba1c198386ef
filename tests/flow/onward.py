# SPDX-License-Identifier: GPL-3.0-or-later
"""Senders' own signatures and certificates, and first contact, through real daemons: what is told
of a signature, which certificates are kept, what the operator does with them, who is greeted."""
import base64
import os
import re
import subprocess
import sys
import tarfile
import tempfile
import time
import uuid

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '../support'))
import forward
import judge
import mail
import relay
import stranger

CASES = []
WORLD = {}
ENTITY = b'Content-Type: text/plain; charset=us-ascii\r\n\r\nThe parts are on their way.\r\n'
LONG = ENTITY + 10 ** 5 * (71 * b'x' + b'\r\n')
CORPUS = os.path.join(relay.TOP, '../shared/corpus/attack-crypto.tar.gz')


def case(function):
    CASES.append(function)
    return function


def world(r):
    """Two authorities, of which the relay trusts one, and strangers they know."""
    if not WORLD:
        folder = tempfile.mkdtemp(dir=r.user_folder)
        ours = WORLD['ca'] = stranger.Authority(folder, 'Test Mail CA')
        other = stranger.Authority(folder, 'Other CA')
        WORLD.update(folder=folder, bob=ours.issue('bob@shop.example.net'),
                     eve=ours.issue('eve@evil.example.org'),
                     old=ours.issue('bob@shop.example.net', 'old', days=-1),
                     weak=ours.issue('bob@shop.example.net', 'weak', key='rsa:1024'),
                     foreign=other.issue('bob@shop.example.net', 'foreign'),
                     curve=ours.issue('curve@shop.example.net', key='P-256',
                                      usage='digitalSignature,keyAgreement'),
                     signs=ours.issue('signs@shop.example.net', usage='digitalSignature'))
        r.configure('sealrelayd', 'smime', 'trust = ' + ours.cert)
        r.restart('sealrelayd')
    return WORLD


def letter(entity, sender='Bob <bob@shop.example.net>', extra=b''):
    return (b'From: ' + sender.encode() + b'\r\nTo: <shop@relay.example.com>\r\nSubject: test\r\n'
            b'Message-ID: <' + uuid.uuid4().hex.encode() + b'@client.example.net>\r\n'
            b'Date: Sun, 22 Nov 2026 10:00:00 +0000\r\n' + extra + entity)


def told(r, data):
    """What the relay tells the user of a message's signature. Its content is judged, too."""
    _, _, entity = forward.deliver(r, data)
    lines = re.findall(rb'^Sealrelay-Signature: (.*?)\r$', mail.split(entity)[0], re.MULTILINE)
    assert len(lines) == 1, lines
    return lines[0].decode()


def shown(r, who):
    rows = r.sealctl('correspondent', 'show', who)
    assert len(rows) == 1, rows
    return rows[0]


def refused(r, *words):
    done = subprocess.run(r.facts['sealctl'].split() + list(words), capture_output=True,
                          check=False)
    assert done.returncode != 0, words
    return done.stderr.decode()


def confused(w):
    """A detached signature that carries content of its own, and stands beside other content."""
    whole = w['bob'].sign(ENTITY)
    boundary = re.search(rb'boundary="([^"]+)"', whole).group(1)
    opaque = mail.split(w['bob'].sign(ENTITY, detached=False))[1]
    return re.sub(rb'(smime\.p7s"\r\n\r\n).*?(\r\n--' + re.escape(boundary) + rb'--)',
                  lambda m: m.group(1) + opaque.rstrip() + m.group(2),
                  whole.replace(b'The parts', b'No parts'), flags=re.DOTALL)


@case
def a_signature_is_told_as_what_it_is(r):
    w = world(r)
    bob, signed = w['bob'], w['bob'].sign(ENTITY)
    good = 'good; by=Test Mail CA'
    rows = [
        ('not signed', ENTITY, {}, 'none'),
        ('detached', signed, {}, good),
        ('opaque', bob.sign(ENTITY, detached=False), {}, good),
        ('PSS', bob.sign(ENTITY, '-keyopt', 'rsa_padding_mode:pss'), {}, good),
        ('SHA-512', bob.sign(ENTITY, '-md', 'sha512'), {}, good),
        ('EC', w['curve'].sign(ENTITY), {'sender': 'curve@shop.example.net'}, good),
        ('other case in From', signed, {'sender': 'BOB@Shop.Example.Net'}, good),
        ('altered', signed.replace(b'The parts', b'No parts'), {}, 'bad'),
        ('eContent confusion', confused(w), {}, 'bad'),
        ('two signers', bob.sign(ENTITY, second=w['eve']), {}, 'bad'),
        ('two signers, both From', bob.sign(ENTITY, second=w['foreign']), {}, 'bad'),
        ('SHA-1', bob.sign(ENTITY, '-md', 'sha1'), {}, 'bad'),
        ('no signed attributes', bob.sign(ENTITY, '-noattr'), {}, 'bad'),
        ('RSA of 1024 bits', w['weak'].sign(ENTITY), {}, 'bad'),
        ('expired', w['old'].sign(ENTITY), {}, 'bad'),
        ('not From', w['eve'].sign(ENTITY), {}, 'bad'),
        ('From is a display name', w['eve'].sign(ENTITY),
         {'sender': '"eve@evil.example.org" <bob@shop.example.net>'}, 'bad'),
        ('two mailboxes in From', signed,
         {'sender': 'bob@shop.example.net, eve@evil.example.org'}, 'bad'),
        ('Sender, not From', w['eve'].sign(ENTITY),
         {'extra': b'Sender: eve@evil.example.org\r\n'}, 'bad'),
        ('issuer nobody trusts', w['foreign'].sign(ENTITY), {}, 'unknown-issuer'),
        ('certificate left out', bob.sign(ENTITY, '-nocerts'), {}, 'unknown-issuer'),
        ('a claim of the sender', ENTITY,
         {'extra': b'Sealrelay-Signature: good; by=Test Mail CA\r\n'}, 'none'),
        ('encrypted', b'Content-Type: application/pkcs7-mime; smime-type=enveloped-data\r\n'
         b'Content-Transfer-Encoding: base64\r\n\r\n' + base64.encodebytes(stranger.openssl(
             'cms', '-encrypt', '-aes256', '-outform', 'DER', w['bob'].cert,
             data=ENTITY)).replace(b'\n', b'\r\n'), {}, 'none'),
        ('certificates alone', b'Content-Type: application/pkcs7-mime; smime-type=certs-only\r\n'
         b'Content-Transfer-Encoding: base64\r\n\r\n' + base64.encodebytes(stranger.openssl(
             'crl2pkcs7', '-nocrl', '-certfile', w['bob'].cert, '-outform', 'DER')).replace(
                 b'\n', b'\r\n'), {}, 'none'),
        ('opaque, too long to look at', bob.sign(LONG, detached=False), {}, 'unchecked'),
        ('detached, as long', bob.sign(LONG), {}, good),
        ('signed below the root', b'Content-Type: multipart/mixed; boundary=x\r\n\r\n--x\r\n' +
         signed + b'\r\n--x\r\nContent-Type: text/plain\r\n\r\nmore\r\n--x--\r\n', {}, 'none'),
    ]
    for name, entity, options, want in rows:
        got = told(r, letter(entity, **options))
        assert got == want, '%s: %r' % (name, got)


@case
def only_what_is_good_is_kept_and_only_the_operator_replaces_what_was_imported(r):
    w = world(r)
    have = shown(r, 'bob@shop.example.net')['certificate']
    assert have['sha256'] == w['bob'].fingerprint() and have['source'] == 'harvested', have
    assert have['use'] == 'good' and have['key'] == 'RSA 2048', have
    assert 'Test Mail CA' in have['issuer'] and 'keyEncipherment' in have['key_usage'], have
    assert 'EC' in shown(r, 'curve@shop.example.net')['certificate']['key']
    for data in (w['foreign'].sign(ENTITY), w['old'].sign(ENTITY), w['weak'].sign(ENTITY)):
        told(r, letter(data))
    assert shown(r, 'bob@shop.example.net')['certificate'] == have
    assert told(r, letter(w['signs'].sign(ENTITY), sender='signs@shop.example.net')) == \
        'good; by=Test Mail CA'
    assert 'certificate' not in shown(r, 'signs@shop.example.net'), 'its key only signs'

    newer = w['ca'].issue('bob@shop.example.net', 'newer')
    told(r, letter(newer.sign(ENTITY)))
    assert shown(r, 'bob@shop.example.net')['certificate']['sha256'] == newer.fingerprint()
    told(r, letter(w['bob'].sign(ENTITY)))
    assert shown(r, 'bob@shop.example.net')['certificate']['sha256'] == newer.fingerprint(), \
        'an old message brought an old certificate back'

    reverse = shown(r, 'bob@shop.example.net')['reverse']
    r.sealctl('correspondent', 'import', reverse, w['foreign'].cert)
    told(r, letter(w['ca'].issue('bob@shop.example.net', 'newest').sign(ENTITY)))
    have = shown(r, reverse)['certificate']
    assert have['sha256'] == w['foreign'].fingerprint() and have['source'] == 'imported', have
    r.sealctl('correspondent', 'forget-certificate', reverse, '--yes')
    assert 'certificate' not in shown(r, reverse)
    told(r, letter(newer.sign(ENTITY)))
    assert shown(r, reverse)['certificate']['sha256'] == newer.fingerprint()


ASKS = ('-----BEGIN CERTIFICATE-----\nProc-Type: 4,ENCRYPTED\nDEK-Info: AES-128-CBC,'
        '00112233445566778899AABBCCDDEEFF\n\nMAMCAQE=\n-----END CERTIFICATE-----\n')


@case
def a_certificate_that_does_not_fit_is_not_imported(r):
    w = world(r)
    reverse = shown(r, 'bob@shop.example.net')['reverse']
    before = shown(r, reverse)
    odd = w['ca'].issue('bob@shop.example.net', 'odd',
                        purpose='emailProtection\n1.2.3.4=critical,ASN1:NULL')

    def text_of(path):
        with open(path, encoding='ascii') as file:
            return file.read()

    def with_text(name, text):
        path = os.path.join(w['folder'], name)
        with open(path, 'w', encoding='ascii') as file:
            file.write(text)
        return path
    for name, path, why in (('old', w['old'].cert, 'expired'), ('weak', w['weak'].cert, 'RSA'),
                            ('eve', w['eve'].cert, 'does not name'),
                            ('CA', w['ca'].cert, 'authority'),
                            ('odd', odd.cert, 'critical extension'),
                            ('a key', w['bob'].key, 'private key'),
                            ('a key with it', with_text('key.pem', text_of(w['bob'].cert) +
                                                        text_of(w['bob'].key)), 'private key'),
                            ('encrypted', with_text('asks.pem', ASKS), 'PEM')):
        text = refused(r, 'correspondent', 'import', reverse, path)
        assert why in text, (name, text)
    only_signs = shown(r, 'signs@shop.example.net')['reverse']
    assert 'key usage' in refused(r, 'correspondent', 'import', only_signs, w['signs'].cert)
    refused(r, 'correspondent', 'import', 'r-abcdefghijklmnop@relay.example.com', w['bob'].cert)
    refused(r, 'correspondent', 'show', 'nobody@shop.example.net')
    assert shown(r, reverse) == before
    for word in (b'bob@shop.example.net', w['bob'].fingerprint().encode()):
        assert not r.found_in_clear(word, next_hop_too=False) or \
            all('/etc/' in path for path in r.found_in_clear(word, next_hop_too=False)), word


@case
def attack_samples_are_never_good(r):
    if not os.path.exists(CORPUS):
        print('No attack samples beside the checkout (%s): nothing judged.' % CORPUS)
        return
    counts = {}
    with tarfile.open(CORPUS) as archive:
        for member in archive:
            if not member.name.endswith('.eml') or 'smime' not in member.name + \
                    ('smime' if '01-cms' in member.name else ''):
                continue
            data = mail.to_crlf(archive.extractfile(member).read())
            if b'\0' in data or re.search(rb'\r(?!\n)', data):
                continue
            code, _ = forward.answer(r, [r.alias], data)
            got = code
            if code == 250:
                found = r.inbox.wait()
                with open(found[0], 'rb') as file:
                    entity, _ = r.user.open(mail.to_crlf(file.read()))
                got = mail.field_value(mail.split(entity)[0], b'Sealrelay-Signature').decode()
                assert not got.startswith('good'), '%s is %s' % (member.name, got)
            counts[got] = counts.get(got, 0) + 1
    print('    ' + ', '.join('%s: %d' % (k, v) for k, v in sorted(counts.items(), key=str)))
    assert counts.get('bad', 0) + counts.get('unknown-issuer', 0) > 5, counts


@case
def a_user_can_write_first_to_whom_the_operator_adds(r):
    made = r.sealctl('correspondent', 'add', r.alias, 'new@partner.example.org')
    found = r.inbox.wait()
    assert len(found) == 1
    with open(found[0], 'rb') as file:
        sealed = mail.to_crlf(file.read())
    assert b'partner' not in mail.split(sealed)[0]
    entity, _ = r.user.open(sealed)
    assert b'new@partner.example.org' in entity and made['reverse'].encode() in entity, entity
    assert addresses(r, sealed) == {made['reverse']}
    assert shown(r, 'new@partner.example.org')['state'] == 'ready'
    again = r.sealctl('correspondent', 'add', r.alias, 'new@partner.example.org')
    assert again == made and len(r.inbox.wait()) == 1
    for words, why in (((r.alias, 'x@relay.example.com'), 'this relay'),
                       ((r.alias, 'nobody'), 'address'),
                       (('none@relay.example.com', 'x@partner.example.org'), 'No such')):
        assert why in refused(r, 'correspondent', 'add', *words)


def addresses(r, sealed):
    """Of the certificates that came along: reverse addresses but the signer's own."""
    signed = mail.to_crlf(r.user.decrypt(sealed))
    return reverse_names(judge.signed_parts(signed)[1]) - {judge.from_address(
        mail.split(sealed)[0])}


def reverse_names(der):
    pem = stranger.openssl('pkcs7', '-inform', 'DER', '-print_certs', data=der)
    found = set()
    for cert in re.findall(rb'-----BEGIN.*?-----END CERTIFICATE-----\n', pem, re.DOTALL):
        names = stranger.openssl('x509', '-noout', '-ext', 'subjectAltName', data=cert).decode()
        found.update(re.findall(r'email:(r-[a-z2-7]{16}@\S+)', names))
    return found


def last_arrived(r):
    """Of the messages that were taken out of the mailbox, as profile() takes the greeting."""
    newest = max((os.path.join(r.inbox.path, name) for name in r.inbox.names()),
                 key=os.path.getmtime)
    with open(newest, 'rb') as file:
        return mail.to_crlf(file.read())


def greeted(user, sealed):
    """Reverse addresses whose certificates a greeting brings, and its own."""
    return reverse_names(judge.signed_parts(mail.to_crlf(user.decrypt(sealed)))[1])


@case
def a_new_profile_is_greeted_with_the_certificates_of_those_who_wrote_before(r):
    known = {row['reverse'] for row in r.sealctl('correspondent', 'list')}
    assert len(known) > 3, known
    first = r.sealctl('profile', 'list')[0]['profile']
    profile, user, _ = r.profile('alice')
    sealed = last_arrived(r)
    entity, _ = user.open(sealed)
    header, body = mail.split(entity)
    assert mail.field_value(header, b'Subject') == b'Your sealed mail is active', header
    assert mail.field_value(header, b'Auto-Submitted') == b'auto-generated'
    assert b'reply' in body and b'come with this message' in body, body
    got = greeted(user, sealed)
    assert known <= got | {None}, known - got
    assert not r.inbox.wait(1, 1), 'greeted twice'
    r.restart('sealrelayd')
    assert not r.inbox.wait(1, 1), 'greeted again at the start'
    assert first != profile


def writes(r, names):
    for name in names:
        sender = '%s@many.example.net' % name
        mail.send_retrying(r.smtp_port, sender, r.alias, letter(ENTITY, sender))
    assert len(r.inbox.wait(len(names))) == len(names)
    time.sleep(1.1)  # who was seen last is known to the second


@case
def those_who_wrote_last_come_first_and_strangers_keep_their_keys(r):
    with relay.Relay(r.build, {'USER_KEY': 'p-256', 'POOL': '64', 'RAISED': 'yes'}) as many:
        names = ['n%02d' % i for i in range(24)]
        for some in (names[:5], names[5:], names[:1]):
            writes(many, some)
        _, user, _ = many.profile('alice', '--key', 'p-256')
        reverse = {row['address'].split('@')[0]: row['reverse']
                   for row in many.sealctl('correspondent', 'list')}
        sealed = last_arrived(many)
        got = greeted(user, sealed) - {judge.from_address(mail.split(sealed)[0])}
        assert got == {reverse[name] for name in names[:1] + names[5:]}, (got, reverse)


if __name__ == '__main__':
    sys.exit(forward.main(sys.argv[1], [c for c in CASES if c.__name__ in sys.argv[2:]] or CASES))
