# SPDX-License-Identifier: GPL-3.0-or-later
"""Nothing that is not proven passes: whatever is wrong with a message to a reverse alias, it gets one
answer, equal in bytes, and one line in the log; nothing of it is kept, sent or told. Real daemons and
keys that were really enrolled, withdrawn and left to expire; a script plays rspamd."""
import calendar
import os
import re
import sys
import tempfile
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '../support'))
import corpus
import forged
import judge
import mail
import marked
import relay
import replies
import reply
import unproven_kinds as kinds
from replies import MAILBOX
from reply import REFUSED, Conversation, arrived, good, policy
from unproven_kinds import HOME, NOTHING, being, put
from watch import EXPECTED, Watch, nothing_left, refused, trace_key_service

CASES = []
PEOPLE = {}
DAY = 86400
SHARED = os.path.join(os.path.dirname(relay.TOP), 'shared/corpus')
SAMPLES = [path for path in (os.path.join(SHARED, 'attack-crypto.tar.gz'),
                             os.path.join(SHARED, 'smime.tar.gz')) if os.path.exists(path)]


def case(function):
    CASES.append(function)
    return function


def carl(r):
    """Another user, with keys on a curve that last a year, and a mailbox that no profile has."""
    if 'carl' not in PEOPLE:
        mailboxes = ['%s@home.example.com' % name for name in ('carl', 'c.arl', 'private')]
        PEOPLE['carl'] = kinds.enrol(r, 'carl', mailboxes, 'post@relay.example.com', '--address',
                                     mailboxes[0], '--address', mailboxes[1], '--key', 'p-256',
                                     '--user-days', '365')
    return PEOPLE['carl']


@case
def whatever_is_not_proven_gets_one_answer_and_one_line(r):
    other_user = carl(r)
    policy(r)
    talk, other = Conversation(r), Conversation(r, 'carol')
    marker = marked.marker()
    text = replies.entity(b'The word is %s here.\n' % marked.secret(marker))
    groups = {'sender': kinds.senders(r, text, talk.reverse, talk.cert, other_user),
              'signature': kinds.signatures(r, text, talk.reverse, talk.cert, talk, other_user),
              'envelope': kinds.envelopes(r, text, talk.reverse, talk.cert, other)}
    assert marked.secret(marker) in other.box.next()  # kinds.envelopes sent one that is good
    r.wait_until(lambda: not r.sealctl('queue', 'list'), 'the queue is empty')
    said = set()
    for group, messages in groups.items():
        for name, (data, verdict) in messages.items():
            line, used = refused(r, name, data, talk.reverse, verdict, STEPS.get(name))
            said.add(line.split(' entry=')[0].rstrip())
            if group == 'sender' or name in WITHOUT_KEY:
                assert used == 0, '%s: %d keys used' % (name, used)
            elif group == 'signature' or name.startswith('content key'):
                assert used == 1, '%s: %d keys used' % (name, used)
    assert len(said) == 1, said
    talk.box.nothing()
    other.box.nothing()
    nothing_left(r, marker)
    print('    %d kinds' % sum(len(messages) for messages in groups.values()))
    lmtp_drops_and_counts(r, talk, {**groups['sender'], **groups['signature'],
                                    **groups['envelope']})
    nothing_left(r, marker)


@case
def a_first_mail_that_proves_nothing_makes_nobody(r):
    other_user = carl(r)
    policy(r)
    talk = Conversation(r)
    to = 'shop+new=shop.example.net@relay.example.com'
    text = replies.entity(b'The word is hello.\n')
    before = r.sealctl('correspondent', 'list')
    messages = {**kinds.senders(r, text, to, None, other_user),
                **kinds.signatures(r, text, to, None, talk, other_user),
                'encrypted to another': (replies.message(replies.fields(to), r.client.sealed(
                    text, [talk.cert])), HOME),
                'not in To': (replies.message(replies.fields('list@shop.example.net'),
                                              r.client.sign(text)), HOME)}
    for name, (data, verdict) in messages.items():
        assert refused(r, name, data, to, verdict)[1] == 0, name
    assert r.sealctl('correspondent', 'list') == before
    nothing_left(r)


