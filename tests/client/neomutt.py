# SPDX-License-Identifier: GPL-3.0-or-later
"""neomutt on a terminal of its own, over the keys that gpgsm has: what it says of each message."""
import os
import pty
import select
import subprocess
import time

import judge
import mail

PRESET = '/usr/lib/gnupg/gpg-preset-passphrase'
MARK = '@@@@ the next message'
SETTINGS = '''set crypt_use_gpgme=yes
set crypt_verify_sig=yes
set display_filter="{home}/keep"
set folder="{home}"
set header_cache=""
set history_file=""
set mbox_type=mbox
set move=no
set quit=yes
set sort=mailbox-order
set tmpdir="{home}"
set wait_key=no
set charset=utf-8
push "{keys}"
'''


def unlock(user, home):
    """neomutt has nobody to ask for the passphrase: the agent is told it before."""
    env = {'GNUPGHOME': home}
    with open(os.path.join(home, 'gpg-agent.conf'), 'w', encoding='ascii') as out:
        out.write('allow-preset-passphrase\n')
    with open(os.path.join(home, 'gpgsm.conf'), 'w', encoding='ascii') as out:
        out.write('disable-dirmngr\ndisable-crl-checks\n')
    judge.run(['gpg-connect-agent', 'reloadagent', '/bye'], env=env)
    keys = judge.run(['gpgsm', '--batch', '--with-keygrip', '--with-colons', '-K'], env=env)
    for line in keys.decode().splitlines():
        if line.startswith('grp:'):
            judge.run([PRESET, '--preset', line.split(':')[9]], user.passphrase.encode(), env=env)


def on_terminal(words, env, seconds):
    """Run a program that wants a screen; what it draws is thrown away."""
    master, slave = pty.openpty()
    with subprocess.Popen(words, stdin=slave, stdout=slave, stderr=slave, start_new_session=True,
                          env={**os.environ, 'TERM': 'xterm', **env}) as process:
        os.close(slave)
        end = time.monotonic() + seconds
        while process.poll() is None and time.monotonic() < end:
            if select.select([master], [], [], 0.1)[0]:
                try:
                    os.read(master, 65536)
                except OSError:
                    break
        if process.poll() is None and time.monotonic() >= end:
            process.kill()
    os.close(master)


def signatures(user, messages, home):
    """What neomutt says of the signature of each message: 'good', or its own words."""
    unlock(user, home)
    box, shown = os.path.join(home, 'box'), os.path.join(home, 'shown')
    with open(box, 'wb') as out:
        for data in messages:
            out.write(b'From relay Sun Nov 22 10:00:00 2026\n' + data.replace(b'\r\n', b'\n') + b'\n')
    keep = os.path.join(home, 'keep')
    with open(keep, 'w', encoding='ascii') as out:
        out.write("#!/bin/sh\necho '%s' >>%s\nexec tee -a %s\n" % (MARK, shown, shown))
    os.chmod(keep, 0o700)
    settings = os.path.join(home, 'neomuttrc')
    keys = '<display-message>' + '<next-entry>' * (len(messages) - 1) + '<exit><exit>'
    with open(settings, 'w', encoding='ascii') as out:
        out.write(SETTINGS.format(home=home, keys=keys))
    on_terminal(['neomutt', '-n', '-F', settings, '-R', '-f', box],
                {'GNUPGHOME': home, 'HOME': home, 'LC_ALL': 'C.UTF-8'}, 30 + 15 * len(messages))
    told = []
    if os.path.exists(shown):
        with open(shown, encoding='utf-8', errors='replace') as file:
            told = [verdict(one, judge.from_address(mail.split(data)[0]))
                    for one, data in zip(file.read().split(MARK)[1:], messages)]
    return told + ['shows nothing'] * (len(messages) - len(told))


def verdict(text, signer):
    """A signature further inside is the stranger's own affair: only the outermost counts, and it
    must be good and the signer's. Any error counts, too."""
    lines = text.splitlines()
    marked = [line for line in lines if 'ignature from' in line or 'rror' in line]
    if marked and marked[0] == 'Good signature from: CN=' + signer and not [
            line for line in marked[1:] if signer in line or 'rror' in line]:
        return 'good'
    return '; '.join(marked) or 'says nothing of a signature: ' + ' '.join(lines)[:200]
