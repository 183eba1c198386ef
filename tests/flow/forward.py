# SPDX-License-Identifier: GPL-3.0-or-later
"""The forward flow through real daemons: who is a recipient, what arrives, and what happens when a
part is away. Every message that arrives is judged by openssl cms; nothing may arrive unsealed."""
import os
import re
import signal
import socket
import sqlite3
import subprocess
import sys
import time
import uuid

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '../support'))
import judge
import mail
import relay
import stage

CASES = []


def case(function):
    CASES.append(function)
    return function


def message(sender=b'Bob <bob@shop.example.net>', extra=b'', body=b'Hello.\r\n', ident=None):
    ident = ident or uuid.uuid4().hex.encode()
    return (b'From: ' + sender + b'\r\nTo: <shop@relay.example.com>\r\nSubject: test\r\n'
            b'Message-ID: <' + ident + b'@client.example.net>\r\n'
            b'Date: Sun, 22 Nov 2026 10:00:00 +0000\r\n' + extra + b'\r\n' + body)


def answer(r, rcpts, data=None, mail_from='bob@shop.example.net'):
    """The first answer that is no success: (code, text); or the last one."""
    session = mail.Smtp(r.smtp_port)
    try:
        text = session.send(mail_from, rcpts, data or message())
        return 250, text
    except mail.Refused as refusal:
        return refusal.code, refusal.text
    finally:
        session.close()


def deliver(r, data, rcpt=None):
    """Send one message, as a sender does: again on a 4xx. The one that arrives, judged: (outer
    header, signed message, entity)."""
    mail.send_retrying(r.smtp_port, 'bob@shop.example.net', rcpt or r.alias, data, 60)
    found = r.inbox.wait()
    assert len(found) == 1, '%d arrived' % len(found)
    with open(found[0], 'rb') as file:
        sealed = mail.to_crlf(file.read())
    judge.judge(r.user, data, sealed)
    signed = mail.to_crlf(r.user.decrypt(sealed))
    return mail.split(sealed)[0], signed, r.user.verify(signed)[0]


def expect(r, code, status, rcpts, data=None):
    got = answer(r, rcpts, data)
    assert got[0] == code and status in got[1], 'wanted %d %s, got %r' % (code, status, got)


@case
def an_unknown_alias_is_refused_at_rcpt(r):
    expect(r, 550, '5.1.1', ['nobody@relay.example.com'])
    expect(r, 550, '5.1.1', ['shop@elsewhere.example.net'])


@case
def the_alias_is_found_whatever_its_case(r):
    data = message()
    deliver(r, data, 'SHOP@Relay.Example.COM')


@case
def reverse_aliases_and_return_paths_that_nobody_has_are_unknown(r):
    expect(r, 550, '5.1.1', ['r-abcdefghijklmnop@relay.example.com'])
    expect(r, 550, '5.1.1', ['b-abcdefghijklmnopabcdefghijklmnopabcd@relay.example.com'])


@case
def role_addresses_that_nobody_has_are_deferred(r):
    for rcpt in ('postmaster@relay.example.com', 'abuse@relay.example.com', 'postmaster'):
        code, _ = answer(r, [rcpt])
        assert 400 <= code < 500, '%s: %d' % (rcpt, code)


@case
def the_outer_header_names_reverse_alias_and_alias_only(r):
    outer, _, entity = deliver(r, message(b'"Bob B." <bob@shop.example.net>'))
    value = mail.field_value(outer, b'From')
    assert re.fullmatch(rb'"Bob B\. - bob at shop\.example\.net"\s+'
                        rb'<r-[a-z2-7]{16}@relay\.example\.com>', value), value
    assert b'shop@relay.example.com' in mail.field_value(outer, b'To')
    ours = b''.join(whole for name, whole in mail.fields(outer) if name.lower() not in
                    (b'delivered-to', b'x-original-to', b'received'))
    assert b'home.example.com' not in ours, 'the mailbox is named in the header'
    assert b'Sealrelay-Verdict: unchecked' in mail.split(entity)[0]


