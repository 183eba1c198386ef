# SPDX-License-Identifier: GPL-3.0-or-later
"""Replies encrypted to correspondents' own certificates, through real daemons: a stranger signs, the
relay keeps the certificate, and what the user answers can be read by the stranger's programs alone.
What a profile wants done for the others, and what becomes of a certificate, is seen at their mailbox."""
import email
import email.policy
import os
import re
import sqlite3
import sys
import tempfile
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '../support'))
sys.path.append(os.path.join(os.path.dirname(os.path.abspath(__file__)), '../client'))
import judge
import mail
import replies
import reply
import stranger
import writers
from reply import ALIAS, arrived, good, policy, receive
from stub_rspamd import answer, symbol

CASES = []
WORLD = {}
DAY = 86400
ENTITY = b'Content-Type: text/plain; charset=us-ascii\r\n\r\nHow are you?\r\n'
FORGED = answer(symbol('DMARC_POLICY_REJECT', 'shop.example.net', 'reject'))
FIELDS = ('From', 'To', 'Subject', 'Date', 'Message-ID')


def case(function):
    CASES.append(function)
    return function


def authority(r):
    if not WORLD:
        folder = WORLD['folder'] = tempfile.mkdtemp(dir=r.user_folder)
        WORLD['ca'] = stranger.Authority(folder, 'Test Mail CA')
        WORLD['other'] = stranger.Authority(folder, 'Other CA')
        r.configure('sealrelayd', 'smime', 'trust = ' + WORLD['ca'].cert)
        r.restart('sealrelayd')
        names = ('bob', 'carol', 'dave', 'erin', 'frank', 'gina', 'hugo')
        r.next_hop.has(reply.hop.USER, *(name + '@shop.example.net' for name in names))
    return WORLD['ca']


def issue(r, name, ident=None, **how):
    return authority(r).issue(name + '@shop.example.net', ident or '%s-%d' % (name, time.time_ns()),
                              **how)


def signed_talk(r, who, entity=ENTITY):
    """A conversation whose first message its stranger has signed."""
    return reply.Conversation(r, who.address.split('@')[0], content=who.sign(entity))


def shown(r, who):
    rows = r.sealctl('correspondent', 'show', who)
    assert len(rows) == 1, rows
    return rows[0]


def is_encrypted(data):
    kind = mail.field_value(mail.split(data)[0], b'Content-Type') or b''
    return b'application/pkcs7-mime' in kind and b'enveloped-data' in kind


def parsed(data):
    return email.message_from_bytes(data, policy=email.policy.default)


def opened(talk, who, words='Hello Bob.', folder=None):
    """The next reply, decrypted by its stranger alone: (outside, inside)."""
    data = talk.box.next()
    assert is_encrypted(data), mail.split(data)[0]
    inner = mail.to_crlf(who.decrypt(data))
    reply.clean(inner)
    inner.decode('ascii')
    inside, outside = parsed(inner), parsed(data)
    assert words in inside.get_content(), inside.get_content()
    assert inside['Content-Type'].params.get('hp') == 'cipher', inside['Content-Type']
    for name in FIELDS:
        assert inside[name] == outside[name], (name, inside[name], outside[name])
        assert b'HP-Outer: %s: ' % name.encode() in inner, name
    assert inside['From'] == ALIAS and inside['To'] == who.address
    return data, inside


def in_clear(talk, words='Hello Bob.'):
    got = arrived(talk.box)
    assert words in got.get_content(), got.get_content()


def answered(r, talk, body=b'Hello Bob.\n', want='250', **how):
    reply.reply(r, good(r, talk, body, **how), talk.reverse, want=want)


def by_other_programs(who, data):
    """What NSS and gpgsm make of it."""
    said = {}
    with tempfile.TemporaryDirectory() as folder:
        for name in ('nss', 'gpgsm'):
            os.mkdir(os.path.join(folder, name))
        user = who.user(folder)
        gpgsm = judge.Gpgsm(user, os.path.join(folder, 'gpgsm'), user.p12)
        try:
            for name, program in (('NSS', judge.Nss(user, os.path.join(folder, 'nss'))),
                                  ('gpgsm', gpgsm)):
                said[name] = parsed(program.decrypt(data)).get_content()
        finally:
            gpgsm.close()
    return said


