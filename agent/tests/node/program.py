"""What pods of these tests do: `serve:PORT` answers on a port, `ask:PORT:WORD` asks that port of this machine for /WORD/0, /WORD/1, ... in turn.
`serve-tls` and `ask-tls` do so inside TLS, with the `KEY` and the `CERTIFICATE` of the environment (PEM)."""

import http.client
import http.server
import itertools
import os
import ssl
import sys
import tempfile
import threading
import time


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        self.send_response(200)
        self.send_header("Content-Length", "3")
        self.end_headers()
        self.wfile.write(b"ok\n")

    def log_message(self, *arguments):
        pass


def wrapped(listener):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    with tempfile.NamedTemporaryFile("w") as file:
        file.write(os.environ["KEY"] + os.environ["CERTIFICATE"])
        file.flush()
        context.load_cert_chain(file.name)
    return context.wrap_socket(listener, server_side=True)


def connect(port, is_tls):
    if not is_tls:
        return http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    trusted = ssl.create_default_context(cadata=os.environ["CERTIFICATE"])
    return http.client.HTTPSConnection("localhost", port, timeout=60, context=trusted)


asked = []
for argument in sys.argv[1:]:
    verb, port, *word = argument.split(":")
    verb, _, inside = verb.partition("-")
    if verb == "ask":
        asked.append((int(port), word[0], inside == "tls"))
    else:
        server = http.server.ThreadingHTTPServer(("", int(port)), Handler)
        if inside == "tls":
            server.socket = wrapped(server.socket)
        threading.Thread(target=server.serve_forever).start()
connections = {}
for number in itertools.count():
    for port, word, is_tls in asked:
        try:
            if number % 5 == 0:
                connections[port] = connect(port, is_tls)
            connections[port].request("GET", f"/{word}/{number}")
            connections[port].getresponse().read()
        except (OSError, http.client.HTTPException):
            connections[port] = connect(port, is_tls)
    time.sleep(0.1)
