# SPDX-License-Identifier: GPL-3.0-or-later
"""The recommended place: Postfix hands each transaction to the relay while its client waits."""
import os
import subprocess
import sys
import threading
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import fronts
import fronts_reply
import front

FRONT_LINE = r'proxy-accept: END-OF-MESSAGE: 250 2\.0\.0 Done: queued as ([a-z2-7]+);'


def what_the_relay_refuses_is_refused_to_the_stranger(b):
    cases = [
        (550, '5.6.0', {'extra': b'From: <other@shop.example.net>\r\n'}),
        (550, '5.6.0', {'body': b'a\0b\r\n'}),
        (550, '5.6.0', {'body': b'a\rb\r\n'}),
        (554, '5.4.6', {'extra': b'Received: by x; now\r\n' * 51}),
    ]
    for code, status, options in cases:
        got, text = b.send(fronts.message(sender=fronts.FORGED, **options)[1], sender=fronts.FORGED)
        assert got == code and status in text, (options, text)
    b.nothing_arrives()
    assert not b.front.queued()


def an_outage_at_the_end_of_data_is_a_4xx(b):
    session = b.session()
    session.command('MAIL FROM:<%s>' % fronts.FORGED)
    session.command('RCPT TO:<%s>' % b.relay.alias)
    b.relay.stop('sealhsmd')
    try:
        session.command('DATA', '3')
        session.sock.sendall(fronts.message(sender=fronts.FORGED)[1] + b'.\r\n')
        code, text = session.reply()
        assert 400 <= code < 500, text
    finally:
        session.close()
        b.relay.start('sealhsmd')
    b.nothing_arrives()


def a_relay_that_is_away_is_a_4xx(b):
    ident, data = fronts.message()
    b.relay.stop('sealrelayd')
    try:
        code, text = b.send(data)
        assert 400 <= code < 500, text
    finally:
        b.relay.start('sealrelayd')
    code, text = b.send(data)
    assert code == 250, text
    b.arrived({ident: data})


def found(b, marker):
    return (b.front.files_with(marker) + b.relay.found_in_clear(marker) +
            front.nameless_files_with(b.relay.folder, marker))


def a_marker_is_never_in_clear_on_disk(b):
    """Not in the front's folders, ours or the next hop's: while the relay works on the message,
    while it waits for its next hop, and once it is delivered."""
    marker = b'MARKER-a-secret-nobody-else-writes'
    ident, data = fronts.message(body=marker + b'\r\n' + b'x' * 900 + b'\r\n' + marker + b'\r\n',
                                 extra=b'Content-Type: text/plain; name=' + marker + b'\r\n')
    front.hop(b.relay, 'stop')
    try:
        taken_without_next_hop(b, marker, data)
    finally:
        front.hop(b.relay, 'start')
    b.relay.sealctl('queue', 'flush')
    b.arrived({ident: data})
    b.relay.wait_until(lambda: not b.relay.sealctl('queue', 'list'), 'the queue is empty')
    assert not found(b, marker), 'delivered: %s' % found(b, marker)


def taken_without_next_hop(b, marker, data):
    """Looks for the marker at every stage of a message, up to its wait in the relay's queue."""
    answers = []
    session = b.session()
    session.command('MAIL FROM:<%s>' % fronts.STRANGER)
    session.command('RCPT TO:<%s>' % b.relay.alias)
    session.command('DATA', '3')
    session.sock.sendall(data[:-500])
    time.sleep(0.5)
    assert not found(b, marker), 'half a message: %s' % found(b, marker)
    front.pause(b.relay, 'sealhsmd')
    try:
        session.sock.sendall(data[-500:] + b'.\r\n')
        waiting = threading.Thread(target=lambda: answers.append(session.reply()))
        waiting.start()
        time.sleep(1)
        assert not answers, 'it did not wait for the key service: %s' % answers
        assert not found(b, marker), 'at work: %s' % found(b, marker)
    finally:
        front.resume(b.relay, 'sealhsmd')
    waiting.join()
    session.close()
    assert answers[0][0] == 250, answers
    b.relay.wait_until(lambda: b.relay.sealctl('queue', 'list')[0]['attempts'] > 0, 'an attempt')
    assert not found(b, marker), 'in the queue: %s' % found(b, marker)


