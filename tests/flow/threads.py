# SPDX-License-Identifier: GPL-3.0-or-later
"""Threads in both directions: what the user answers is an answer at the correspondent's, and what the
correspondent answers is one at the user's, whatever ids their clients make, and long after."""
import os
import re
import sys
import tempfile

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '../support'))
import correspondence as w
import mail
import relay
import replies

CASES = []
CLOCK = tempfile.NamedTemporaryFile('w', suffix='.clock', encoding='ascii')  # lives as long as we
OTHER_ALIAS = 'forum@relay.example.com'
EXCHANGE = '<%s@DB7PR04MB0001.eurprd04.prod.outlook.com>' % ('AM9PR04MB' + 'F' * 230)
OURS = {  # ids as the user's client makes them
    'Thunderbird': '<8f1b2c3d-0000-4000-8000-000000000001@home.example>',
    'Exchange, long': EXCHANGE.replace('DB7PR04MB0001.eurprd04.prod.outlook.com',
                                       'EX1.janes-laptop.home.example'),
    'as long as a line': '<%s@home.example>' % ('x' * 960),
    'odd characters': "<!#$%&'*+-/=?^_`{|}~.1@[192.168.77.5]>",
    'no @': '<janes-laptop.home.example.1234>',
    'quoted': '<"jane.roe 1"@home.example>'.replace(' ', '.'),
    'upper case': '<ABC.1234@HOME.EXAMPLE>',
}
THEIRS = {'Exchange, long': EXCHANGE, 'as long as a line': '<%s@corp.example>' % ('y' * 960),
          'odd characters': "<!#$%&'*+-/=?^_`{|}~.2@[192.0.2.5]>", 'no @': '<corp.example.1234>'}


def case(function):
    CASES.append(function)
    return function


def ids(header, name):
    value = mail.field_value(header, name.encode())
    return value.decode().split() if value else []


def answer(r, references, sender='bob@corp.example', ident=None, alias=w.ALIAS):
    """What the user sees of a stranger's answer: its outer header; the protected one says the same."""
    sealed = w.letter(r, sender, ident, references, alias=alias)
    inner = mail.split(r.jane.open(sealed)[0])[0]
    outer = mail.split(sealed)[0]
    for name in ('Message-ID', 'In-Reply-To', 'References'):
        assert ids(inner, name) == ids(outer, name), name
    assert all(byte < 0x80 for byte in outer)
    return outer


def left(r, talk, **header):
    """The header that leaves for a reply."""
    found = mail.split(w.reply(r, talk, replies.entity(), w.fields(talk.reverse, **header)).message)[0]
    assert not re.search(b'(?i)home.example|jane|192.168', found), found
    return found


def must_be(got, want, what):
    assert got == want, '%s: %s, not %s' % (what, got, want)


@case
def ids_of_every_kind_hold_a_thread_together(r):
    talk = w.Talk(r)
    for name, own in OURS.items():
        header = left(r, talk, ident=own, references=[talk.ident])
        must_be(ids(header, 'In-Reply-To'), [talk.ident], name)
        there = ids(header, 'Message-ID')[0]
        must_be(ids(answer(r, [talk.ident, there]), 'References'), [talk.ident, own], name)
        must_be(ids(answer(r, [there]), 'In-Reply-To'), [own], name)
        later = left(r, talk, references=[talk.ident, own])
        must_be(ids(later, 'References'), [talk.ident, there], name)
    for name, theirs in THEIRS.items():
        must_be(ids(answer(r, [], ident=theirs), 'Message-ID'), [theirs], name)
        must_be(ids(left(r, talk, references=[theirs]), 'References'), [theirs], name)
        must_be(ids(left(r, talk, references=[theirs]), 'In-Reply-To'), [theirs], name)


@case
def an_id_that_is_not_ascii_has_another_name_at_the_users(r):
    talk = w.Talk(r)
    theirs = '<gr\u00fc\u00dfe-1@corp.example>'
    made = ids(answer(r, [], ident=theirs), 'Message-ID')
    assert len(made) == 1 and made[0].endswith('@relay.example.com>'), made
    follow = answer(r, [theirs])
    must_be(ids(follow, 'References'), made, 'the next one')
    must_be(ids(follow, 'In-Reply-To'), made, 'the next one')
    must_be(ids(answer(r, [], ident=theirs), 'Message-ID')[0] != '', True, 'the same once more')
    must_be(ids(answer(r, [theirs]), 'References'), made, 'after the same came once more')
    header = left(r, talk, references=[talk.ident, made[0]])
    must_be(ids(header, 'References'), [talk.ident, made[0]], 'the reply')
    own = '<gr\u00fc\u00dfe-2@home.example>'
    header = left(r, talk, ident=own, references=[talk.ident])
    there = ids(header, 'Message-ID')[0]
    must_be(ids(answer(r, [talk.ident, there]), 'References'), [talk.ident, there], 'unnamed')