# With the user's pass, but nothing that is encrypted to this reverse alias.
WITHOUT_KEY = ('in clear', 'signed outside', 'to another conversation', 'to nobody of ours',
               'sent in another conversation before', 'sent before, not encrypted',
               'ciphertext in a multipart', 'base64 that is none')


# Of those that only the pass is wrong with.
WAIVED = ('no pass', 'DMARC fails', 'a pass of another domain',
          'public, encrypted by a stranger, no pass')


# What the receiver sees in the bytes themselves, before anybody asks whose they are.
STRAY = ['flow.reply ERR_UNPROVEN', 'receive.message ERR_BARE_LINE']
STEPS = {'a bare CR': STRAY, 'a bare LF': STRAY, 'a NUL': STRAY}


def lmtp_drops_and_counts(r, talk, messages):
    lmtp = os.path.join(r.dir, 'run', 'lmtp.sock')
    dropped = r.sealctl('status')['relay']['receive']['dropped']
    said = {re.sub('queued as [a-z2-7]{16}', 'queued as ID',
                   put(r, data, talk.reverse, verdict, lmtp))
            for data, verdict in messages.values()}
    assert said == {'250 2.0.0 Done: queued as ID'}, said
    assert r.sealctl('status')['relay']['receive']['dropped'] == dropped + len(messages)
    talk.box.nothing()


@case
def a_message_that_is_too_big_is_refused_like_any_other(r):
    talk = Conversation(r)
    r.configure('sealrelayd', 'limits', 'message_size = 64K')
    r.restart('sealrelayd')
    body = replies.entity(b'a line of a big file, in clear\n' * 3000)
    refused(r, 'too big', replies.message(replies.fields(talk.reverse), body), talk.reverse, HOME,
            ['flow.reply ERR_UNPROVEN', 'receive.message ERR_TOO_BIG'])
    r.configure('sealrelayd', 'limits', 'message_size = 25M')
    r.restart('sealrelayd')


@case
def where_the_pass_is_waived_the_signature_must_be_the_senders(r):
    other_user = carl(r)
    policy(r, reply_pass='waived')
    alias = 'waived@relay.example.com'
    r.sealctl('alias', 'add', alias, 'alice')
    text = replies.entity(b'The word is hello.\n')
    # each conversation for itself, for after 20 failures an hour the answer is another
    talk = Conversation(r, alias=alias)
    messages = kinds.senders(r, text, talk.reverse, talk.cert, other_user)
    for name in WAIVED:
        del messages[name]
    assert len(messages) < 20
    talks = {talk: messages, Conversation(r, 'carol', alias=alias): {},
             Conversation(r, 'dave', alias=alias): {}}
    for half, (to, of) in enumerate(list(talks.items())[1:]):
        wrong = kinds.signatures(r, text, to.reverse, to.cert, to, other_user)
        of.update(list(wrong.items())[half::2])
        assert len(of) < 20
    for to, of in talks.items():
        for name, (data, _) in of.items():
            refused(r, name, data, to.reverse, NOTHING)
        reply.reply(r, good(r, to), to.reverse, passed=False)
        arrived(to.box)
    policy(r)
    nothing_left(r)


@case
def what_is_just_good_enough_passes(r):
    policy(r)
    talk = Conversation(r)
    mine, now = r.user.identity, time.time()

    def passes(entity, **header):
        data = replies.message(replies.fields(talk.reverse, **header),
                               r.client.encrypt(entity, [talk.cert]))
        text = put(r, data, talk.reverse, HOME)
        assert text.startswith('250'), text
        arrived(talk.box)
    passes(forged.signed(mine, replies.entity(), now - 7 * DAY + 300))
    passes(forged.signed(mine, replies.entity(), now + 3300))
    passes(forged.signed(mine, replies.entity(), detached=False))
    passes(r.client.sign(replies.entity()), sender=MAILBOX.title())
    person = carl(r)
    with being(r, person):
        talk = Conversation(r, 'carol', alias='post@relay.example.com')
        for sender in ('carl@home.example.com', 'C.Arl@home.example.com'):
            passes(r.client.sign(replies.entity()), sender=sender)
        line, used = refused(r, 'a mailbox that the profile has not', replies.message(
            replies.fields(talk.reverse, sender='private@home.example.com'),
            r.client.sealed(replies.entity(), [talk.cert])), talk.reverse, HOME)
        assert used == 0 and line