def the_search_for_a_marker_finds_one(b):
    """The control of the case before: what the front does log is found."""
    assert b.front.files_with(b'proxy-accept') and b.relay.found_in_clear(b'stage=receive.message')


def a_message_is_followed_from_the_fronts_line_to_the_next_hop(b):
    ident, text, taken = fronts.a_message_is_followed_through_all_logs(b, FRONT_LINE)
    assert text == '250 2.0.0 Done: queued as ' + ident, text
    assert 'accepted=1' in taken


def swaks_speaks_tls_with_the_relay_itself(b):
    done = subprocess.run(
        ['swaks', '--server', '127.0.0.1:%d' % b.relay.smtp_port, '--tls', '--from',
         fronts.STRANGER, '--to', b.relay.alias, '--suppress-data'], capture_output=True,
        check=False)
    assert done.returncode == 0, done.stdout.decode() + done.stderr.decode()
    assert b'TLS started with cipher TLSv1.3' in done.stdout
    assert len(b.relay.inbox.wait(1)) == 1


def an_unproven_reply_is_refused_at_the_end_of_data(b):
    fronts_reply.prepare(b)
    talk = fronts_reply.Talk(b, 'bob')
    for _ in range(2):
        assert fronts_reply.unproven(b, talk) == (550, '550 5.7.1 Message refused')
    fronts_reply.nothing_left(b, talk)


def a_reply_in_an_outage_is_a_4xx_and_leaves_once_when_it_comes_again(b):
    fronts_reply.prepare(b)
    talk = fronts_reply.Talk(b, 'bob')
    data = fronts_reply.reply(b, [talk])
    try:
        code, text = fronts_reply.an_outage_at_the_end_of_data(b, talk, data)
    finally:
        b.relay.start('sealhsmd')
    assert 400 <= code < 500, text
    front.until(lambda: b.send(data, [talk.reverse], fronts_reply.replies.MAILBOX)[0] == 250,
                'service again')
    fronts_reply.once(talk)


CASES = [
    fronts.ordinary_mail_arrives_sealed,
    fronts.an_unknown_alias_is_refused_to_the_stranger_at_rcpt,
    fronts.other_domains_are_refused,
    fronts.the_client_is_the_stranger_not_the_front,
    fronts.delivery_reports_and_chunks_are_not_offered,
    fronts.look_alike_ends_of_data_are_content,
    fronts.oversize_is_refused_before_and_after_it_was_sent,
    fronts.mail_from_nobody_is_taken,
    what_the_relay_refuses_is_refused_to_the_stranger,
    fronts.a_token_outage_is_a_4xx_and_needs_no_restart_of_the_relay,
    an_outage_at_the_end_of_data_is_a_4xx,
    a_relay_that_is_away_is_a_4xx,
    a_marker_is_never_in_clear_on_disk,
    the_search_for_a_marker_finds_one,
    a_message_is_followed_from_the_fronts_line_to_the_next_hop,
    fronts_reply.a_reply_arrives_from_the_alias,
    fronts_reply.a_reply_to_all_reaches_each_and_the_alias_gets_no_copy,
    fronts_reply.an_unknown_reverse_alias_is_refused_at_rcpt,
    an_unproven_reply_is_refused_at_the_end_of_data,
    a_reply_in_an_outage_is_a_4xx_and_leaves_once_when_it_comes_again,
    swaks_speaks_tls_with_the_relay_itself,
    fronts.a_thousand_messages_arrive_once_each_sealed,
    fronts.nothing_left_for_a_forged_sender,
]

if __name__ == '__main__':
    sys.exit(fronts.main(sys.argv, 'before-queue', CASES))