@case
def long_references_keep_their_first_and_last_ids(r):
    talk = w.Talk(r)
    own = [replies.fresh_id('home.example') for _ in range(3)]
    there = [ids(left(r, talk, ident=ident), 'Message-ID')[0] for ident in own]
    chain = [replies.fresh_id('corp.example') for _ in range(45)]
    chain[0], chain[20], chain[44] = own
    header = left(r, talk, references=chain)
    sent = [there[own.index(ident)] if ident in own else ident for ident in chain]
    must_be(ids(header, 'References'), sent[:1] + sent[-31:], 'to the stranger')
    must_be(ids(header, 'In-Reply-To'), sent[-1:], 'to the stranger')
    must_be(ids(answer(r, sent), 'References'), chain[:1] + chain[-31:], 'to the user')


@case
def an_answer_to_what_was_sent_to_several_threads_for_all_of_them(r):
    talk = w.Talk(r, cc='carol@corp.example')
    carol = next(name for name in talk.bag if name.startswith('r-') and name != talk.reverse)
    own = replies.fresh_id('home.example')
    data = replies.message(w.fields('%s, %s' % (talk.reverse, carol), ident=own),
                           r.client.sealed(replies.entity(), [talk.cert, talk.bag[carol]]))
    text = w.post(r, [talk.reverse, carol], data)
    assert text.startswith('250'), text
    there = {ids(mail.split(r.sink.take(name).message)[0], 'Message-ID')[0]
             for name in (talk.address, 'carol@corp.example')}
    assert len(there) == 1, there
    there = there.pop()
    said = replies.fresh_id('corp.example')
    header = answer(r, [there], 'carol@corp.example', said)
    must_be(ids(header, 'In-Reply-To'), [own], 'carol')
    must_be(ids(answer(r, [there, said]), 'References'), [own, said], 'bob, to carol')
    must_be(ids(left(r, talk, references=[own, said]), 'References'), [there, said], 'the user')


@case
def two_aliases_are_told_two_ids_of_one_message(r):
    talk, other = w.Talk(r), w.Talk(r, 'dan@corp.example', OTHER_ALIAS)
    own = replies.fresh_id('home.example')
    there = [ids(left(r, t, ident=own), 'Message-ID')[0] for t in (talk, other)]
    assert there[0] != there[1], there
    must_be(ids(answer(r, [there[0]]), 'References'), [own], 'its alias')
    must_be(ids(answer(r, [there[1]], other.address, alias=OTHER_ALIAS), 'References'), [own], 'its alias')
    must_be(ids(answer(r, [there[1]]), 'References'), [there[1]], 'another alias')
    must_be(ids(left(r, talk, references=[there[1]]), 'References'), [there[1]], 'another alias')


@case
def an_id_of_the_user_is_not_told_where_it_was_never_sent(r):
    """It may name the machine it was written on; and it would tie the aliases together."""
    talk, other = w.Talk(r), w.Talk(r, 'dan@corp.example', OTHER_ALIAS)
    for host in ('janes-laptop.lan', 'gmail.com'):
        own = replies.fresh_id(host)
        left(r, other, ident=own)
        header = left(r, talk, references=[talk.ident, own])
        must_be(ids(header, 'References'), [talk.ident], 'of %s' % host)
        left(r, talk, ident=own)
        header = left(r, talk, references=[talk.ident, own])
        assert len(ids(header, 'References')) == 2 and host not in header.decode(), header


@case
def a_thread_is_taken_up_again_after_a_long_time(r):
    talk = w.Talk(r)
    own = EXCHANGE.replace('eurprd04.prod.outlook.com', 'home.example')
    there = ids(left(r, talk, ident=own), 'Message-ID')[0]
    r.restart('sealrelayd')
    for days in (200, 360):
        CLOCK.seek(0)
        CLOCK.write('%d\n' % (days * 86400))
        CLOCK.truncate()
        CLOCK.flush()
        r.restart('sealhsmd')
        r.restart('sealrelayd')
        header = mail.split(w.letter(r, references=[there]))[0]
        must_be(ids(header, 'In-Reply-To'), [own], 'after %d days' % days)
    CLOCK.seek(0)
    CLOCK.write('0\n')
    CLOCK.truncate()
    CLOCK.flush()


def main(build, names):
    CLOCK.write('0\n')
    CLOCK.flush()
    os.environ['SEALRELAY_CLOCK_FILE'] = CLOCK.name
    with relay.Relay(build, {'RAISED': 'yes'}) as r, tempfile.TemporaryDirectory() as folder:
        w.start(r, folder)
        r.sealctl('alias', 'add', OTHER_ALIAS, 'jane')
        return w.run(r, [c for c in CASES if not names or c.__name__ in names])


if __name__ == '__main__':
    sys.exit(main(sys.argv[1], sys.argv[2:]))
