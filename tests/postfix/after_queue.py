# SPDX-License-Identifier: GPL-3.0-or-later
"""The other place: Postfix has taken a message when the relay sees it, so it must never bounce."""
import os
import re
import socket
import subprocess
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import fronts
import fronts_reply
import front
import mail

FRONT_LINE = r'relay=127\.0\.0\.1\[[^ ]+ .*status=sent \(250 2\.0\.0 Done: queued as ([a-z2-7]+)\)'
TO_US = 'b-xcpb5k3a7f2mfke4lnk2p3yvgmbxm2kqwdua@' + front.DOMAIN  # a return path nobody made


def asked(b, key, name='recipients', where=None):
    """What Postfix's own client gets: (exit code, value)."""
    where = where or 'inet:127.0.0.1:%d' % b.relay.facts['socketmap_port']
    table = 'socketmap:%s:%s' % (where, name)
    done = subprocess.run(['postmap', '-c', b.front.etc, '-q', key, table], capture_output=True,
                          check=False)
    return done.returncode, done.stdout.decode().strip() or done.stderr.decode()


def postfix_itself_looks_recipients_up(b):
    cases = [
        (b.relay.alias, 0, b.relay.alias), (fronts.MADE_UP, 1, ''), (TO_US, 1, ''),
        ('@' + front.DOMAIN, 1, ''), ('shop', 1, ''), ('someone@elsewhere.example.org', 1, ''),
        ('shop+x@' + front.DOMAIN, 1, ''), ('r-aaaaaaaaaaaaaaaa@' + front.DOMAIN, 1, ''),
    ]
    for key, code, value in cases:
        assert asked(b, key) == (code, value), (key, asked(b, key))
    unix = 'unix:' + os.path.join(b.relay.dir, 'run/recipients.sock')
    assert asked(b, b.relay.alias, where=unix) == (0, b.relay.alias)
    assert asked(b, fronts.MADE_UP, where=unix) == (1, '')
    assert asked(b, 'x' * 65 + '@a.test', 'senders') == (0, '501 5.1.7 Bad address syntax')
    assert asked(b, fronts.STRANGER, 'senders') == (1, '')
    code, text = asked(b, b.relay.alias, 'no-such-map')
    assert code == 1 and 'no such map' in text, text


def rcpt(b, address):
    """The class of the relay's own answer to RCPT over LMTP."""
    session = mail.Smtp(b.relay.facts['lmtp_port'], 'LHLO client.example.net')
    try:
        session.command('MAIL FROM:<>')
        session.command('RCPT TO:<%s>' % address)
        return 2
    except mail.Refused as refusal:
        return refusal.code // 100
    finally:
        session.close()


def looked_up(b, address):
    """The table's answer as it is on the wire."""
    request = b'recipients ' + address.encode()
    with socket.create_connection(('127.0.0.1', b.relay.facts['socketmap_port']), 30) as table:
        table.sendall(b'%d:%s,' % (len(request), request))
        return table.recv(1000).decode().split(':', 1)[1].rstrip(',')


def the_table_says_what_rcpt_says(b):
    fronts_reply.prepare(b)
    reverse = fronts_reply.Talk(b, 'bob').reverse
    addresses = [
        reverse, reverse.upper(), fronts_reply.foreign(b), fronts_reply.nobodys(b),
        reverse.replace('@', '@sub.'), reverse + '.', 'x' + reverse,
        b.relay.alias, b.relay.alias.upper(), 'Shop@Relay.Example.Com', fronts.MADE_UP, TO_US,
        'postmaster@' + front.DOMAIN, 'abuse@' + front.DOMAIN, 'postmaster@elsewhere.example.org',
        'shop@sub.' + front.DOMAIN, 'shop@' + front.DOMAIN + '.', '"shop"@' + front.DOMAIN,
        'shop@[127.0.0.1]', 'shop@@' + front.DOMAIN, 'sh op@' + front.DOMAIN, 'shop@', '@x',
        'x' * 65 + '@' + front.DOMAIN, 'shop%' + front.DOMAIN + '@' + front.DOMAIN,
        'r-aaaaaaaaaaaaaaaa@' + front.DOMAIN, 'b-x@' + front.DOMAIN, 'shop@' + 'x' * 250,
        'shop@relay.example.com@evil.example', '\u00e9@' + front.DOMAIN]

    def compare():
        for address in addresses:
            word = looked_up(b, address).split()[0]
            table = {'OK': 2, 'TEMP': 4, 'TIMEOUT': 4, 'NOTFOUND': 5}[word]
            assert table == rcpt(b, address), (address, word, rcpt(b, address))

    compare()
    b.relay.stop('sealhsmd')
    try:
        compare()
    finally:
        b.relay.start('sealhsmd')


