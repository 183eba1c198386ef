# SPDX-License-Identifier: GPL-3.0-or-later
"""leak.py PROGRAM - replies in the style of ten clients, with the user planted everywhere: nothing
of it is found in what leaves, by decoders other than ours; what the correspondent should see is."""
import os
import sys

import cleaner
import everywhere
from planted import CLIENTS, FIELDS, PLANTED, with_denied_fields

HERE = os.path.dirname(os.path.abspath(__file__))


def judge(name, message):
    wrong = ['%s: %s in %s' % (name, word, where)
             for word, where in cleaner.found(message, PLANTED + CLIENTS)]
    parts = list(cleaner.parse(message).walk())
    for part in parts:
        wrong += ['%s: a field %s' % (name, field) for field in part.keys() if field not in FIELDS]
        if part.preamble or (part.epilogue or '').strip():
            wrong.append('%s: preamble or epilogue' % name)
    wrong += ['%s: not 7-bit' % name for byte in [max(message)] if byte > 126]
    text = '\n'.join(cleaner.part_text(part) for part in parts
                     if part.get_content_maintype() == 'text')
    for word in ('keep-text', 'keep-quote'):
        wrong += ['%s: %s is gone' % (name, word)] if word not in text else []
    root = parts[0]
    if root['To'] != '"Bob" <bob@corp.example>' or root['From'] != 'shop@relay.example':
        wrong.append('%s: From %s, To %s' % (name, root['From'], root['To']))
    if not cleaner.header_text(root['Subject']).startswith('Re: keep-subject'):
        wrong.append('%s: Subject %s' % (name, root['Subject']))
    if root['References'].split() != ['<bobs-1@corp.example>', '<mapped-1@relay.example>',
                                      '<bobs-2@corp.example>']:
        wrong.append('%s: References %s' % (name, root['References']))
    if not root['Date'].endswith('07:30:00 +0000'):
        wrong.append('%s: Date %s' % (name, root['Date']))
    return wrong


def judge_everywhere(run):
    """One reply with a mark of its own in each place; our readers see them all in what was sent."""
    marks = everywhere.Marks()
    reverse = 'r-abcdefghijklmnop@relay.example'
    raw = everywhere.header(marks, reverse, 'Sun, 22 Nov 2026 08:30:00 +0100', [
        '<bobs-1@corp.example>', '<own-1@home.example>', '<bobs-2@corp.example>'])
    raw = (raw + everywhere.entity(marks, reverse)).replace(b'\n', b'\r\n')
    seen = {word for word, _ in cleaner.found(raw, list(marks.places))}
    wrong = ['not seen before: ' + place for mark, place in marks.places.items()
             if mark not in seen]
    message = run.clean_exactly(raw)[0]
    return wrong + ['everywhere: %s in %s' % (marks.places.get(word, word), where) for word, where in
                    cleaner.found(message, list(marks.places) + PLANTED + CLIENTS)]


def main(program):
    run = cleaner.Cleaner(program)
    folder = os.path.join(HERE, 'replies')
    wrong, names = [], sorted(os.listdir(folder))
    for name in names:
        with open(os.path.join(folder, name), 'rb') as file:
            raw = file.read()
        if len({word for word, _ in cleaner.found(raw.replace(b'\n', b'\r\n'), PLANTED)}) < 4:
            wrong.append('%s: hardly anything is planted in it' % name)
        for variant, text in ((name, raw), (name + ' with denied fields', with_denied_fields(raw))):
            try:
                wrong += judge(variant, run.clean(text)[0])
            except cleaner.Refused as refusal:
                wrong.append('%s: %s' % (variant, refusal))
    wrong += judge_everywhere(run)
    run.close()
    for line in wrong:
        print(line)
    print('%d replies, %d findings' % (len(names), len(wrong)))
    return 1 if wrong or len(names) < 10 else 0


if __name__ == '__main__':
    sys.exit(main(sys.argv[1]))
