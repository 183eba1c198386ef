# SPDX-License-Identifier: GPL-3.0-or-later
"""A table of cases on standard output, and the account of what was answered 250 and must arrive."""
import concurrent.futures
import re
import time

import judge
import mail


class Report:
    """The table on standard output."""

    def __init__(self, only):
        self.only = only
        self.cases = 0
        self.wrong = []

    def wants(self, ident):
        return self.only in ident

    def row(self, ident, sent, seen, wanted, good):
        self.cases += 1
        if not good:
            self.wrong.append(ident)
        print('%-38s %-48s %-30s %-30s %s' % (ident, short(sent, 48), short(seen, 30),
                                              short(wanted, 30), 'good' if good else 'WRONG'),
              flush=True)


def short(text, width):
    text = text if isinstance(text, str) else repr(text)[2:-1]
    return text if len(text) <= width else text[:width - 3] + '...'


def squeeze(seen):
    """250 250 250 as 250*3"""
    return re.sub(r'\b(\d+)(?: \1\b)+', lambda m: '%s*%d' % (m.group(1), m.group().count(' ') + 1),
                  seen)


class Ledger:
    """What was answered 250, and what must therefore arrive."""

    def __init__(self, r):
        self.relay = r
        self.expected = []

    def expect(self, content, times=1):
        self.expected += [content] * times

    def settle(self, report, what, died=False):
        """Everything expected arrived, once, whole, sealed; and nothing else did. A process that
        died while it delivered may have done so twice."""
        found = self.relay.inbox.wait(len(self.expected))
        self.relay.wait_until(lambda: not self.relay.sealctl('queue', 'list'), 'an empty queue', 60)
        time.sleep(1)
        found += self.relay.inbox.fresh()
        pending = list(self.expected)
        faults = []
        with concurrent.futures.ThreadPoolExecutor(2) as pool:
            for fault, content in pool.map(self._open, found):
                if fault:
                    faults.append(fault)
                elif content in pending:
                    pending.remove(content)
                elif not died:
                    faults.append('once too often: %r' % content[:200])
        faults += ['lost: %r' % content[:200] for content in pending]
        for fault in faults:
            print('    ' + fault)
        report.row(what, '%d messages answered 250' % len(self.expected), '%d arrived' % len(found),
                   'each, whole' if died else 'each once, whole', not faults)
        self.expected = []

    def _open(self, path):
        """(fault, which of the expected it is)"""
        with open(path, 'rb') as file:
            sealed = mail.to_crlf(file.read())
        try:
            entity, signers = self.relay.user.open(sealed)
            body = mail.split(entity)[1]
            ident = mail.field_value(mail.split(sealed)[0], b'Message-ID')
            same = [c for c in self.expected if mail.split(c)[1] == body and
                    mail.field_value(mail.split(c)[0], b'Message-ID') in (None, ident)]
            if not same:
                return 'not expected: %r' % body[:200], None
            judge.judge_opened(same[0], sealed, entity, signers)
            return None, same[0]
        except judge.Wrong as wrong:
            return str(wrong), None