@case
def who_signs_gets_replies_that_their_programs_decrypt(r):
    policy(r)
    kinds = {'bob': 'rsa:2048', 'carol': 'rsa:4096', 'dave': 'P-256', 'erin': 'P-384'}
    for name, key in kinds.items():
        usage = 'digitalSignature,' + ('keyEncipherment' if key.startswith('rsa') else
                                       'keyAgreement')
        who = issue(r, name, key=key, usage=usage)
        talk = signed_talk(r, who)
        assert shown(r, talk.reverse)['replies'] == 'encrypted'
        ident = replies.fresh_id()
        answered(r, talk, 'Hello Bob. Grüße.\n'.encode(), ident=ident, references=[talk.ident])
        data, inside = opened(talk, who, 'Hello Bob. Grüße.')
        assert inside['In-Reply-To'] == talk.ident and inside['References'] == talk.ident
        # NSS and gpgsm of Debian 12 have no ECDH; a newer NSS is asked in tests/client
        others = by_other_programs(who, data) if key.startswith('rsa') else {}
        for program, said in others.items():
            assert 'Grüße' in said, (name, program, said)
        back = receive(r, replies.fresh_id('shop.example.net'), who.address,
                       [talk.ident, inside['Message-ID']])
        header, _ = mail.split(r.user.open(back)[0])
        assert mail.field_value(header, b'In-Reply-To').decode() == ident
        print('    %s: %s' % (key, ', '.join(['openssl', *others])))


@case
def a_large_attachment_and_its_name_are_encrypted_and_nothing_lies_in_clear(r):
    who = issue(r, 'bob')
    talk = signed_talk(r, who)
    word = os.urandom(12).hex().encode()
    body = (b'Content-Type: multipart/mixed; boundary=x\n\n--x\nContent-Type: text/plain\n\n'
            b'The word is ' + word + b'.\n--x\nContent-Type: application/octet-stream; '
            b'name="secret.bin"\n\n' + (word + b'\n') * 40000 + b'--x--\n')
    data = replies.message(replies.fields(talk.reverse),
                           r.client.sealed(body, [talk.cert, r.user_cert]))
    r.stop('sealdeliver')
    reply.reply(r, data, talk.reverse)
    assert len(r.sealctl('queue', 'list')) == 1
    found = r.found_in_clear(word)
    r.start('sealdeliver')
    got = talk.box.next()
    assert is_encrypted(got) and len(got) > 40000 * 25
    parts = list(parsed(mail.to_crlf(who.decrypt(got))).iter_parts())
    assert word in parts[0].get_payload(decode=True)
    assert parts[1].get_content().split() == [word] * 40000
    assert parts[1].get_filename() == 'secret.bin'
    assert not found and not r.found_in_clear(word), found


@case
def a_profile_sends_encrypted_never_when_it_can_or_only_so(r):
    who = issue(r, 'frank')
    talk = reply.Conversation(r, 'frank')
    policy(r, onward='required')
    assert shown(r, talk.reverse)['replies'].startswith('refused: no certificate')
    answered(r, talk, want='550 5.6.0')
    said = reply.notice(r)
    assert talk.reverse in said and 'no certificate of this correspondent is' in said, said
    r.sealctl('correspondent', 'import', talk.reverse, who.cert)
    assert shown(r, talk.reverse)['replies'] == 'encrypted'
    answered(r, talk)
    opened(talk, who)
    policy(r)
    answered(r, talk)
    opened(talk, who)
    policy(r, onward='never')
    assert shown(r, talk.reverse)['replies'] == 'in clear'
    answered(r, talk)
    in_clear(talk)
    policy(r)
    r.sealctl('correspondent', 'forget-certificate', talk.reverse, '--yes')
    assert shown(r, talk.reverse)['replies'] == 'in clear'
    answered(r, talk)
    in_clear(talk)


