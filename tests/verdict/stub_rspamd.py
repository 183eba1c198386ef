# SPDX-License-Identifier: GPL-3.0-or-later
"""Something that answers like rspamd, or like a rspamd in trouble, and remembers what it was asked."""
import http.client
import http.server
import json
import socket
import threading


def symbol(name, *options):
    return name, {'name': name, 'score': 0.0, 'metric_score': 0.0, 'options': list(options)}


def answer(*symbols, action='no action', score=0.5):
    """An answer to /checkv2; symbols: names, or what symbol() made."""
    named = [s if isinstance(s, tuple) else symbol(s) for s in symbols]
    return {'is_skipped': False, 'score': score, 'required_score': 15.0, 'action': action,
            'symbols': dict(named), 'message-id': 'x@y', 'milter': {}}


http.client._MAXHEADERS = 1000  # a field for each recipient


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = 'HTTP/1.1'
    disable_nagle_algorithm = True

    def log_message(self, *words):
        pass

    def say(self, body, status=200):
        self.send_response(status)
        self.send_header('Content-Type', 'application/json')
        self.send_header('Content-Length', str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_GET(self):
        self.say(b'pong\r\n' if self.path == '/ping' else b'')

    def do_POST(self):
        stub = self.server.stub
        body = self.rfile.read(int(self.headers.get('Content-Length', 0)))
        stub.asked.append({'path': self.path, 'headers': self.headers, 'body': body,
                           'port': self.client_address[1]})
        trouble = stub.trouble
        if trouble == 'slow':
            stub.released.wait(30)
        elif trouble == 'garbage':
            return self.say(b'{"action": "no action", "symbols": [')
        elif trouble == 'not http':
            self.wfile.write(b'220 mail.example.net ESMTP\r\n')
            self.close_connection = True
            return None
        elif trouble == 'huge':
            return self.huge()
        elif trouble == 'closed':
            self.connection.shutdown(socket.SHUT_RDWR)
            self.close_connection = True
            return None
        elif isinstance(trouble, int):
            return self.say(json.dumps(stub.reply).encode(), trouble)
        elif trouble == 'redirect':
            self.send_response(307)
            self.send_header('Location', 'http://127.0.0.1:%d/elsewhere' % stub.port)
            self.send_header('Content-Length', '0')
            self.end_headers()
            return None
        return self.say(json.dumps(stub.reply).encode())

    def huge(self):
        self.send_response(200)
        self.send_header('Content-Length', str(64 << 20))
        self.end_headers()
        try:
            for _ in range(64):
                self.wfile.write(b' ' * (1 << 20))
        except OSError:
            pass
        self.close_connection = True


class Server(http.server.ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 64

    def __init__(self, *args):
        super().__init__(*args)
        self.kept = []

    def get_request(self):
        connection, address = super().get_request()
        self.kept.append(connection)
        return connection, address

    def handle_error(self, request, client_address):
        pass  # a client that went away is part of the tests


class Stub:
    def __init__(self):
        self.reply = answer()
        self.trouble = None
        self.asked = []
        self.released = threading.Event()
        self.server = None
        self.port = 0
        self.start()

    def start(self):
        self.server = Server(('127.0.0.1', self.port), Handler)
        self.server.stub = self
        self.port = self.server.server_address[1]
        threading.Thread(target=self.server.serve_forever, args=(0.05,), daemon=True).start()

    def stop(self):
        """Gone, kept connections too."""
        self.server.shutdown()
        self.server.server_close()
        for connection in self.server.kept:
            try:
                connection.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass

    def set(self, reply=None, trouble=None):
        self.reply = reply or answer()
        self.trouble = trouble
        self.released.set()
        self.released = threading.Event()
        self.asked.clear()