@case
def one_sender_keeps_one_reverse_alias_and_another_gets_another(r):
    first = judge.from_address(deliver(r, message(b'carol@shop.example.net'))[0])
    again = judge.from_address(deliver(r, message(b'Carol <carol@SHOP.example.net>'))[0])
    other = judge.from_address(deliver(r, message(b'dave@shop.example.net'))[0])
    assert first == again and first != other


@case
def protected_fields_reproduce_the_outer_header(r):
    outer, _, entity = deliver(r, message(extra=b'Cc: Eve <eve@third.example.net>\r\n'
                                                b'References: <a@b.example>\r\n'
                                                b'X-Mailer: Something\r\nReceived: by x; now\r\n'))
    inner = mail.split(entity)[0]
    protected = [mail.field_value(whole, b'HP-Outer') for name, whole in mail.fields(inner)
                 if name.lower() == b'hp-outer']
    transport = (b'return-path', b'delivered-to', b'x-original-to', b'received', b'mime-version')
    outside = [re.sub(rb'\r\n(?=[ \t])', b'', whole).strip() for name, whole in mail.fields(outer)
               if name.lower() not in transport and not name.lower().startswith(b'content-')]
    assert sorted(protected) == sorted(outside), (protected, outside)
    assert b'X-Mailer' not in inner and b'Received' not in inner


@case
def certificates_of_all_parties_travel_with_the_message(r):
    for _ in range(20):  # keys for others come from idle pool only; the sender writes again
        _, signed, _ = deliver(r, message(extra=b'Cc: a@p1.example.net, b@p2.example.net\r\n'))
        printed = judge.run(['openssl', 'pkcs7', '-inform', 'DER', '-print_certs', '-noout'],
                            judge.signed_parts(signed)[1])
        if printed.count(b'subject=CN = r-') == 3:
            break
        time.sleep(1)
    assert printed.count(b'subject=CN = shop@relay.example.com') == 1, printed
    assert printed.count(b'subject=') == 5, printed  # sender, two others, alias, intermediate


@case
def smime_mail_is_wrapped_and_stays_whole(r):
    signed = (b'MIME-Version: 1.0\r\nContent-Type: multipart/signed; '
              b'protocol="application/pkcs7-signature"; micalg=sha-256; boundary=b\r\n')
    body = b'--b\r\nContent-Type: text/plain\r\n\r\nx\r\n--b\r\n\r\nsig\r\n--b--\r\n'
    deliver(r, message(extra=signed, body=body))
    sealed = (b'Content-Type: application/pkcs7-mime; smime-type=enveloped-data\r\n'
              b'Content-Transfer-Encoding: base64\r\n')
    deliver(r, message(extra=sealed, body=b'MIIB\r\n'))


@case
def a_message_to_two_aliases_of_one_user_is_two_conversations(r):
    r.sealctl('alias', 'add', 'news@relay.example.com', 'alice')
    data = message(b'zoe@z.example.net')
    for alias in (r.alias, 'news@relay.example.com'):
        r.wait_until(lambda to=alias: answer(r, [to], data)[0] == 250, 'taken')
    found = r.inbox.wait(2)
    senders = set()
    for path in found:
        with open(path, 'rb') as file:
            senders.add(judge.from_address(mail.split(mail.to_crlf(file.read()))[0]))
    assert len(found) == 2 and len(senders) == 2


@case
def another_users_recipient_comes_in_a_transaction_of_its_own(r):
    r.sealctl('user', 'add', 'mallory', 'mallory@home.example.com')
    r.sealctl('alias', 'add', 'm@relay.example.com', 'mallory')
    code, _ = answer(r, ['m@relay.example.com'])
    assert 400 <= code < 500, code  # no active profile


