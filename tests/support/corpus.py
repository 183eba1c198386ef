# SPDX-License-Identifier: GPL-3.0-or-later
"""Send every message file through a relay and judge each that arrives. See tests/corpus."""
import collections
import concurrent.futures
import json
import os
import sys
import tarfile
import tempfile

import judge
import mail

SAMPLE = 50  # messages that NSS and gpgsm open too


def messages(paths, every):
    """(name, bytes) of every file in folders, and of every Nth in .tar.gz archives."""
    for path in paths:
        if os.path.isdir(path):
            for folder, _, names in sorted(os.walk(path)):
                for name in sorted(names):
                    with open(os.path.join(folder, name), 'rb') as file:
                        yield os.path.relpath(os.path.join(folder, name), path), file.read()
        elif path.endswith('.tar.gz'):
            with tarfile.open(path) as archive:
                members = [member for member in archive if member.isfile()]
                for member in members[::every]:
                    yield member.name, archive.extractfile(member).read()
        else:
            with open(path, 'rb') as file:
                yield os.path.basename(path), file.read()


def judge_file(user, original, path):
    with open(path, 'rb') as file:
        judge.judge(user, original, file.read())


def main(relay_file, every, paths):
    with open(relay_file, encoding='utf-8') as file:
        relay = json.load(file)
    inbox = mail.Maildir(relay['maildir'])
    accepted, wrong, arrived = [], [], []
    refused = collections.Counter()
    with tempfile.TemporaryDirectory() as folder, \
            concurrent.futures.ThreadPoolExecutor(2) as pool:
        user = judge.User(relay, folder)
        for name, raw in messages(paths, every):
            original = mail.to_crlf(raw)
            try:
                mail.send_retrying(relay['smtp_port'], 'sender@client.example.net',
                                   relay['alias'], original)
            except mail.Refused as refusal:
                refused[refusal.text] += 1
                print('refused %s: %s' % (name, refusal.text))
                continue
            if os.path.basename(name).startswith('refused-'):
                wrong.append('%s: was taken' % name)
            found = inbox.wait()
            if len(found) != 1:
                wrong.append('%s: %d messages arrived for one' % (name, len(found)))
                continue
            accepted.append((name, pool.submit(judge_file, user, original, found[0])))
            arrived.append((name, found[0]))
        for name, verdict in accepted:
            try:
                verdict.result()
            except judge.Wrong as reason:
                wrong.append('%s: %s' % (name, reason))
        wrong += other_judges(user, relay, arrived)
    for line in wrong:
        print('wrong %s' % line)
    for text, count in refused.most_common():
        print('refused %d: %s' % (count, text))
    print('accepted %d, refused %d, wrong %d' % (len(accepted), sum(refused.values()), len(wrong)))
    if not accepted:
        print('nothing was accepted: that proves nothing')
        return 1
    return 1 if wrong else 0


def other_judges(user, relay, arrived):
    """NSS and gpgsm open a sample; RSA profiles only, as gpgsm of Debian 12 has no ECDH."""
    wrong = []
    step = max(1, len(arrived) // SAMPLE)
    sample = arrived[::step][:SAMPLE]
    compatible = os.path.join(os.path.dirname(relay['p12']), 'identity-compatible.p12')
    with tempfile.TemporaryDirectory() as nss_db, tempfile.TemporaryDirectory() as gpg_home:
        judges = {'NSS': judge.Nss(user, nss_db),
                  'gpgsm': judge.Gpgsm(user, gpg_home, compatible)}
        for name, path in sample:
            with open(path, 'rb') as file:
                sealed = mail.to_crlf(file.read())
            entity, _ = user.open(sealed)
            for who, other in judges.items():
                try:
                    if other.open(sealed).rstrip(b'\r\n') != entity.rstrip(b'\r\n'):
                        wrong.append('%s: %s sees other content' % (name, who))
                except judge.Wrong as reason:
                    wrong.append('%s: %s: %s' % (name, who, reason))
        judges['gpgsm'].close()
    print('NSS cmsutil and gpgsm opened %d of them too' % len(sample))
    return wrong


if __name__ == '__main__':
    sys.exit(main(sys.argv[1], int(sys.argv[2]), sys.argv[3:]))
