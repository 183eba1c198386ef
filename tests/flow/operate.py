# SPDX-License-Identifier: GPL-3.0-or-later
"""What an operator does with a running relay: more users with other keys, catch-alls, requests that
users sign, the queue, draining, the journal. Real daemons; what arrives is judged by openssl cms."""
import os
import re
import signal
import sqlite3
import ssl
import subprocess
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '../support'))
import forward
import judge
import mail
from forward import answer, message

CASES = []
ENROLLED = {}


def case(function):
    CASES.append(function)
    return function


def sealctl_fails(r, code, *words):
    done = subprocess.run(r.facts['sealctl'].split() + list(words), capture_output=True,
                          check=False)
    assert done.returncode == code, (words, done.returncode, done.stderr)
    return done.stderr.decode()


def deliver(r, user, data, rcpt):
    """Send one message to a user's alias; the one that arrives, judged."""
    mail.send_retrying(r.smtp_port, 'bob@shop.example.net', rcpt, data, 60)
    found = r.inbox.wait()
    assert len(found) == 1, '%d arrived' % len(found)
    with open(found[0], 'rb') as file:
        sealed = mail.to_crlf(file.read())
    judge.judge(user, data, sealed)
    return sealed


def structure(sealed):
    """What openssl cms says of an EnvelopedData."""
    return judge.run(['openssl', 'cms', '-cmsout', '-print', '-noout', '-inform', 'DER'],
                     judge.cms_der(sealed)).decode()


def enrol(r, name, *options):
    r.sealctl('user', 'add', name, name + '@home.example.com')
    ENROLLED[name] = r.profile(name, *options)
    r.sealctl('alias', 'add', name + '@relay.example.com', name)
    return ENROLLED[name][1]


@case
def a_user_with_p256_keys_gets_mail_signed_and_sealed_with_them(r):
    user = enrol(r, 'carl', '--key', 'p-256')
    sealed = deliver(r, user, message(), 'carl@relay.example.com')
    printed = structure(sealed)
    assert 'd.kari' in printed and 'id-aes256-wrap' in printed, printed
    signed = judge.signed_parts(mail.to_crlf(user.decrypt(sealed)))[1]
    printed = judge.run(['openssl', 'cms', '-cmsout', '-print', '-noout', '-inform', 'DER'],
                        signed).decode()
    assert 'ecdsa-with-SHA256' in printed, printed


@case
def a_user_with_rsa_3072_under_an_rsa_ca_gets_mail(r):
    user = enrol(r, 'dora', '--key', 'rsa-3072', '--ca-key', 'rsa-3072')
    deliver(r, user, message(), 'dora@relay.example.com')
    printed = judge.run(['openssl', 'x509', '-in', os.path.join(ENROLLED['dora'][2], 'user.pem'),
                         '-noout', '-text'])
    assert b'3072 bit' in printed and b'Signature Algorithm: sha256WithRSAEncryption' in printed


@case
def one_smtp_transaction_is_for_one_alias(r):
    """Whether two aliases are one user's is not told."""
    r.sealctl('alias', 'add', 'another@relay.example.com', 'alice')
    said = set()
    for first, second in ((r.alias, 'carl'), (r.alias, 'another'), (r.alias, 'another+x=y.example'),
                          (r.alias, 'carl+x=y.example'), ('carl+x=y.example', 'another')):
        session = mail.Smtp(r.smtp_port)
        session.command('MAIL FROM:<bob@shop.example.net>')
        session.command('RCPT TO:<%s>' % (first if '@' in first else first + '@relay.example.com'))
        try:
            session.command('RCPT TO:<%s@relay.example.com>' % second)
            raise AssertionError('taken: %s and %s' % (first, second))
        except mail.Refused as refusal:
            said.add(refusal.text)
        session.close()
    assert len(said) == 1 and said.pop().startswith('452 4.5.3 '), said