@case
def lmtp_answers_for_every_recipient(r):
    session = mail.Smtp(r.facts['lmtp_port'], 'LHLO client.example.net')
    session.command('MAIL FROM:<bob@shop.example.net>')
    session.command('RCPT TO:<%s>' % r.alias)
    session.command('RCPT TO:<news@relay.example.com>')
    session.command('DATA', '3')
    session.sock.sendall(message() + b'.\r\n')
    assert [session.reply()[0], session.reply()[0]] == [250, 250]
    session.close()
    assert len(r.inbox.wait(2)) == 2


@case
def two_from_fields_are_refused_and_a_missing_one_is_not(r):
    expect(r, 550, '5.6.0', [r.alias], message(extra=b'From: other@x.example.net\r\n'))
    data = b'Subject: nobody\r\n\r\nWho am I?\r\n'
    outer, _, _ = deliver(r, data)
    assert b'bob at shop.example.net' in mail.field_value(outer, b'From')


@case
def our_own_mail_coming_back_is_a_loop(r):
    reverse = judge.from_address(deliver(r, message())[0])
    expect(r, 554, '5.4.6', [r.alias], message(reverse.encode()))
    expect(r, 554, '5.4.6', [r.alias],
           message(extra=b'Sealrelay-Loop: relay.example.com\r\n' * 6))
    expect(r, 554, '5.4.6', [r.alias], message(extra=b'Received: by x; now\r\n' * 51))


@case
def without_the_key_service_mail_is_deferred_and_comes_in_again_by_itself(r):
    r.stop('sealhsmd', signal.SIGKILL)
    code, _ = answer(r, [r.alias])
    assert 400 <= code < 500, code
    r.start('sealhsmd')
    r.wait_until(lambda: answer(r, [r.alias])[0] == 250, 'service again')
    assert len(r.inbox.wait()) == 1


@case
def a_hung_key_service_is_a_4xx_in_time(r):
    os.kill(r.pid('sealhsmd'), signal.SIGSTOP)
    start = time.monotonic()
    try:
        code, _ = answer(r, [r.alias])
    finally:
        os.kill(r.pid('sealhsmd'), signal.SIGCONT)
    assert 400 <= code < 500 and time.monotonic() - start < 20, code
    r.wait_until(lambda: answer(r, [r.alias])[0] == 250, 'service again')
    assert len(r.inbox.wait()) == 1


@case
def a_locked_database_is_a_4xx(r):
    store = sqlite3.connect(os.path.join(r.dir, 'relay', 'store.db'), isolation_level=None)
    store.execute('BEGIN IMMEDIATE')
    try:
        code, _ = answer(r, [r.alias], message(b'new-one@locked.example.net'))
    finally:
        store.execute('ROLLBACK')
        store.close()
    assert 400 <= code < 500, code
    deliver(r, message(b'new-one@locked.example.net'))


@case
def without_the_delivery_worker_mail_waits_in_the_queue(r):
    r.stop('sealdeliver', signal.SIGKILL)
    code, text = answer(r, [r.alias])
    assert code == 250, text
    assert not r.inbox.wait(1, 2)
    assert len(r.sealctl('queue', 'list')) == 1
    r.start('sealdeliver')
    assert len(r.inbox.wait()) == 1


@case
def the_operator_holds_and_releases(r):
    r.stop('sealdeliver')
    code, text = answer(r, [r.alias])
    assert code == 250, text
    entry = r.sealctl('queue', 'list')[0]['id']
    r.wait_until(lambda: r.sealctl('queue', 'show', entry)['state'] != 'active', 'not active')
    r.sealctl('queue', 'hold', entry)
    r.start('sealdeliver')
    r.sealctl('queue', 'flush')
    assert not r.inbox.wait(1, 2)
    r.sealctl('queue', 'release', entry)
    assert len(r.inbox.wait()) == 1


