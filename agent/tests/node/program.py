"""What pods of these tests do: `serve:PORT` answers on a port, `ask:PORT:WORD` asks that port of this machine for /WORD/0, /WORD/1, ... in turn."""

import http.client
import http.server
import itertools
import sys
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


asked = []
for argument in sys.argv[1:]:
    verb, port, *word = argument.split(":")
    if verb == "ask":
        asked.append((int(port), word[0]))
    else:
        server = http.server.ThreadingHTTPServer(("", int(port)), Handler)
        threading.Thread(target=server.serve_forever).start()
connections = {}
for number in itertools.count():
    for port, word in asked:
        try:
            if number % 5 == 0:
                connections[port] = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
            connections[port].request("GET", f"/{word}/{number}")
            connections[port].getresponse().read()
        except OSError:
            connections[port] = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    time.sleep(0.1)