@case
def a_withdrawn_key_proves_nothing_any_more(r):
    person = carl(r)
    second = os.path.join(r.user_folder, 'second-device')
    issued = kinds.request(r, person, 'add-key', '--new-dir', second, '--new-passphrase-file',
                           r.secret())
    r.enroll('finish', second, issued, '--passphrase-file', r.secret())
    identity = r.opener(second).identity
    with being(r, person):
        talk = Conversation(r, 'carol', alias='post@relay.example.com')

        def message(key):
            return replies.message(
                replies.fields(talk.reverse, sender='carl@home.example.com'),
                r.client.sealed(replies.entity(), [talk.cert], identity=key))
        for key in (identity, person.user.identity):
            assert put(r, message(key), talk.reverse, HOME).startswith('250')
            arrived(talk.box)
        kinds.request(r, person, 'withdraw-key', '--key', os.path.join(second, 'user.pem'))
        assert refused(r, 'withdrawn', message(identity), talk.reverse, HOME)[1] == 1
        assert put(r, message(person.user.identity), talk.reverse, HOME).startswith('250')
        arrived(talk.box)
        person.inbox.fresh()  # each change of a key is told
        talk.box.nothing()


@case
def nobody_can_have_a_reply_sent_again(r):
    policy(r)
    talk, other = Conversation(r), Conversation(r, 'carol')
    signed = r.client.sign(replies.entity())
    sealed = r.client.encrypt(signed, [talk.cert])
    header = replies.fields(talk.reverse)
    data = replies.message(header, sealed)
    reply.reply(r, data, talk.reverse)
    arrived(talk.box)
    reply.reply(r, data, talk.reverse)  # a client that missed the answer
    reply.reply(r, replies.message(replies.fields(talk.reverse),
                                   r.client.encrypt(signed, [talk.cert])), talk.reverse)
    r.restart('sealrelayd')
    reply.reply(r, data, talk.reverse)
    for again in (r.client.encrypt(signed, [other.cert]),
                  r.client.encrypt(signed, [other.cert, talk.cert]), signed):
        refused(r, 'again', replies.message(header, again), other.reverse, HOME)
    r.wait_until(lambda: not r.sealctl('queue', 'list'), 'the queue is empty')
    talk.box.nothing()
    other.box.nothing()
    # signed only: the copies of one message
    time.sleep(1)
    header = replies.fields(talk.reverse, cc=other.reverse)
    data = replies.message(header, r.client.sign(replies.entity(b'Hello both.\n')))
    reply.reply(r, data, talk.reverse)
    reply.reply(r, data, other.reverse)
    arrived(talk.box)
    arrived(other.box)


@case
def guessing_without_a_pass_is_slowed_down_and_nobody_else_is(r):
    talk, other = Conversation(r), Conversation(r, 'carol')

    def flood(n):
        bare = replies.message(replies.fields(talk.reverse),
                               r.client.encrypt(replies.entity(), [talk.cert]))
        return [put(r, bare, talk.reverse, NOTHING) for _ in range(n)]
    policy(r)
    watch = Watch(r)
    assert set(flood(30)) == {REFUSED} and watch.keys_used() == 0
    policy(r, reply_pass='waived')
    watch = Watch(r)
    answers = flood(22)
    assert answers[:20] == [REFUSED] * 20, answers
    assert all(text.startswith('451 4.7.1') for text in answers[20:]), answers
    assert watch.keys_used() == 20, watch.keys_used()
    put(r, good(r, talk), talk.reverse, NOTHING)
    talk.box.nothing()
    for passed, to in ((True, talk), (False, other)):
        reply.reply(r, good(r, to), to.reverse, passed=passed)
        arrived(to.box)
    policy(r)


