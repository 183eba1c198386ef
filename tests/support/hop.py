# SPDX-License-Identifier: GPL-3.0-or-later
"""The private Postfix behind a relay, made a mail system that bounces: which mailboxes it has is a
table, mail for the relay's own domain goes back to the relay, and it may refuse at RCPT or take a
message and report its failure later, as mailbox providers do."""
import os
import subprocess

USER = 'alice@home.example.com'
SENDER = 'bob@shop.example.net'  # a correspondent whose mailbox lies here too


class Hop:
    def __init__(self, relay):
        self.relay = relay
        self.etc = os.path.join(relay.dir, 'postfix', 'etc')
        self.boxes = os.path.join(self.etc, 'boxes')
        self.routes = os.path.join(self.etc, 'routes')
        with open(self.routes, 'w', encoding='ascii') as file:
            file.write('relay.example.com smtp:[127.0.0.1]:%d\n' % relay.smtp_port)
        self.postconf('-M', 'smtp/unix=smtp unix - - n - - smtp')
        self.postconf('-e', 'virtual_mailbox_domains=home.example.com, shop.example.net',
                      'virtual_mailbox_maps=texthash:' + self.boxes,
                      'transport_maps=texthash:' + self.routes,
                      'smtpd_reject_unlisted_recipient=no', 'smtp_tls_security_level=none',
                      'minimal_backoff_time=2s', 'maximal_backoff_time=4s', 'queue_run_delay=2s')
        self.has(USER, SENDER)

    def postconf(self, *words):
        subprocess.run(['postconf', '-c', self.etc, *words], check=True, capture_output=True)

    def has(self, *mailboxes, refuses=False):
        """From now on these mailboxes exist, each a Maildir by its local part; mail for others is
        refused at RCPT, or (as it is usual) taken and bounced."""
        with open(self.boxes, 'w', encoding='ascii') as file:
            for mailbox in mailboxes:
                file.write('%s %s/\n' % (mailbox, mailbox.split('@')[0]))
        self.postconf('-e', 'smtpd_reject_unlisted_recipient=' + ('yes' if refuses else 'no'))
        subprocess.run(['postfix', '-c', self.etc, 'reload'], check=True, capture_output=True)