@case
def starttls_is_offered_and_mail_comes_through_it(r):
    session = mail.Smtp(r.smtp_port)
    assert 'STARTTLS' in session.extensions
    session.command('STARTTLS')
    context = ssl.create_default_context(cafile=os.path.join(r.dir, 'etc', 'relay.pem'))
    session.sock = context.wrap_socket(session.sock, server_hostname='relay.example.com')
    session.file = session.sock.makefile('rb')
    assert 'STARTTLS' not in session.command('EHLO client.example.net')
    session.send('bob@shop.example.net', [r.alias], message())
    session.close()
    assert len(r.inbox.wait()) == 1


def lmtp(r, where, data):
    """The answers to one message for two users."""
    session = mail.Smtp(where, 'LHLO client.example.net')
    session.command('MAIL FROM:<bob@shop.example.net>')
    session.command('RCPT TO:<%s>' % r.alias)
    session.command('RCPT TO:<carl@relay.example.com>')
    session.command('DATA', '3')
    session.sock.sendall(data + b'.\r\n')
    codes = [session.reply()[0], session.reply()[0]]
    session.close()
    return codes


@case
def lmtp_serves_two_users_at_once_and_never_makes_the_queue_before_it_bounce(r):
    sockets = (r.facts['lmtp_port'], os.path.join(r.dir, 'run', 'lmtp.sock'))
    refused = (message(extra=b'From: other@x.example.net\r\n'), message(body=b'bare\nLF\r\n'),
               message(extra=b'Received: by x; now\r\n' * 51))
    for where in sockets:
        r.inbox.fresh()
        assert lmtp(r, where, message()) == [250, 250]
        assert len(r.inbox.wait(2)) == 2
        for data in refused:
            assert lmtp(r, where, data) == [250, 250]
    assert not r.inbox.wait(1, 1), 'what SMTP refuses arrived'
    assert r.sealctl('status')['relay']['receive']['dropped'] == 2 * 2 * len(refused)


@case
def a_catch_all_serves_a_sub_domain_under_the_enrolled_domain(r):
    r.sealctl('alias', 'add', '*@any.relay.example.com', 'alice')
    sealed = deliver(r, r.user, message(), 'First@any.relay.example.com')
    outer = mail.split(sealed)[0]
    assert re.fullmatch(r'r-[a-z2-7]{16}@relay\.example\.com', judge.from_address(outer)), outer
    assert b'first@any.relay.example.com' in mail.field_value(outer, b'To')
    deliver(r, r.user, message(), 'second@any.relay.example.com')
    made = [a['address'] for a in r.sealctl('alias', 'list') if a['made_by_catch_all']]
    assert made == ['first@any.relay.example.com', 'second@any.relay.example.com'], made
    r.sealctl('alias', 'remove', 'first@any.relay.example.com', '--yes')
    forward.expect(r, 550, '5.1.1', ['first@any.relay.example.com'])
    forward.expect(r, 550, '5.1.1', ['first@more.any.relay.example.com'])


@case
def role_addresses_are_the_operators_alone(r):
    for rcpt in ('postmaster@any.relay.example.com', 'Abuse@any.relay.example.com'):
        code, _ = answer(r, [rcpt])
        assert 400 <= code < 500, (rcpt, code)
    assert "operator's" in sealctl_fails(r, 1, 'alias', 'add', 'abuse@relay.example.com', 'alice')
    r.configure('sealrelayd', 'relay', 'operator = carl')
    r.restart('sealrelayd')
    assert r.sealctl('status')['relay']['postmaster'] != 'active'
    for local in ('postmaster', 'abuse'):
        r.sealctl('alias', 'add', local + '@relay.example.com', 'carl')
    assert r.sealctl('status')['relay']['postmaster'] == 'active'
    deliver(r, ENROLLED['carl'][1], message(), 'postmaster')