@case
def each_of_several_gets_it_as_they_can_read_it(r):
    who = issue(r, 'gina')
    talk = signed_talk(r, who)
    other = reply.Conversation(r, 'frank')
    data = replies.message(
        replies.fields(talk.reverse, cc=other.reverse),
        r.client.sealed(replies.entity(), [talk.cert, other.cert, r.user_cert]))
    reply.reply(r, data, [talk.reverse, other.reverse])
    _, inside = opened(talk, who)
    got = arrived(other.box)
    assert inside['Cc'] == got['Cc'] == 'frank@shop.example.net', got.items()
    policy(r, onward='required')
    data = replies.message(
        replies.fields(talk.reverse, cc=other.reverse),
        r.client.sealed(replies.entity(), [talk.cert, other.cert, r.user_cert]))
    reply.reply(r, data, [talk.reverse, other.reverse], want='550 5.6.0')
    said = reply.notice(r)
    assert other.reverse in said and talk.reverse not in said, said
    r.wait_until(lambda: not r.sealctl('queue', 'list'), 'the queue is empty')
    talk.box.nothing()
    other.box.nothing()
    policy(r)


@case
def the_youngest_certificate_counts_and_the_imported_one_stays(r):
    old, new, newest = (issue(r, 'gina') for _ in range(3))
    talk = signed_talk(r, old)
    time.sleep(1.1)  # a certificate's life begins in whole seconds
    for who in (new, newest):
        who = new = issue(r, 'gina')
        signed_talk(r, who)
        time.sleep(1.1)
    signed_talk(r, old)
    answered(r, talk)
    opened(talk, new)
    imported = WORLD['other'].issue('gina@shop.example.net', 'imported')
    r.sealctl('correspondent', 'import', talk.reverse, imported.cert)
    signed_talk(r, issue(r, 'gina'))
    answered(r, talk)
    opened(talk, imported)


@case
def nothing_that_a_stranger_may_have_forged_is_kept(r):
    bob = issue(r, 'hugo')
    talk = reply.Conversation(r, 'hugo')
    eve = authority(r).issue('eve@evil.example.org')
    profile = policy(r)
    r.sealctl('profile', 'policy', profile, '--failing', 'mark')
    kinds = {
        'DMARC failed': (bob.sign(ENTITY), FORGED, 'good; by=Test Mail CA'),
        'a stolen From': (eve.sign(ENTITY), reply.SHOP, 'bad'),
        'an authority nobody trusts': (WORLD['other'].issue('hugo@shop.example.net', 'o').sign(
            ENTITY), reply.SHOP, 'unknown-issuer'),
        'a key for signatures': (issue(r, 'hugo', usage='digitalSignature').sign(ENTITY),
                                 reply.SHOP, 'good; by=Test Mail CA'),
        'a key for TLS': (issue(r, 'hugo', purpose='serverAuth').sign(ENTITY), reply.SHOP, 'bad'),
    }
    for name, (content, verdict, told) in kinds.items():
        sealed = receive(r, replies.fresh_id('shop.example.net'), 'hugo@shop.example.net',
                         content=content, verdict=verdict)
        inner, _ = mail.split(r.user.open(sealed)[0])
        assert mail.field_value(inner, b'Sealrelay-Signature').decode() == told, name
        assert 'certificate' not in shown(r, talk.reverse), name
        assert judge.from_address(mail.split(sealed)[0]) == talk.reverse
    answered(r, talk)
    in_clear(talk)
    r.sealctl('profile', 'policy', profile, '--failing', 'policy')
    signed_talk(r, bob)
    answered(r, talk)
    opened(talk, bob)


@case
def a_mail_program_that_knows_only_aes_128_gets_that(r):
    who = issue(r, 'erin', usage='digitalSignature,keyEncipherment')
    with tempfile.TemporaryDirectory() as folder:
        os.mkdir(os.path.join(folder, 'gpgsm'))
        user = who.user(folder)
        gpgsm = judge.Gpgsm(user, os.path.join(folder, 'gpgsm'), user.p12)
        try:
            detached = writers.Gpgsm(gpgsm).run('--detach-sign', gpgsm.file('content', ENTITY))
        finally:
            gpgsm.close()
    capabilities = stranger.openssl('asn1parse', '-inform', 'DER', data=detached).decode()
    assert 'aes-128-cbc' in capabilities and 'aes-256-cbc' not in capabilities, capabilities
    talk = reply.Conversation(r, 'erin', content=writers.multipart_signed(ENTITY, detached))
    assert shown(r, talk.reverse)['certificate']['cipher'] == 'aes-128-cbc'
    answered(r, talk)
    data, _ = opened(talk, who)
    assert cipher(data) == 'aes-128-cbc'
    talk = signed_talk(r, issue(r, 'bob'))
    answered(r, talk)
    assert cipher(talk.box.next()) == 'aes-256-cbc'