def without_the_key_service_the_table_says_try_again(b):
    b.relay.stop('sealhsmd')
    try:
        code, text = asked(b, b.relay.alias)
        assert code == 1 and 'temporary' in text, text
        assert asked(b, fronts.MADE_UP) == (1, '')
    finally:
        b.relay.start('sealhsmd')
    front.until(lambda: asked(b, b.relay.alias)[0] == 0, 'service again')


def without_the_relay_nobody_is_refused_for_good(b):
    ident, data = fronts.message()
    b.relay.stop('sealrelayd')
    try:
        for rcpt in (b.relay.alias, fronts.MADE_UP):
            code, text = b.send(data, [rcpt])
            assert code == 451, text
    finally:
        b.relay.start('sealrelayd')
    front.until(lambda: b.send(data)[0] == 250, 'service again')
    b.arrived({ident: data})


def dropped(b):
    return b.relay.sealctl('status')['relay']['receive']['dropped']


def what_the_relay_refuses_is_dropped_and_counted(b):
    cases = [{'extra': b'From: <other@shop.example.net>\r\n'},
             {'extra': b'Sealrelay-Loop: relay.example.com\r\n' * 6}]
    for options in cases:
        before = dropped(b)
        code, text = b.send(fronts.message(sender=fronts.FORGED, **options)[1],
                            sender=fronts.FORGED)
        assert code == 250, text
        b.front.wait_empty()
        assert dropped(b) == before + 1, options
    b.nothing_arrives()


def what_the_front_can_see_it_refuses_itself(b):
    for code, options in ((550, {'body': b'a\0b\r\n'}),
                          (554, {'extra': b'Received: by x; now\r\n' * 51})):
        got, text = b.send(fronts.message(sender=fronts.FORGED, **options)[1], sender=fronts.FORGED)
        assert got == code, text
    for sender in ('x' * 65 + '@forged.example.org', '\u00e9@forged.example.org'):
        code, text = b.send(fronts.message()[1], sender=sender)
        assert 500 <= code < 600, (sender, text)
    assert not b.front.queued()


def a_stray_carriage_return_becomes_a_space_in_the_front(b):
    ident, data = fronts.message(body=b'a\rb\r\n')
    code, text = b.send(data)
    assert code == 250, text
    b.arrived({ident: data.replace(b'a\rb', b'a b')})


def taken_before_the_key_service_goes(b, data, rcpt=None, sender=fronts.FORGED):
    """RCPT is answered, then the key service is gone: the message waits in the front's queue."""
    session = b.session()
    session.command('MAIL FROM:<%s>' % sender)
    session.command('RCPT TO:<%s>' % (rcpt or b.relay.alias))
    b.relay.stop('sealhsmd')
    session.command('DATA', '3')
    session.sock.sendall(data + b'.\r\n')
    session.expect('2')
    session.close()
    front.until(lambda: 'status=deferred' in b.front.log().split(b.front.queued()[0][-10:])[-1],
                'the relay defers it')


def mail_taken_before_an_outage_waits_and_is_delivered(b):
    pid = b.relay.pid('sealrelayd')
    ident, data = fronts.message(sender=fronts.FORGED)
    try:
        taken_before_the_key_service_goes(b, data)
        b.nothing_arrives()
        assert len(b.front.queued()) == 1
    finally:
        b.relay.start('sealhsmd')
    b.front.wait_empty()
    assert b.relay.pid('sealrelayd') == pid
    b.arrived({ident: data})


