# SPDX-License-Identifier: GPL-3.0-or-later
"""leak.py PROGRAM - replies in the style of ten clients, with the user planted everywhere: nothing
of it is found in what leaves, by decoders other than ours; what the correspondent should see is."""
import os
import re
import sys

import cleaner

HERE = os.path.dirname(os.path.abspath(__file__))
PLANTED = ['jane.roe', 'home.example', '192.168.77.5', '203.0.113.77', 'janes-laptop', 'janeroe',
           'fe80::', '2002:a17', '2603:10a6']
CLIENTS = ['apple-mail', 'x-apple', 'gmail_', 'mso', 'moz-', 'outlook', 'word 15', 'evo-draft',
           'kmail', 'kcal', 'korganizer', 'fairemail', 'mutt', 'thunderbird', 'mozilla',
           'nextpart', '_000_', 'pgp', 'camel', 'iphone', 'header-protection']
FIELDS = {'From', 'To', 'Cc', 'Subject', 'Date', 'Message-ID', 'In-Reply-To', 'References',
          'MIME-Version', 'Auto-Submitted', 'Importance', 'Priority', 'Content-Type',
          'Content-Transfer-Encoding', 'Content-Disposition', 'Content-ID', 'Content-Language'}

# Fields that no reply keeps, planted into each of them.
DENIED = '''Return-Path Received X-Received Delivered-To X-Original-To Envelope-To X-Envelope-From
X-Envelope-To Original-Recipient Received-SPF Authentication-Results X-Authentication-Warning
ARC-Seal ARC-Message-Signature ARC-Authentication-Results DKIM-Signature DomainKey-Signature
X-Google-DKIM-Signature X-Gm-Message-State X-Google-Smtp-Source X-Originating-IP
X-Originating-Email X-Source-IP X-Source-Auth X-AuthUser X-Authenticated-Sender X-Sender
X-Sender-IP X-Forwarded-For X-Forwarded-To X-Spam-Status X-Virus-Scanned
X-MS-Exchange-Organization-AuthAs X-Microsoft-Antispam X-MS-Oob-TLC-OOBClassifiers
X-EOPAttributedMessage X-Forefront-Antispam-Report X-Proofpoint-GUID X-Mimecast-Spam-Score
X-YMail-OSG X-SES-Outgoing Feedback-ID X-SG-EID Sender Reply-To Resent-From Resent-To Resent-Cc
Resent-Message-ID Resent-Date Errors-To Return-Receipt-To Disposition-Notification-To
X-Confirm-Reading-To Read-Receipt-To Mail-Followup-To Mail-Reply-To Bcc Organization Face X-Face
X-Image-URL Autocrypt Autocrypt-Gossip Autocrypt-Setup-Message OpenPGP X-PGP-Key BIMI-Selector
BIMI-Location List-Id List-Post List-Unsubscribe Comments Keywords User-Agent X-Mailer X-MimeOLE
Thread-Index Thread-Topic X-MSMail-Priority X-MS-Has-Attach X-MS-TNEF-Correlator
X-Universally-Unique-Identifier X-Uniform-Type-Identifier X-Apple-Base-Url X-Mozilla-Status
X-Identity-Key X-Account-Key X-ProtonMail-Uid X-Pm-Origin HP-Outer Content-Base Content-Location
Content-Description Content-MD5 Content-Duration Content-Features X-Unheard-Of'''.split()


def with_denied_fields(raw):
    """The message with every denied field in its header, and in that of each part."""
    header, body = raw.split(b'\n\n', 1)
    fields = ''.join('%s: <jane.roe@home.example> janeroe janes-laptop [192.168.77.5]\n' % name
                     for name in DENIED).encode()
    body = re.sub(rb'(?m)^(Content-Type: (?:text|image|application)/)', fields + rb'\1', body)
    return header + b'\n' + fields.rstrip(b'\n') + b'\n\n' + body


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
    run.close()
    for line in wrong:
        print(line)
    print('%d replies, %d findings' % (len(names), len(wrong)))
    return 1 if wrong or len(names) < 10 else 0


if __name__ == '__main__':
    sys.exit(main(sys.argv[1]))