@case
def nobodys_mailbox_lies_in_a_relay_domain(r):
    assert 'domain of this relay' in sealctl_fails(r, 1, 'user', 'add', 'loop',
                                                   'loop@relay.example.com')
    sealctl_fails(r, 1, 'user', 'add', 'loop', 'loop@any.relay.example.com')


@case
def a_suspended_profile_is_deferred_until_its_user_has_activated_it_again(r):
    profile, user, _ = ENROLLED['carl']
    r.sealctl('profile', 'suspend', profile)
    code, _ = answer(r, ['carl@relay.example.com'])
    assert 400 <= code < 500, code
    r.sealctl('profile', 'resume', profile)
    code, _ = answer(r, ['carl@relay.example.com'])
    assert 400 <= code < 500, code
    sealctl_fails(r, 1, 'profile', 'activate', profile, 'AAAAAAAA')
    r.inbox.fresh()
    r.sealctl('profile', 'notify', profile)
    r.activate(profile, user)
    deliver(r, user, message(), 'carl@relay.example.com')


def request(r, name, verb, *options):
    """A request signed by the user's first key, handed in: what sealctl printed, as a file."""
    profile, _, folder = ENROLLED[name]
    nonce = r.sealctl('profile', 'nonce', profile)['nonce']
    out = os.path.join(r.user_folder, verb + '.json')
    r.enroll('request', verb, folder, nonce, out, '--passphrase-file', r.secret(), *options)
    r.inbox.fresh()
    return r.document(verb + '.issued', 'profile', 'issue', profile, '--request', out), out


@case
def a_second_key_of_the_user_opens_mail_too_and_every_key_is_told(r):
    profile, user, _ = ENROLLED['carl']
    second = os.path.join(r.user_folder, 'second-device')
    issued, handed_in = request(r, 'carl', 'add-key', '--new-dir', second,
                                '--new-passphrase-file', r.secret())
    r.enroll('finish', second, issued, '--passphrase-file', r.secret())
    other = r.opener(second)
    with open(r.inbox.wait()[0], 'rb') as file:
        notice = mail.to_crlf(file.read())
    printed = judge.run(['openssl', 'x509', '-in', os.path.join(second, 'user.pem'), '-noout',
                         '-fingerprint', '-sha256']).decode()
    fingerprint = printed.split('=')[1].strip().replace(':', '').lower()
    for reader in (user, other):
        text = reader.open(notice)[0].decode()
        assert fingerprint in re.sub(r'\s', '', text), text
    data = message()
    sealed = deliver(r, user, data, 'carl@relay.example.com')
    judge.judge(other, data, sealed)
    assert structure(sealed).count('d.kari') == 2
    sealctl_fails(r, 1, 'profile', 'issue', profile, '--request', handed_in)  # good once


@case
def a_withdrawn_key_gets_no_more_mail(r):
    profile, user, _ = ENROLLED['carl']
    second = os.path.join(r.user_folder, 'second-device')
    request(r, 'carl', 'withdraw-key', '--key', os.path.join(second, 'user.pem'))
    assert len(r.inbox.wait()) == 1  # the notice
    sealed = deliver(r, user, message(), 'carl@relay.example.com')
    assert structure(sealed).count('d.kari') == 1
    shown = r.sealctl('profile', 'show', profile)
    assert sorted(bool(key['withdrawn']) for key in shown['keys']) == [False, True]


@case
def one_profile_of_a_user_is_active_and_correspondents_keep_their_addresses(r):
    before = judge.from_address(mail.split(deliver(r, ENROLLED['carl'][1], message(),
                                                   'carl@relay.example.com'))[0])
    old = ENROLLED['carl'][0]
    ENROLLED['carl'] = r.profile('carl', '--key', 'rsa-2048')
    states = {p['profile']: p['state'] for p in r.sealctl('profile', 'list')}
    assert states[old] == 'ready' and states[ENROLLED['carl'][0]] == 'active', states
    sealed = deliver(r, ENROLLED['carl'][1], message(), 'carl@relay.example.com')
    assert judge.from_address(mail.split(sealed)[0]) == before
    assert 'd.ktri' in structure(sealed)


