# SPDX-License-Identifier: GPL-3.0-or-later
"""Cases of a test that share one stage (a relay, a front and so on), one after the other."""
import os
import time
import traceback


def why(error):
    """What went wrong and, since a bare assert says nothing, the line that said so."""
    at = traceback.extract_tb(error.__traceback__)[-1]
    said = ': %s' % error if str(error) else ''
    return '%s%s [%s:%d: %s]' % (type(error).__name__, said, os.path.basename(at.filename),
                                 at.lineno, at.line)


def log_ends(path, lines=40):
    names = [os.path.join(path, name) for name in os.listdir(path)] if os.path.isdir(path) \
        else [path]
    for name in sorted(names):
        with open(name, encoding='utf-8', errors='replace') as log:
            print('--- %s\n%s' % (os.path.basename(name), ''.join(log.readlines()[-lines:])))


def run(cases, stage, before, logs, after_failure=None):
    """All cases, whatever becomes of those before; 1 if one failed, else 0: an exit code.
    stage: what each case is called with; before: called before each; logs: a file or a folder
    of them, shown if a case failed; after_failure: called with the stage."""
    failed = 0
    for case in cases:
        before()
        start_s = time.monotonic()
        try:
            case(stage)
            verdict = 'ok'
        except Exception as error:  # a test's failure is reported, whatever it is
            failed += 1
            verdict = 'FAILED: ' + why(error)
            if os.environ.get('RAISE'):
                traceback.print_exc()
            if after_failure:
                after_failure(stage)
        print('%-75s %5.1f s %s' % (case.__name__.replace('_', ' '), time.monotonic() - start_s,
                                    verdict), flush=True)
    if failed:
        log_ends(logs)
    print('%d passed, %d failed' % (len(cases) - failed, failed))
    return 1 if failed else 0