def forged_results_of_checks_are_removed(b):
    forged = (b'Authentication-Results: mx.example.com; dmarc=pass\r\n'
              b'authentication-results: (a;b) MX.example.com 1;\r\n dkim=pass\r\n'
              b'Authentication-Results: "mx\\.example.com"; spf=pass\r\n')
    others = b'Authentication-Results: elsewhere.example.org; none\r\n'
    ident, data = fronts.message(sender=fronts.FORGED, extra=forged + others)
    try:
        taken_before_the_key_service_goes(b, data)
        entry = os.path.basename(b.front.queued()[0])
        seen = subprocess.run(['postcat', '-c', b.front.etc, '-qh', entry], capture_output=True,
                              check=True).stdout.lower()
        assert seen.count(b'authentication-results') == 1 and b'elsewhere' in seen, seen
    finally:
        b.relay.start('sealhsmd')
    b.front.wait_empty()
    b.arrived({ident: data})


def refused_after_all(b, sender):
    """An alias that goes while its mail waits: the relay answers 550 to Postfix's RCPT."""
    alias = 'short-lived@' + front.DOMAIN
    b.relay.sealctl('alias', 'add', alias, 'alice')
    try:
        taken_before_the_key_service_goes(b, fronts.message(sender=sender)[1], alias, sender)
    finally:
        b.relay.start('sealhsmd')
    b.relay.sealctl('alias', 'remove', alias, '--yes')
    before = len(b.front.log())
    b.front.wait_empty()
    log = b.front.log()[before:]
    assert re.search(r'to=<%s>.*status=bounced' % re.escape(alias), log), log
    return log


def a_bounce_to_a_stranger_is_discarded(b):
    log = refused_after_all(b, fronts.FORGED)
    discarded = r'reports/cleanup.*discard: header To: %s' % re.escape(fronts.FORGED)
    assert re.search(discarded, log), log
    assert not b.front.sink.messages()


def without_the_fragments_filter_that_bounce_would_leave(b):
    """The control of all that is said about the sink: it catches what the fragment keeps in."""
    def filtered(service):
        subprocess.run(['postconf', '-c', b.front.etc, '-P',
                        'bounce/unix/cleanup_service_name=' + service], check=True)
        b.front.postfix('reload')

    filtered('cleanup')
    try:
        refused_after_all(b, fronts.FORGED)
        front.until(lambda: len(b.front.sink.messages()) == 1, 'the bounce leaves')
        assert b'5.1.1' in b.front.sink.messages()[0]
    finally:
        filtered('cleanup-reports')
    b.front.sink.clear()
    a_bounce_to_a_stranger_is_discarded(b)


def a_bounce_to_a_return_path_of_ours_is_kept(b):
    log = refused_after_all(b, TO_US)
    assert re.search(r'to=<%s>, relay=127\.0\.0\.1' % re.escape(TO_US), log), log
    assert not b.front.sink.messages()


def recipients_of_one_message_get_answers_of_their_own(b):
    second = 'second@' + front.DOMAIN
    b.relay.sealctl('alias', 'add', second, 'alice')
    data = fronts.message()[1]
    code, text = b.send(data, [b.relay.alias, second])
    assert code == 250, text
    found = b.relay.inbox.wait(2) + b.relay.inbox.wait(1, 0.5)
    assert len(found) == 2, found
    to = set()
    for path in found:
        with open(path, 'rb') as file:
            sealed = mail.to_crlf(file.read())
        fronts.judge.judge(b.opener, data, sealed)
        to.add(mail.field_value(mail.split(sealed)[0], b'To'))
    assert len(to) == 2, to
    b.relay.sealctl('alias', 'remove', second, '--yes')