def sample_markers(raw):
    """Lines of a sample that stand nowhere else."""
    found = [line.strip() for line in raw.splitlines() if 40 <= len(line.strip()) <= 200]
    return found[len(found) // 4::max(1, len(found) // 3)][:4]


def found_any(r, markers):
    """Those of the markers that lie in a file of ours."""
    found = []
    for part in ('relay', 'hsm', 'run', 'log', 'etc', 'token', 'postfix'):
        for folder, _, names in os.walk(os.path.join(r.dir, part)):
            for name in names:
                path = os.path.join(folder, name)
                if os.path.isfile(path):
                    with open(path, 'rb') as file:
                        data = file.read()
                    found += [(path, marker) for marker in markers if marker in data]
    return found


def as_the_users(raw):
    """A sample with the user's From and no other, as far as it has a header."""
    header, body = mail.split(mail.to_crlf(raw))
    fields = b''.join(whole for name, whole in mail.fields(header) if name.lower() != b'from')
    return b'From: Alice <' + MAILBOX.encode() + b'>\r\n' + fields + b'\r\n' + body


def wrapped(r, raw, cert):
    """What a sample holds, in an envelope for the reverse alias."""
    header, body = mail.split(mail.to_crlf(raw))
    entity = b''.join(mail.content_fields(header)) + b'\r\n' + body
    return replies.message(b'From: Alice <' + MAILBOX.encode() + b'>\n', r.client.encrypt(
        entity, [cert], '-aes128', '-binary'))


@case
def samples_of_other_projects_are_refused_and_leave_nothing(r):
    policy(r)
    talk = Conversation(r)
    samples = list(corpus.messages(SAMPLES, 1))
    assert len(samples) > 100 or not SAMPLES, len(samples)
    markers = [marker for _, raw in samples for marker in sample_markers(raw)]
    before = set(found_any(r, markers))
    tried = {'no pass': 0, 'a pass': 0, "the user's own": 0, 'in an envelope': 0}
    keys = {name: 0 for name in tried}
    for name, raw in samples:
        as_is = mail.to_crlf(raw)
        for how, data, verdict in (('no pass', as_is, NOTHING), ('a pass', as_is, HOME),
                                   ("the user's own", as_the_users(raw), HOME),
                                   ('in an envelope', wrapped(r, raw, talk.cert), HOME)):
            watch = Watch(r)
            text = put(r, data, talk.reverse, verdict)
            assert text == REFUSED, (name, how, text)
            steps, lines = watch.steps()
            assert steps in (EXPECTED, STRAY), (name, how, steps)
            assert not watch.complaints(), (name, how, watch.complaints())
            tried[how] += 1
            keys[how] += watch.keys_used()
    assert set(tried.values()) == {len(samples)}, tried
    assert keys == {'no pass': 0, 'a pass': 0, "the user's own": 0,
                    'in an envelope': len(samples)}, keys
    talk.box.nothing()
    nothing_left(r)
    assert set(found_any(r, markers)) == before
    print('    %d samples, each in %d ways' % (len(samples), len(tried)))


@case
def the_key_of_another_profile_of_the_same_user_proves_nothing(r):
    alias, sender = 'erins@relay.example.com', 'erin@home.example.com'
    old = kinds.enrol(r, 'erin', [sender], alias)
    with being(r, old):
        talk = Conversation(r, alias=alias)
        new = kinds.Person(r, 'erin', *r.profile('erin'))
        states = {p['profile']: p['state'] for p in r.sealctl('profile', 'list')}
        assert states[old.profile] == 'ready' and states[new.profile] == 'active', states

        def message(person, *certs):
            return replies.message(replies.fields(talk.reverse, sender=sender),
                                   person.client.sealed(replies.entity(), list(certs)))

        def passes(data):
            assert put(r, data, talk.reverse, HOME).startswith('250')
            arrived(talk.box)
        passes(message(old, talk.cert))
        assert refused(r, 'new key', message(new, talk.cert), talk.reverse, HOME)[1] == 1
        with being(r, new):
            again = Conversation(r, alias=alias)
        assert again.reverse == talk.reverse and again.cert != talk.cert
        passes(message(new, again.cert))
        passes(message(old, talk.cert))
        passes(message(new, talk.cert, again.cert))
        refused(r, 'new key, old profile', message(new, talk.cert), talk.reverse, HOME)
        refused(r, 'old key, new profile', message(old, again.cert), talk.reverse, HOME)
        r.sealctl('profile', 'delete', new.profile, '--yes')
        refused(r, 'deleted', message(new, again.cert), talk.reverse, HOME)
        refused(r, 'deleted', message(new, talk.cert), talk.reverse, HOME)
        passes(message(old, talk.cert))


@case
def days_later_what_was_signed_once_opens_nothing(r):
    talk, other = Conversation(r), Conversation(r, 'carol')
    mine, now = r.user.identity, time.time()

    def message(to, entity, recipient=None):
        return replies.message(replies.fields(to.reverse), entity if not recipient else
                               r.client.encrypt(entity, [recipient.cert]))
    sent = forged.signed(mine, replies.entity(b'To one of you.\n'), now)
    public = forged.signed(mine, replies.entity(b'To all on the list.\n'), now)
    reply.reply(r, message(talk, sent), talk.reverse)
    arrived(talk.box)
    for days in (2, 6):
        r.clock(days * DAY)
        for recipient in (None, other):
            refused(r, 'sent', message(other, sent, recipient), other.reverse, HOME)
        reply.reply(r, message(talk, sent, talk), talk.reverse)
    r.clock(7 * DAY + 600)
    for to in (talk, other):
        for entity in (sent, public):
            for recipient in (None, to):
                refused(r, 'old', message(to, entity, recipient), to.reverse, HOME)
    r.wait_until(lambda: not r.sealctl('queue', 'list'), 'the queue is empty')
    talk.box.nothing()
    other.box.nothing()
    reply.reply(r, message(talk, forged.signed(mine, replies.entity(), now + 7 * DAY + 600), talk),
                talk.reverse)
    arrived(talk.box)


@case
def an_expired_key_counts_for_90_days_and_no_longer(r):
    person = carl(r)
    r.clock(8 * DAY)
    end = judge.run(['openssl', 'x509', '-noout', '-enddate', '-dateopt', 'iso_8601'], person.cert)
    end = calendar.timegm(time.strptime(end.decode().strip(), 'notAfter=%Y-%m-%d %H:%M:%SZ'))
    with being(r, person):
        talk = Conversation(r, 'carol', alias='post@relay.example.com')

        def message(when):
            """As it is sent then, with a clock that has come to it."""
            r.clock(int(when - time.time()))
            signed = forged.signed(person.user.identity, replies.entity(), when)
            return replies.message(
                replies.fields(talk.reverse, sender='carl@home.example.com'),
                r.client.encrypt(signed, [talk.cert]))
        for when in (end - 3600, end + 3600, end + 90 * DAY - 3600):
            text = put(r, message(when), talk.reverse, HOME)
            assert text.startswith('250'), (when - end, text)
            arrived(talk.box)
        assert refused(r, 'expired', message(end + 90 * DAY + 60), talk.reverse, HOME)
        r.wait_until(lambda: not r.sealctl('queue', 'list'), 'the queue is empty')
        talk.box.nothing()


def main(build, names):
    with tempfile.NamedTemporaryFile('w', encoding='ascii') as clock:
        os.environ['SEALRELAY_CLOCK_FILE'] = clock.name
        os.chmod(clock.name, 0o644)

        def set_clock(seconds):
            clock.seek(0)
            clock.truncate()
            clock.write('%d\n' % seconds)
            clock.flush()
        set_clock(0)

        def prepare(r):
            r.clock = set_clock
            trace_key_service(r)
        return reply.main(build, [prepare] + [c for c in CASES if not names or c.__name__ in names])


if __name__ == '__main__':
    sys.exit(main(sys.argv[1], sys.argv[2:]))