def cipher(data):
    text = stranger.openssl('asn1parse', '-inform', 'DER', data=judge.cms_der(data)).decode()
    return re.search(r'aes-\d+-cbc', text).group(0)


@case
def a_certificate_that_was_exchanged_in_the_database_holds_replies_back(r):
    bob, gina = signed_talk(r, issue(r, 'bob')), signed_talk(r, issue(r, 'gina'))
    path = os.path.join(r.dir, 'relay', 'store.db')
    with sqlite3.connect(path, timeout=10) as db:
        rows = dict(db.execute('SELECT c.reverse, o.sealed FROM correspondent_cert o JOIN '
                               'correspondent c ON c.id = o.correspondent'))
        db.execute('UPDATE correspondent_cert SET sealed = ? WHERE correspondent = (SELECT id FROM '
                   'correspondent WHERE reverse = ?)', (rows[gina.reverse], bob.reverse))
    answered(r, bob, want='451 4.7.0')
    answered(r, gina)
    assert is_encrypted(gina.box.next())
    with sqlite3.connect(path, timeout=10) as db:
        db.execute('UPDATE correspondent_cert SET sealed = ? WHERE correspondent = (SELECT id FROM '
                   'correspondent WHERE reverse = ?)', (rows[bob.reverse], bob.reverse))
    r.wait_until(lambda: not r.sealctl('queue', 'list'), 'the queue is empty')
    bob.box.nothing()
    answered(r, bob)
    assert is_encrypted(bob.box.next())


def pass_days(days):
    with open(os.environ['SEALRELAY_CLOCK_FILE'], 'w', encoding='ascii') as file:
        file.write('%d\n' % (days * DAY))


@case
def an_expired_certificate_sends_nothing_in_clear(r):
    policy(r)
    short = issue(r, 'bob', days=2)
    talk, other = signed_talk(r, short), reply.Conversation(r, 'dave')
    imported = issue(r, 'dave', days=2)
    r.sealctl('correspondent', 'import', other.reverse, imported.cert)
    for one, who in ((talk, short), (other, imported)):
        answered(r, one)
        opened(one, who)
    pass_days(3)
    try:
        after_the_end(r, talk, other, short)
    finally:
        pass_days(0)


def after_the_end(r, talk, other, short):
    for choice in ('when-known', 'required'):
        policy(r, onward=choice)
        for one, more in ((talk, 'sign with a new one'), (other, 'imported it')):
            assert shown(r, one.reverse)['replies'] == 'refused: their certificate has expired'
            answered(r, one, want='550 5.6.0')
            said = reply.notice(r)
            assert one.reverse in said and 'has expired' in said and more in said, said
    policy(r)
    signed_talk(r, short)
    answered(r, talk, want='550 5.6.0')
    reply.notice(r)
    fresh = issue(r, 'bob')
    signed_talk(r, fresh)
    answered(r, talk)
    opened(talk, fresh)
    r.sealctl('correspondent', 'forget-certificate', other.reverse, '--yes')
    answered(r, other)
    in_clear(other)


@case
def nobody_is_greeted_again_when_the_queue_has_forgotten_the_first(r):
    pass_days(20)
    try:
        for _ in range(2):  # what is finished then makes room in the history
            reply.Conversation(r, 'frank')
        r.restart('sealrelayd')
        assert not r.inbox.wait(1, 3), 'greeted again'
    finally:
        pass_days(0)


if __name__ == '__main__':
    with tempfile.NamedTemporaryFile() as offset:
        os.environ['SEALRELAY_CLOCK_FILE'] = offset.name
        pass_days(0)
        sys.exit(reply.main(sys.argv[1], [c for c in CASES if c.__name__ in sys.argv[2:]] or CASES))