@case
def no_row_of_the_database_adds_a_recipient(r):
    """A foreign certificate written into the database is sealed to by nobody."""
    key = os.path.join(r.user_folder, 'foreign')
    judge.run(['openssl', 'req', '-x509', '-newkey', 'rsa:2048', '-nodes', '-days', '30', '-subj',
               '/CN=alice@home.example.com', '-addext', 'subjectAltName=email:alice@home.example.com',
               '-keyout', key + '.key', '-out', key + '.pem', '-outform', 'PEM'])
    der = judge.run(['openssl', 'x509', '-in', key + '.pem', '-outform', 'DER'])
    store = sqlite3.connect(os.path.join(r.dir, 'relay', 'store.db'), isolation_level=None)
    judge.run(['openssl', 'req', '-x509', '-newkey', 'ed25519', '-nodes', '-subj', '/CN=odd',
               '-keyout', key + '.key', '-out', key + '.odd', '-outform', 'DER'])
    with open(key + '.odd', 'rb') as file:
        odd = file.read()
    for cert in (der, odd):
        rows = store.execute('UPDATE sender_key SET cert = ?', (cert,)).rowcount
        assert rows > 0
        code, _ = answer(r, [r.alias], message())
        assert 400 <= code < 500, code  # no key signs under another key's certificate
    store.execute('DELETE FROM sender_key')
    store.close()
    mail.send_retrying(r.smtp_port, 'bob@shop.example.net', r.alias, message())
    with open(r.inbox.wait()[0], 'rb') as file:
        printed = judge.run(['openssl', 'cms', '-cmsout', '-print', '-noout', '-inform', 'DER'],
                            judge.cms_der(file.read()))
    assert printed.count(b'issuerAndSerialNumber') == 1, 'more than one recipient'


def exchange(store, table, key, ids, columns):
    """Two rows of a table take over each other's columns."""
    names = ', '.join(columns)
    rows = [store.execute('SELECT %s FROM %s WHERE %s = ?' % (names, table, key), (n,)).fetchone()
            for n in ids]
    values = ', '.join('%s = ?' % column for column in columns)
    places = ', '.join('%s = zeroblob(1)' % column for column in columns)
    store.execute('BEGIN IMMEDIATE')
    store.execute('UPDATE %s SET %s WHERE %s = ?' % (table, places, key), (ids[0],))
    store.execute('UPDATE %s SET %s WHERE %s = ?' % (table, values, key), (*rows[0], ids[1]))
    store.execute('UPDATE %s SET %s WHERE %s = ?' % (table, values, key), (*rows[1], ids[0]))
    store.execute('COMMIT')


@case
def rows_exchanged_in_the_database_delay_mail_and_nothing_else(r):
    """No sender gets a bounce for it, and nobody another one's reverse alias."""
    john = message(b'john@x.example.net')
    deliver(r, message(b'iris@x.example.net'))
    deliver(r, john)
    store = sqlite3.connect(os.path.join(r.dir, 'relay', 'store.db'), isolation_level=None)
    ids = [row[0] for row in
           store.execute('SELECT id FROM correspondent ORDER BY id DESC LIMIT 2')]
    for table, key, columns in (('correspondent', 'id', ['look']),
                                ('sender_key', 'correspondent', ['cert', 'blob']),
                                ('sender_key', 'correspondent', ['blob'])):
        exchange(store, table, key, ids, columns)
        code, text = answer(r, [r.alias], john)
        assert 400 <= code < 500, (table, columns, code, text)
        exchange(store, table, key, ids, columns)
        deliver(r, john)
    store.close()


