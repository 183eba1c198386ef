# SPDX-License-Identifier: GPL-3.0-or-later
"""Every part taken away from a running relay, and given back.

While a part is away strangers write, and the user answers one of them: each is told 4xx in time, or
250 and the message waits. Nothing of a message lies anywhere in clear, what was acknowledged arrives,
a reply that was deferred is taken when it comes again, and service is back without a restart of the
relay. The table says how each outage went.

    outage.py BUILD        a sample that takes a few minutes
    outage.py BUILD all    every outage
    outage.py BUILD WORD   those whose name holds the word

Faults that a smaller test provokes better:

    a sync that fails once            queue_fault_test, store_crash_test
    kill -9 at every step             crash, queue_crash_test, deliver_crash_test
    a shortage behind RCPT            reply_many, before_queue, after_queue
    the power fails                   powercut
    damaged rows and files            queue_damage_test, tamper_test
    a second process on one folder    queue_test, sealhsmd_test, sql_test
    a clock that jumps                queue_delivery_test, deliver_lane_test
    a hundred thousand entries        queue_load_test
    a log that nobody reads           log_test
    a worker that dies or hangs       deliver_loss_test
    PKCS#11 answers of all kinds      token_fault_test
    a PIN that is refused             token_fault_test, sealhsmd_test
    a module that hangs               sealhsmd_test, client_test
    too many, slow, greedy clients    receive_limits_test
    signals in every phase            receive_server_test
"""
import contextlib
import os
import signal
import sys
import tempfile

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '../support'))
import mail
import marked
import relay
from outage_cases import OUTAGES
from outages import AFTER, SERVED, Friend, User, seconds_until, send, served

RCPT_S = 12     # a front waits 100 s for its filter; a stranger shall not
REPLIES = 2
ANSWER_S = 25   # from the first command to the answer to the message
LOG_LINES = 8   # of each program, when an outage went wrong


def answers_wrong(wanted, some):
    """Why the answers are not what they have to be, or None."""
    for one in some:
        good = {'4xx': 400 <= one.code < 500, '250': one.code == 250,
                'either': one.code in (0, 250) or 400 <= one.code < 500}[wanted]
        if not good:
            return 'answered %d at %s' % (one.code, one.stage)
        if one.rcpt_s > RCPT_S:
            return 'RCPT took %.1f s' % one.rcpt_s
        if one.seconds > ANSWER_S and one.code:
            return 'answered after %.1f s' % one.seconds
    return None


def replies_wrong(r, o, answers):
    """The user's, once service is back: what was deferred comes again, and all of it twice."""
    wrong = answers_wrong(o.replies, answers)
    for one in answers:
        one.again()
    r.wait_until(lambda: all(one.count() for one in answers), 'the replies arrive', 90)
    for one in answers:
        one.repeat()
    r.wait_until(lambda: not r.sealctl('queue', 'list'), 'the queue is empty', 60)
    if not o.kills and any(one.count() > 1 for one in answers):
        wrong = wrong or 'a reply arrived twice'
    found = [path for one in answers for path in one.on_disk()]
    wrong = wrong or ('a reply is in clear in ' + found[0] if found else None)
    return wrong and 'replies: ' + wrong


def run(r, arrivals, o):
    r.relay_pid = r.pid('sealrelayd')
    SERVED.clear()
    answers = [User(r) for _ in range(REPLIES)]
    with o.begin(r) as before:
        for one in answers:
            one.start()
        some = send(r, o.strangers, known=o.answers == '250')
        for one in answers:
            one.join()
        in_clear = marked.in_clear(r, some[0].name_in_mail) + answers[0].on_disk()
    wrong = answers_wrong(o.answers, some)
    some = (before or []) + some
    seconds = seconds_until(lambda: served(r), o.back_s)
    wrong = wrong or replies_wrong(r, o, answers)
    for one in some:
        one.again()
    some += SERVED
    missing = arrivals.wait([one.name_in_mail for one in some], 90)
    in_clear += [path for one in some[:3] + some[-1:] for path in
                 marked.in_clear(r, one.name_in_mail)]
    twice = [one for one in some if arrivals.count(one.name_in_mail) > 1]
    if missing:
        wrong = wrong or '%d of %d never arrived' % (len(missing), len(some))
    if twice and not o.kills and not any(one.code == 0 for one in twice):
        wrong = wrong or '%d arrived twice' % len(twice)
    if in_clear or arrivals.unsealed:
        wrong = wrong or 'in clear in ' + (in_clear + arrivals.unsealed)[0]
    if not relay.alive(r.relay_pid) and 'starts' not in o.name:
        wrong = wrong or 'the relay ended'
    r.wait_until(lambda: not r.sealctl('queue', 'list'), 'the queue is empty', 60)
    return row(some, answers, seconds, len(twice), wrong)


