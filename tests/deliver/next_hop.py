#!/usr/bin/python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""next_hop.py - an SMTP server that misbehaves as it is told.

Usage: next_hop.py SCENARIO REPORT [CERT KEY]
Listens on a free loopback port and writes "port N" to REPORT, then one line an event:
"accepted RCPT SHA256 BYTES" for each message it answered 250 to, "command VERB" for each command,
"session" for each connection. A scenario is a dictionary: which reply to give in place of the usual
one, to which transaction; DROP closes, RESET resets, a number sleeps. Standard library only."""

import hashlib
import socket
import ssl
import struct
import sys
import threading
import time

DROP, RESET, EARLY_TLS = "drop", "reset", "early-tls"
LONG = b"250-" + b"x" * 3000 + b"\r\n250 ok\r\n"

TLS_EHLO = [[b"250-hop\r\n250 STARTTLS\r\n"], [b"250 hop\r\n"]]

# key -> list of actions; the n-th transaction takes the n-th list, the last one stays.
# An action is bytes to send, a number of seconds to sleep, DROP or RESET.
SCENARIOS = {
    "good": {},
    "pipelining": {"ehlo": [[b"250-hop\r\n250-PIPELINING\r\n250 ENHANCEDSTATUSCODES\r\n"]]},
    "everything": {
        "ehlo": [
            [
                b"250-hop\r\n250-PIPELINING\r\n250-CHUNKING\r\n250-8BITMIME\r\n250-SMTPUTF8\r\n"
                b"250-DSN\r\n250-AUTH PLAIN LOGIN\r\n250-BINARYMIME\r\n250-SIZE 50000000\r\n"
                b"250 ENHANCEDSTATUSCODES\r\n"
            ]
        ],
    },
    # out02
    "greeting-421": {"greeting": [[b"421 too busy\r\n", DROP]]},
    "greeting-450": {"greeting": [[b"450 later\r\n"]]},
    "greeting-554": {"greeting": [[b"554 go away\r\n"]]},
    "greeting-none": {"greeting": [[60]]},
    "greeting-drip": {"greeting": [[b"2", 1, b"2", 1, b"0", 1, b"-", 1, b"a", 60]]},
    "greeting-drop": {"greeting": [[DROP]]},
    # out03
    "ehlo-500": {"ehlo": [[b"500 what?\r\n"]]},
    "ehlo-554": {"ehlo": [[b"554 no\r\n"]]},
    "ehlo-big": {"ehlo": [[b"250-hop\r\n" + b"250-X-EXTENSION some parameters here\r\n" * 200 + b"250 SIZE\r\n"]]},
    "ehlo-huge": {"ehlo": [[b"250-hop\r\n" + b"250-X-EXTENSION some parameters here\r\n" * 2000 + b"250 SIZE\r\n"]]},
    "ehlo-long-line": {"ehlo": [[LONG]]},
    "mail-long-line": {"mail": [[b"250 " + b"x" * 1021 + b"250 ok\r\n"]]},
    "rcpt-long-line": {"rcpt": [[b"550 " + b"x" * 1019 + b"250 ok\r\n"]]},
    "dot-long-line": {"dot": [[b"250 " + b"x" * 4000 + b"\r\n"]]},
    "mail-no-text": {"mail": [[b"250\r\n"]]},
    "dot-no-text": {"dot": [[b"250\r\n"]]},
    "reply-garbage": {"mail": [[b"hello there\r\n"]]},
    "reply-codes-differ": {"mail": [[b"250-one\r\n550 two\r\n"]]},
    "reply-binary": {"mail": [[bytes(range(256)) + b"\r\n"]]},
    # out04
    "mail-450": {"mail": [[b"450 later\r\n"]]},
    "mail-553": {"mail": [[b"553 not you\r\n"]]},
    "mail-530": {"mail": [[b"530 5.7.0 Must issue a STARTTLS command first\r\n"]]},
    "rcpt-mixed": {"rcpt": [[b"250 ok\r\n"], [b"450 4.2.0 busy\r\n"], [b"550 5.1.1 <no@where.example> unknown\r\n"], [b"250 ok\r\n"]]},
    "rcpt-mixed-pipelining": {
        "ehlo": [[b"250-hop\r\n250 PIPELINING\r\n"]],
        "rcpt": [[b"250 ok\r\n"], [b"450 4.2.0 busy\r\n"], [b"550 5.1.1 unknown\r\n"], [b"250 ok\r\n"]],
    },
    "mail-mixed": {"mail": [[b"250 ok\r\n"], [b"452 full\r\n"], [b"550 no\r\n"], [b"250 ok\r\n"]]},
    # out05
    "data-drop": {"data": [[b"354 go\r\n", DROP]]},
    "data-354-then-drop-second": {"data": [[b"354 go\r\n"], [b"354 go\r\n", DROP]]},
    "body-drop": {"body": [[DROP]]},
    "body-reset": {"body": [[RESET]]},
    "dot-drop": {"dot": [[DROP]]},
    "dot-drop-second": {"dot": [[b"250 ok\r\n"], [DROP]]},
    "dot-silent": {"dot": [[60]]},
    "dot-451": {"dot": [[b"451 later\r\n"]]},
    "dot-452": {"dot": [[b"452 disk full\r\n"]]},
    "dot-554": {"dot": [[b"554 refused\r\n"]]},
    "dot-503": {"dot": [[b"503 what?\r\n"]]},
    "data-451": {"data": [[b"451 later\r\n"]]},
    "data-554": {"data": [[b"554 no\r\n"]]},
    "data-250": {"data": [[b"250 ok\r\n"]]},
    # out06
    "dot-blank-reset": {"dot": [[b"250 \r\n", 0.2, RESET]]},
    "dot-250-421": {"dot": [[b"250 ok\r\n421 closing\r\n", DROP]]},
    # out07
    "bdat-452-503": {
        "ehlo": [[b"250-hop\r\n250-PIPELINING\r\n250 CHUNKING\r\n"]],
        "bdat": [[b"452 disk full\r\n"], [b"503 bad sequence\r\n"]],
    },
    "bdat-552": {
        "ehlo": [[b"250-hop\r\n250-PIPELINING\r\n250 CHUNKING\r\n"]],
        "bdat": [[b"552 too big\r\n"], [b"503 bad sequence\r\n"]],
    },
    "bdat-503": {
        "ehlo": [[b"250-hop\r\n250 CHUNKING\r\n"]],
        "bdat": [[b"503 bad sequence\r\n"]],
    },
    "bdat-good": {"ehlo": [[b"250-hop\r\n250-PIPELINING\r\n250 CHUNKING\r\n"]]},
    "bdat-stall": {"ehlo": [[b"250-hop\r\n250-PIPELINING\r\n250 CHUNKING\r\n"]], "stall": 4},
    # out08, out09
    "stall": {"stall": 4},
    "pause": {"stall": 0.4},
    # out10
    "starttls-injected": {
        "ehlo": [[b"250-hop\r\n250 STARTTLS\r\n"], [b"250 hop\r\n"]],
        "starttls": [[b"220 go\r\n250-evil\r\n250 PIPELINING\r\n250 mail\r\n250 rcpt\r\n"]],
    },
    "starttls-injected-early": {
        "ehlo": [[b"250-hop\r\n250 STARTTLS\r\n220 go\r\n250 evil\r\n250 mail\r\n250 rcpt\r\n"]],
    },
    "starttls-injected-late": {
        "ehlo": [[b"250-hop\r\n250 STARTTLS\r\n"]],
        "starttls": [[b"220 go\r\n", 0.2, b"250-evil\r\n250 PIPELINING\r\n"]],
    },
    "starttls": {"ehlo": [[b"250-hop\r\n250 STARTTLS\r\n"], [b"250 hop\r\n"]]},
    "starttls-refused": {
        "ehlo": [[b"250-hop\r\n250 STARTTLS\r\n"], [b"250 hop\r\n"]],
        "starttls": [[b"454 not now\r\n"]],
    },
    "starttls-drop": {"ehlo": [[b"250-hop\r\n250 STARTTLS\r\n"]], "starttls": [[DROP]]},
    "starttls-hang": {"ehlo": [[b"250-hop\r\n250 STARTTLS\r\n"]], "starttls": [[b"220 go\r\n", 60]]},
    "tls12": {"ehlo": TLS_EHLO, "max": ssl.TLSVersion.TLSv1_2},
    "tls13": {"ehlo": TLS_EHLO, "min": ssl.TLSVersion.TLSv1_3},
    "tls13-many-tickets": {"ehlo": TLS_EHLO, "min": ssl.TLSVersion.TLSv1_3, "tickets": 20},
    "tls11": {"ehlo": TLS_EHLO, "min": ssl.TLSVersion.TLSv1_1, "max": ssl.TLSVersion.TLSv1_1},
    "tls12-stall": {"ehlo": TLS_EHLO, "max": ssl.TLSVersion.TLSv1_2, "stall": 4},
    "tls13-stall": {"ehlo": TLS_EHLO, "min": ssl.TLSVersion.TLSv1_3, "stall": 4},
    # out13
    "size-1000": {"ehlo": [[b"250-hop\r\n250 SIZE 1000\r\n"]], "size": 1000},
    "bare": {"ehlo": [[b"250 hop\r\n"]]},
    # out14
    "rcpt-550-data-354-250": {"rcpt": [[b"550 no\r\n"]], "data": [[b"354 go\r\n"]], "dot": [[b"250 ok\r\n"]]},
    "rcpt-450-data-354-250": {"rcpt": [[b"450 no\r\n"]], "data": [[b"354 go\r\n"]], "dot": [[b"250 ok\r\n"]]},
    # out15
    "mail-421": {"mail": [[b"250 ok\r\n"], [b"421 closing\r\n"]]},
    "rcpt-421": {"rcpt": [[b"250 ok\r\n"], [b"421 closing\r\n"]]},
    "dot-421": {"dot": [[b"250 ok\r\n"], [b"421 closing\r\n"]]},
    "dot-421-drop": {"dot": [[b"250 ok\r\n"], [b"421 closing\r\n", DROP]]},
    "ehlo-421": {"ehlo": [[b"421 closing\r\n", DROP]]},
    "starttls-421": {"ehlo": [[b"250-hop\r\n250 STARTTLS\r\n"]], "starttls": [[b"421 closing\r\n", DROP]]},
    "data-421": {"data": [[b"354 go\r\n"], [b"421 closing\r\n", DROP]]},
    # closing or resetting wherever a reply is due
    "ehlo-drop": {"ehlo": [[DROP]]},
    "mail-drop": {"mail": [[DROP]]},
    "rcpt-drop": {"rcpt": [[DROP]]},
    "data-reset": {"data": [[RESET]]},
    "dot-reset": {"dot": [[RESET]]},
    "quit-reset": {"quit": [[RESET]]},
    "quit-silent": {"quit": [[60]]},
    # slow, but never silent for long
    "ehlo-drip": {"ehlo": [[b"2", 1, b"5", 1, b"0", 1, b"-"] + [b"a", 1] * 60]},
    "read-drip": {"read": (1, 1)},
    "read-slow": {"read": (6000, 0.1)},
    # texts of strangers
    "rcpt-many-lines": {
        "rcpt": [[b"550-5.1.1 no such user\r\n550-5.1.1 \x1b[2J\x07 <alice@home.example.com>\r\n550 5.1.1 see \x9b[31m bob@shop.example.net \xc3\xa9\xff\r\n"]],
    },
    "dot-many-lines": {"dot": [[b"250-2.0.0 thanks\r\n250-\t\x1b]0;pwned\x07\r\n250 2.0.0 Ok: queued as 4XyZ1b2c3dz9\r\n"]]},
    "dot-exim": {"dot": [[b"250 OK id=1rXyZ-000Abc-2d\r\n"]]},
    "dot-opensmtpd": {"dot": [[b"250 2.0.0 1a2b3c4d Message accepted for delivery\r\n"]]},
    "dot-hostile-id": {"dot": [[b"250 2.0.0 Ok: queued as alice@home.example.com\x1b[31m\r\n"]]},
    "ehlo-4097": {"ehlo": [[b"250-hop\r\n250-" + b"x" * 4093 + b"\r\n250 HELP\r\n"]]},
    # replies out of step
    "mail-twice": {"mail": [[b"250 ok\r\n250 ok\r\n"]]},
    "rcpt-twice": {"rcpt": [[b"250 ok\r\n250 ok\r\n"]]},
    "greeting-twice": {"greeting": [[b"220 hop\r\n250 hop\r\n"]]},
    "dot-twice": {"dot": [[b"250 ok\r\n250 ok\r\n"]]},
    # a lane for the tests of the runner
    "slow": {"dot": [[0.3, b"250 ok\r\n"]]},
    "silent": {"mail": [[60]]},
}

LOCK = threading.Lock()


class Closed(Exception):
    pass


class Session:
    def __init__(self, server, sock):
        self.server, self.sock, self.buffer = server, sock, b""
        self.script, self.uses, self.sent, self.fresh = server.script, server.uses(), b"", 1 << 30

    def act(self, key, usual):
        lists = self.script.get(key)
        self.sent = b""
        if lists is None:
            lists = [[usual]]
        n = self.uses.get(key, 0)
        self.uses[key] = n + 1
        for action in lists[min(n, len(lists) - 1)]:
            if action == DROP:
                raise Closed
            if action == RESET:
                self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                raise Closed
            if isinstance(action, bytes):
                self.sock.sendall(action)
                self.sent += action
            else:
                time.sleep(action)
        return self.sent

    def fill(self):
        most, pause = self.script.get("read", (65536, 0))
        data = self.sock.recv(most)
        if not data:
            raise Closed
        self.server.received(data)
        self.buffer += data
        time.sleep(pause)

    def line(self):
        while b"\r\n" not in self.buffer:
            self.fill()
        line, self.buffer = self.buffer.split(b"\r\n", 1)
        return line

    def pause_once(self):
        if self.script.get("stall"):
            time.sleep(self.script["stall"])

    def content(self):
        data, stalled = bytearray(b"\r\n" + self.buffer), False
        while (end := data.find(b"\r\n.\r\n", max(0, len(data) - self.fresh - 5))) < 0:
            if len(data) > 20000:
                if "body" in self.script:
                    self.act("body", b"")
                if not stalled:
                    stalled = True
                    self.pause_once()
            self.buffer = b""
            self.fill()
            data += self.buffer
            self.fresh = len(self.buffer)
        self.buffer = bytes(data[end + 5:])
        return bytes(data[2:end + 2]).replace(b"\r\n.", b"\r\n") if end != 0 else b""

    def chunk(self, line):
        size = int(line.split()[1])
        stalled = False
        while len(self.buffer) < size:
            if not stalled and size > 20000:
                stalled = True
                self.pause_once()
            self.fill()
        data, self.buffer = self.buffer[:size], self.buffer[size:]
        return data

    def accepted(self, rcpt, content, reply):
        if reply.startswith(b"250") and rcpt:
            self.server.accepted(rcpt, content)

    def start_tls(self):
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.server.cert, self.server.key)
        context.minimum_version = self.script.get("min", ssl.TLSVersion.TLSv1_2)
        context.maximum_version = self.script.get("max", ssl.TLSVersion.MAXIMUM_SUPPORTED)
        context.num_tickets = self.script.get("tickets", 2)
        # What was read in clear behind STARTTLS is dropped, as RFC 3207 asks.
        self.buffer = b""
        self.sock = context.wrap_socket(self.sock, server_side=True)

    def serve(self):
        self.act("greeting", b"220 hop ESMTP\r\n")
        rcpt, chunks = b"", b""
        while True:
            line = self.line()
            verb = line[:4].upper()
            self.server.report("command " + verb.decode("latin1"))
            if verb in (b"EHLO", b"HELO"):
                if verb == b"HELO":
                    self.sock.sendall(b"250 hop\r\n")
                else:
                    self.act("ehlo", b"250-hop\r\n250 HELP\r\n")
            elif verb == b"STAR":
                sent = self.act("starttls", b"220 go\r\n")
                if sent.startswith(b"220"):
                    self.start_tls()
            elif verb == b"MAIL":
                rcpt, chunks = b"", b""
                limit = self.script.get("size")
                if limit and b"SIZE=" in line and int(line.split(b"SIZE=")[1].split()[0]) > limit:
                    self.sock.sendall(b"552 5.3.4 too big\r\n")
                else:
                    self.act("mail", b"250 ok\r\n")
            elif verb == b"RCPT":
                if self.act("rcpt", b"250 ok\r\n").startswith(b"250"):
                    rcpt = line[9:-1]
            elif verb == b"DATA":
                usual = b"354 go\r\n" if rcpt else b"554 no valid recipients\r\n"
                if self.act("data", usual).startswith(b"354"):
                    content = self.content()
                    try:
                        self.act("dot", b"250 ok\r\n")
                    finally:
                        self.accepted(rcpt, content, self.sent)
            elif verb == b"BDAT":
                chunks += self.chunk(line)
                if not rcpt:
                    self.sock.sendall(b"554 no valid recipients\r\n")
                    continue
                reply = self.act("bdat", b"250 ok\r\n")
                if line.endswith(b"LAST"):
                    self.accepted(rcpt, chunks, reply)
            elif verb == b"QUIT":
                self.act("quit", b"221 bye\r\n")
                raise Closed
            else:
                self.sock.sendall(b"250 ok\r\n")


class Server:
    def __init__(self, scenario, report, cert=None, key=None):
        self.script, self.path, self.cert, self.key = SCENARIOS[scenario], report, cert, key

    def uses(self):
        """How often each key of the scenario was used: by a session, or by all of them."""
        return {}

    def received(self, data):
        """Bytes as they came, inside TLS if there is TLS."""

    def accepted(self, rcpt, content):
        digest = hashlib.sha256(content).hexdigest()
        self.report(f"accepted {rcpt.decode()} {digest} {len(content)}")

    def report(self, line):
        with LOCK, open(self.path, "a", encoding="ascii", errors="replace") as f:
            f.write(line + "\n")

    def session(self, sock):
        self.report("session")
        session = Session(self, sock)
        try:
            session.serve()
        except (Closed, OSError, ValueError):
            pass
        try:
            session.sock.close()
        except OSError:
            pass

    def listen(self, port=0):
        self.listener = socket.socket()
        self.listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if self.script.get("stall") or self.script.get("read"):
            self.listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 8192)
        self.listener.bind(("127.0.0.1", port))
        self.listener.listen(64)
        return self.listener.getsockname()[1]

    def run(self):
        while True:
            sock, _ = self.listener.accept()
            threading.Thread(target=self.session, args=(sock,), daemon=True).start()


def main():
    server = Server(*sys.argv[1:])
    server.report(f"port {server.listen()}")
    server.run()


if __name__ == "__main__":
    main()
