# SPDX-License-Identifier: GPL-3.0-or-later
"""Words that name the user of the replies beside this file or the user's client, and fields in which
clients and servers write such words."""
import re

PLANTED = ['jane.roe', 'home.example', '192.168.77.5', '203.0.113.77', 'janes-laptop', 'janeroe',
           'fe80::', '2002:a17', '2603:10a6']
# None is so short that chance writes it into base64 or a boundary.
CLIENTS = ['apple-mail', 'x-apple', 'gmail_', 'mso-', 'msonormal', 'ate mso ', 'moz-', 'outlook', 'word 15', 'evo-draft',
           'kmail', 'kcal', 'korganizer', 'fairemail', 'mutt/', 'thunderbird', 'mozilla',
           'nextpart', '_000_', 'pgp-', 'pgp_', 'gin pgp ', 'openpgp', 'camel', 'iphone', 'header-protection']
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