def told(some):
    words = {}
    for one in some:
        word = 'no answer' if one.code == 0 else '%d at %s' % (one.code, one.stage)
        words[word] = words.get(word, 0) + 1
    return ', '.join('%d x %s' % (n, word) for word, n in sorted(words.items()))


def row(some, answers, seconds, twice, wrong):
    return {'told': '%s; replies %s' % (told(some), told(answers)),
            'rcpt': max([one.rcpt_s for one in some + answers] or [0]),
            'answer': max([one.seconds for one in some + answers] or [0]),
            'arrived': '%d%s' % (len(some) + len(answers), ' (%d twice)' % twice if twice else ''),
            'again': seconds, 'wrong': wrong}


def set_right(r):
    """After an outage that did not end as it should: the others are to be judged by themselves."""
    for name in ('sealhsmd', 'sealdeliver', 'sealrelayd'):
        with contextlib.suppress(ProcessLookupError):
            os.kill(r.pid(name), signal.SIGCONT)
        r.restart(name)
    r.sealctl('token', 'unlock')


def logs(r):
    """The last lines of each program, for who has to find out why."""
    for name in ('sealrelayd', 'sealhsmd', 'sealdeliver'):
        with open(os.path.join(r.dir, 'log', name + '.log'), encoding='utf-8',
                  errors='replace') as file:
            print('    --- %s\n%s' % (name, ''.join('    ' + line for line in
                                                   file.readlines()[-LOG_LINES:])))


def chosen(word):
    if word == 'all':
        return OUTAGES
    return [o for o in OUTAGES if (o.sample if word is None else word in o.name)]


def main(build, word=None):
    wrong = 0
    clock = tempfile.NamedTemporaryFile('w', suffix='.clock', delete=False)
    clock.write('0\n')
    clock.close()
    os.environ['SEALRELAY_CLOCK_FILE'] = clock.name
    with relay.Relay(build) as r:
        r.clock = 0
        arrivals = marked.Arrivals(r.inbox)
        r.friend = Friend(r)
        r.sealctl('profile', 'policy', r.sealctl('profile', 'list')[0]['profile'], '--reply-pass',
                  'waived')
        r.wait_until(lambda: served(r), 'the first message', 60)
        for o in chosen(word):
            try:
                seen = run(r, arrivals, o)
            except (AssertionError, OSError, mail.Refused) as failure:
                seen = row([], [], 0, 0, '%s: %s' % (type(failure).__name__, failure))
            finally:
                while AFTER:
                    AFTER.pop()()
            wrong += seen['wrong'] is not None
            print('%s\n    told %s; slowest RCPT %.1f s, answer %.1f s\n    arrived %s; service again '
                  'after %.1f s\n    %s' % (o.name, seen['told'], seen['rcpt'], seen['answer'],
                                           seen['arrived'], seen['again'],
                                           'WRONG: ' + seen['wrong'] if seen['wrong'] else 'good'),
                  flush=True)
            if seen['wrong']:
                logs(r)
                set_right(r)
    os.unlink(clock.name)
    print('%d outages, %d wrong' % (len(chosen(word)), wrong))
    return 1 if wrong or not chosen(word) else 0


if __name__ == '__main__':
    sys.exit(main(*sys.argv[1:3]))
