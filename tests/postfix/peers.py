# SPDX-License-Identifier: GPL-3.0-or-later
"""Exim and OpenSMTPD in the places of Postfix: in front of the relay, and as its next hop. Fifty
messages each way, of many shapes; each arrives once, judged."""
import os
import sys
import uuid

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '../support'))
import judge
import mail
import opener
import peer
import relay
import stage

MESSAGES, SESSIONS = 50, 5

TEXT = b'Content-Type: text/plain; charset=utf-8\r\n'
PARTS = (b'--b\r\nContent-Type: text/plain\r\n\r\none\r\n--b\r\nContent-Type: application/pdf\r\n'
         b'Content-Transfer-Encoding: base64\r\n\r\nJVBERi0=\r\n--b--\r\n')
SHAPES = [
    (b'', b'Hello.\r\n'), (b'', b''), (b'', b'.\r\n..\r\n.x\r\n\r\n.\r\n'),
    (b'', b'From here\r\n>From there\r\n'), (b'', b'x' * 990 + b'\r\n'), (b'', b' \r\n\t\r\n x \r\n'),
    (TEXT + b'Content-Transfer-Encoding: 8bit\r\n', 'Gr\u00fc\u00dfe \u2603\r\n'.encode()),
    (TEXT + b'Content-Transfer-Encoding: quoted-printable\r\n', b'a=3D=\r\nb\r\n'),
    (b'MIME-Version: 1.0\r\nContent-Type: multipart/mixed;\r\n boundary=b\r\n', PARTS),
    (b'X-Long: ' + b' '.join([b'word'] * 150) + b'\r\n', b'line\r\n' * 20000),
]


def messages():
    """{Message-ID: (sender, message)}"""
    found = {}
    for number in range(MESSAGES):
        extra, body = SHAPES[number % len(SHAPES)]
        sender = 'sender%d@shop.example.net' % (number // len(SHAPES))
        ident = b'<' + uuid.uuid4().hex.encode() + b'@client.example.net>'
        found[ident] = (sender, b'From: <' + sender.encode() + b'>\r\nTo: <shop@relay.example.com>'
                        b'\r\nSubject: test\r\nMessage-ID: ' + ident + b'\r\nDate: Sun, 22 Nov 2026'
                        b' 10:00:00 +0000\r\n' + extra + b'\r\n' + body)
    return found


def send(port, rcpt, sent):
    sessions = [mail.Smtp(port) for _ in range(SESSIONS)]
    for number, (sender, data) in enumerate(sent.values()):
        sessions[number % SESSIONS].send(sender, [rcpt], data)
    for session in sessions:
        session.close()


def pass_all(r, port):
    sent = messages()
    send(port, r.alias, sent)
    found = r.inbox.wait(MESSAGES, 120)
    found += r.inbox.wait(1, 3)
    assert len(found) == MESSAGES, '%d of %d messages arrived' % (len(found), MESSAGES)
    user = opener.Opener(r.user)
    for path in found:
        with open(path, 'rb') as file:
            sealed = mail.to_crlf(file.read())
        ident = mail.field_value(mail.split(sealed)[0], b'Message-ID')
        judge.judge(user, sent.pop(ident)[1], sealed)
    assert not sent


def in_front(r, software, protocol, to):
    with peer.Peer(r.build, r.folder, software, protocol, to) as server:
        try:
            pass_all(r, server.port)
        except Exception:
            print(server.log())
            raise


def exim_in_front_over_lmtp(r):
    in_front(r, 'exim', 'lmtp', r.facts['lmtp_port'])


def exim_in_front_over_smtp(r):
    in_front(r, 'exim', 'smtp', r.smtp_port)


def opensmtpd_in_front_over_lmtp(r):
    in_front(r, 'opensmtpd', 'lmtp', r.facts['lmtp_port'])


def opensmtpd_in_front_over_smtp_and_tls(r):
    in_front(r, 'opensmtpd', 'smtp', r.smtp_port)


def behind(r, software, protocol):
    """The server hands on to the next hop that was there, whose mailbox is looked into."""
    hop = r.sealctl('status')['relay']['next_hops'][0]['port']
    with peer.Peer(r.build, r.folder, software, protocol, hop) as server:
        try:
            r.configure('sealrelayd', 'next-hop default', 'port = %d' % server.port)
            r.restart('sealrelayd')
            pass_all(r, r.smtp_port)
        except Exception:
            print(server.log())
            raise
        finally:
            r.configure('sealrelayd', 'next-hop default', 'port = %d' % hop)
            r.restart('sealrelayd')


def exim_as_next_hop_which_offers_chunking(r):
    behind(r, 'exim', 'smtp')


def opensmtpd_as_next_hop(r):
    behind(r, 'opensmtpd', 'smtp+notls')


CASES = [exim_in_front_over_lmtp, exim_in_front_over_smtp, opensmtpd_in_front_over_lmtp,
         opensmtpd_in_front_over_smtp_and_tls, exim_as_next_hop_which_offers_chunking,
         opensmtpd_as_next_hop]


def main(build, names):
    cases = [case for case in CASES if not names or case.__name__ in names]
    with relay.Relay(build) as r:
        return stage.run(cases, r, r.inbox.fresh, os.path.join(r.dir, 'log'))


if __name__ == '__main__':
    sys.exit(main(sys.argv[1], sys.argv[2:]))