def an_unproven_reply_is_dropped_counted_and_never_bounced(b):
    fronts_reply.prepare(b)
    talk = fronts_reply.Talk(b, 'bob')
    for _ in range(2):
        before = dropped(b)
        code, text = fronts_reply.unproven(b, talk)
        assert code == 250, text
        b.front.wait_empty()
        assert dropped(b) == before + 1
    fronts_reply.nothing_left(b, talk)


def a_reply_taken_before_an_outage_waits_and_leaves_once(b):
    fronts_reply.prepare(b)
    talk = fronts_reply.Talk(b, 'bob')
    data = fronts_reply.reply(b, [talk])
    try:
        code, text = fronts_reply.an_outage_at_the_end_of_data(b, talk, data)
        assert code == 250, text
        assert len(b.front.queued()) == 1
    finally:
        b.relay.start('sealhsmd')
    b.front.wait_empty()
    fronts_reply.once(talk)


def a_reply_to_an_alias_that_goes_meanwhile_is_not_bounced_to_a_stranger(b):
    fronts_reply.prepare(b)
    alias = 'short-lived@' + front.DOMAIN
    b.relay.sealctl('alias', 'add', alias, 'alice')
    talk = fronts_reply.Talk(b, 'bob', alias)
    try:
        taken_before_the_key_service_goes(b, fronts_reply.reply(b, [talk]), talk.reverse)
    finally:
        b.relay.start('sealhsmd')
    b.relay.sealctl('alias', 'remove', alias, '--yes')
    fronts_reply.nothing_left(b, talk)


def a_message_is_followed_from_the_fronts_queue_to_the_next_hop(b):
    before = len(b.front.log())
    ident, text, taken = fronts.a_message_is_followed_through_all_logs(b, FRONT_LINE)
    entry = re.search(r'queued as ([0-9A-F]+)$', text).group(1)
    assert 'ident=%s ' % entry in taken, (entry, taken)
    assert re.search(r'%s: .*queued as %s' % (entry, ident), b.front.log()[before:])


CASES = [
    fronts.ordinary_mail_arrives_sealed,
    postfix_itself_looks_recipients_up,
    the_table_says_what_rcpt_says,
    without_the_key_service_the_table_says_try_again,
    fronts.an_unknown_alias_is_refused_to_the_stranger_at_rcpt,
    fronts.other_domains_are_refused,
    fronts.the_client_is_the_stranger_not_the_front,
    fronts.delivery_reports_and_chunks_are_not_offered,
    fronts.look_alike_ends_of_data_are_content,
    fronts.oversize_is_refused_before_and_after_it_was_sent,
    fronts.mail_from_nobody_is_taken,
    recipients_of_one_message_get_answers_of_their_own,
    what_the_relay_refuses_is_dropped_and_counted,
    what_the_front_can_see_it_refuses_itself,
    a_stray_carriage_return_becomes_a_space_in_the_front,
    fronts.a_token_outage_is_a_4xx_and_needs_no_restart_of_the_relay,
    without_the_relay_nobody_is_refused_for_good,
    mail_taken_before_an_outage_waits_and_is_delivered,
    forged_results_of_checks_are_removed,
    a_bounce_to_a_stranger_is_discarded,
    without_the_fragments_filter_that_bounce_would_leave,
    a_bounce_to_a_return_path_of_ours_is_kept,
    fronts_reply.a_reply_arrives_from_the_alias,
    fronts_reply.a_reply_to_all_reaches_each_and_the_alias_gets_no_copy,
    fronts_reply.an_unknown_reverse_alias_is_refused_at_rcpt,
    an_unproven_reply_is_dropped_counted_and_never_bounced,
    a_reply_taken_before_an_outage_waits_and_leaves_once,
    a_reply_to_an_alias_that_goes_meanwhile_is_not_bounced_to_a_stranger,
    a_message_is_followed_from_the_fronts_queue_to_the_next_hop,
    fronts.a_thousand_messages_arrive_once_each_sealed,
    fronts.nothing_left_for_a_forged_sender,
]

if __name__ == '__main__':
    sys.exit(fronts.main(sys.argv, 'after-queue', CASES))