@case
def a_user_deactivates_and_deletes_with_a_signature(r):
    profile = ENROLLED['carl'][0]
    request(r, 'carl', 'deactivate')
    code, _ = answer(r, ['carl@relay.example.com'])
    assert 400 <= code < 500, code
    request(r, 'carl', 'delete')
    state = next(p['state'] for p in r.sealctl('profile', 'list') if p['profile'] == profile)
    assert state == 'deleted', state
    report = subprocess.run(r.facts['sealctl'].split() + ['--json', 'token', 'report'],
                            capture_output=True, check=True).stdout.decode()
    assert profile not in report
    store = sqlite3.connect(os.path.join(r.dir, 'relay', 'store.db'))
    rows = store.execute('SELECT count(*) FROM sender_key WHERE profile = ?', (profile,))
    assert rows.fetchone()[0] == 0
    store.close()


@case
def a_reverse_alias_that_the_key_service_does_not_know_defers_and_refuses_nobody(r):
    """Somebody wrote to the database: the sender is not told 5xx for it."""
    deliver(r, r.user, message(b'victim@shop.example.net'), r.alias)
    store = sqlite3.connect(os.path.join(r.dir, 'relay', 'store.db'), isolation_level=None)
    store.execute("UPDATE correspondent SET reverse = 'r-' || substr(reverse, 4, 15) || 'a' || "
                  "substr(reverse, 19)")
    store.execute('DELETE FROM sender_key')
    code, text = answer(r, [r.alias], message(b'victim@shop.example.net'))
    store.execute('DELETE FROM correspondent')
    store.close()
    assert 400 <= code < 500, (code, text)


@case
def the_operator_orders_what_waits(r):
    r.stop('sealdeliver')
    for _ in range(2):
        mail.send_retrying(r.smtp_port, 'bob@shop.example.net', r.alias, message(), 60)
    first, second = (entry['id'] for entry in r.sealctl('queue', 'list'))

    def state(entry):
        return r.sealctl('queue', 'show', entry)['state']
    r.wait_until(lambda: 'active' not in (state(first), state(second)), 'nothing is tried')
    assert r.sealctl('queue', 'hold', first)['changed'] == 1 and state(first) == 'held'
    assert 'held: release it first' in sealctl_fails(r, 1, 'queue', 'retry', first)
    assert 'nothing to hold' in sealctl_fails(r, 1, 'queue', 'hold', first)
    assert state(second) != 'held'
    r.wait_until(lambda: state(second) == 'ready', 'second waits')
    r.sealctl('queue', 'drop', second, '--yes')
    assert [entry['id'] for entry in r.sealctl('queue', 'list')] == [first]
    sealctl_fails(r, 1, 'queue', 'show', second)
    sealctl_fails(r, 1, 'queue', 'drop', second, '--yes')
    r.start('sealdeliver')
    assert r.sealctl('queue', 'flush')['changed'] == 0
    r.sealctl('queue', 'release', first)
    assert len(r.inbox.wait()) == 1
    sealctl_fails(r, 1, 'queue', 'release', first)


@case
def status_tells_of_each_next_hop_how_it_fares(r):
    hop = r.sealctl('status')['relay']['next_hops'][0]
    assert hop['domain'] == 'default' and hop['failures'] == 0 and not hop['backing_off_until'], hop
    assert hop['last_result'].startswith('250 2.0.0 Ok: queued as '), hop
    assert hop['last_session'] > time.time() - 600 and '@' not in str(hop), hop