@case
def an_alias_whose_row_leads_nowhere_is_deferred(r):
    store = sqlite3.connect(os.path.join(r.dir, 'relay', 'store.db'), isolation_level=None)
    row = store.execute('SELECT mailbox, user FROM alias WHERE address = ?', (r.alias,)).fetchone()
    for column, value in (('mailbox', 999999), ('user', 'not an id'), ('user', 'a' * 16)):
        store.execute('UPDATE alias SET %s = ? WHERE address = ?' % column, (value, r.alias))
        code, text = answer(r, [r.alias])
        store.execute('UPDATE alias SET mailbox = ?, user = ? WHERE address = ?', (*row, r.alias))
        assert 400 <= code < 500, (column, value, code, text)
    store.close()


@case
def every_step_that_fails_defers_and_nothing_leaves_unsealed(r):
    for point in ('forward.judged', 'forward.profile', 'forward.policy', 'forward.correspondent',
                  'forward.rewrite', 'forward.seal'):
        r.restart('sealrelayd', point + '=error')
        code, _ = answer(r, [r.alias])
        assert 400 <= code < 500, '%s: %d' % (point, code)
        code, text = answer(r, [r.alias])
        assert code == 250, text
        found = r.inbox.wait()
        assert len(found) == 1
    r.restart('sealrelayd')


def looked_up(port, address):
    """What the table of recipients answers."""
    request = ('recipients ' + address).encode()
    with socket.create_connection(('127.0.0.1', port), timeout=20) as connection:
        connection.sendall(b'%d:%s,' % (len(request), request))
        answer = connection.recv(1000).decode()
    return answer.split(':', 1)[1].rstrip(',')


@case
def sockets_may_come_from_the_service_manager(r):
    """systemd's protocol: descriptors from 3 on, their names, and the pid they are meant for."""
    with socket.create_server(('127.0.0.1', 0)) as smtp, \
            socket.create_server(('127.0.0.1', 0)) as lmtp, \
            socket.create_server(('127.0.0.1', 0)) as socketmap:
        r.stop('sealrelayd')

        def hand_over():
            given = [os.dup(one.fileno()) for one in (smtp, lmtp, socketmap)]
            for number, fd in enumerate(given):
                os.dup2(fd, 3 + number)

        script = 'LISTEN_PID=$$ LISTEN_FDS=3 LISTEN_FDNAMES=smtp:lmtp:socketmap exec "$@"'
        with subprocess.Popen(['sh', '-c', script, 'sh', *r.command('sealrelayd')],
                              stderr=subprocess.DEVNULL, preexec_fn=hand_over,
                              pass_fds=(3, 4, 5)) as process:
            try:
                assert 'relay.example.com' in mail.Smtp(smtp.getsockname()[1]).extensions
                assert 'relay.example.com' in mail.Smtp(lmtp.getsockname()[1],
                                                        'LHLO client.example.net').extensions
                assert looked_up(socketmap.getsockname()[1], r.alias) == 'OK ' + r.alias
            finally:
                process.terminate()
        assert process.returncode == 0, 'it ended with %d' % process.returncode
    r.start('sealrelayd')


@case
def a_suspended_profile_defers_and_a_deleted_one_has_no_keys(r):
    profile = next(p['profile'] for p in r.sealctl('profile', 'list')
                   if p['state'] == 'active')
    r.sealctl('profile', 'suspend', profile)
    code, _ = answer(r, [r.alias])
    assert 400 <= code < 500, code
    r.sealctl('profile', 'delete', profile, '--yes')
    code, _ = answer(r, [r.alias])
    assert 400 <= code < 500, code
    report = subprocess.run(r.facts['sealctl'].split() + ['--json', 'token', 'report'],
                            capture_output=True, check=True).stdout.decode()
    assert profile not in report, 'keys of the deleted profile are still in the token'


def main(build, cases=None):
    with relay.Relay(build) as r:

        def before():
            r.wait_until(lambda: not r.sealctl('queue', 'list'), 'the queue is empty')
            r.inbox.fresh()
        return stage.run(cases or CASES, r, before, os.path.join(r.dir, 'log'))


if __name__ == '__main__':
    sys.exit(main(sys.argv[1]))