@case
def draining_takes_nothing_new_and_ends_when_the_queue_is_empty(r):
    r.stop('sealdeliver')
    mail.send_retrying(r.smtp_port, 'bob@shop.example.net', r.alias, message(), 60)
    drain = subprocess.Popen(r.facts['sealctl'].split() + ['drain'], stdout=subprocess.DEVNULL,
                             stderr=subprocess.PIPE)
    r.wait_until(lambda: r.sealctl('drain', '--status')['draining'], 'draining')
    code, _ = answer(r, [r.alias])
    assert 400 <= code < 500, code
    assert drain.poll() is None
    r.start('sealdeliver')
    assert drain.wait(60) == 0
    assert len(r.inbox.wait()) == 1
    r.sealctl('drain', '--stop')
    code, text = answer(r, [r.alias])
    assert code == 250, text
    assert len(r.inbox.wait()) == 1


@case
def an_entry_whose_lifetime_is_over_is_kept_as_failed_and_can_be_tried_again(r):
    r.configure('sealrelayd', 'queue', 'lifetime = 60s', 'retry_first = 2s', 'retry_max = 60s')
    r.stop('sealdeliver')
    r.restart('sealrelayd')
    mail.send_retrying(r.smtp_port, 'bob@shop.example.net', r.alias, message(), 60)
    entry = r.sealctl('queue', 'list')[0]['id']
    # It was taken an hour ago, says the row: not a time that the entry's seal depends on.
    queue = os.path.join(r.dir, 'relay', 'queue', 'queue.db')
    r.stop('sealrelayd')
    rows = sqlite3.connect(queue, isolation_level=None)
    rows.execute('UPDATE entry SET since_s = since_s - 50')
    rows.close()
    r.start('sealrelayd')
    r.wait_until(lambda: r.sealctl('queue', 'show', entry)['state'] == 'failed', 'failed', 60)
    assert 'lifetime' in r.sealctl('queue', 'show', entry)['last_result']
    assert r.sealctl('status')['relay']['queue']['failed'] == 1
    r.start('sealdeliver')
    assert not r.inbox.wait(1, 1)
    r.sealctl('queue', 'retry', entry)
    assert len(r.inbox.wait()) == 1
    r.wait_until(lambda: r.sealctl('queue', 'list') == [], 'it is not kept once delivered')


@case
def journal_verify_sees_a_changed_byte(r):
    verdict = r.sealctl('journal', 'verify')
    assert verdict['good'] is True, verdict
    path = os.path.join(r.dir, 'hsm', 'journal')
    with open(path, 'r+b') as file:
        at = file.read().index(b'sender-cert')
        for byte, code in ((b'z', 1), (b's', 0)):
            file.seek(at)
            file.write(byte)
            file.flush()
            done = subprocess.run(r.facts['sealctl'].split() + ['journal', 'verify'],
                                  capture_output=True, check=False)
            assert done.returncode == code, (byte, done)
            assert code == 0 or b'not what was written' in done.stderr, done


@case
def token_report_tells_every_key_and_what_its_loss_means(r):
    report = r.sealctl('token', 'report')
    keys = [key for token in report['tokens'] for key in token['keys']]
    kinds = {key['kind'] for key in keys}
    assert {'CA key', 'KEK', 'spool key', 'store key', 'record key', 'journal key'} <= kinds, kinds
    for key in keys:
        assert key['loss'] and key['as_required'] is True, key
        assert key['attributes']['CKA_EXTRACTABLE'] is False, key
    assert all('cannot' in token and token['wrap_mechanism'] for token in report['tokens'])


@case
def a_key_service_that_never_answers_is_shown_by_status_and_exit_code(r):
    os.kill(r.pid('sealhsmd'), signal.SIGSTOP)
    start = time.monotonic()
    try:
        sealctl_fails(r, 75, 'status')
    finally:
        os.kill(r.pid('sealhsmd'), signal.SIGCONT)
    assert time.monotonic() - start < 90


if __name__ == '__main__':
    sys.exit(forward.main(sys.argv[1], CASES))
