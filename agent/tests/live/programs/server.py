"""A server with every way of ending a message. Usage: server.py [HOST]; prints its port."""

import hashlib
import base64
import os
import socket
import socketserver
import struct
import sys
import time
from http.server import BaseHTTPRequestHandler


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    wbufsize = 0

    def log_message(self, *_):
        pass

    def read_body(self):
        if self.headers.get("Transfer-Encoding", "").lower() == "chunked":
            body = b""
            while True:
                size = int(self.rfile.readline().split(b";")[0], 16)
                body += self.rfile.read(size)
                if size == 0:
                    while self.rfile.readline() not in (b"\r\n", b""):
                        pass
                    return body
                self.rfile.readline()
        return self.rfile.read(int(self.headers.get("Content-Length", 0)))

    def answer(self, status, body=b"", **headers):
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        if status >= 200 and status not in (204, 304):
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD" and status not in (204, 304):
            self.wfile.write(body)

    def handle_any(self):
        _, word, *rest = self.path.split("?")[0].split("/")
        number = int(rest[0]) if rest and rest[0].isdigit() else 0
        action = getattr(self, "do_" + word, None)
        if action is None:
            self.read_body()
            self.answer(404, b"not here")
        else:
            action(number)

    do_GET = do_HEAD = do_POST = do_PUT = do_DELETE = do_PATCH = do_OPTIONS = do_BREW = handle_any

    def do_bytes(self, number):
        self.read_body()
        self.answer(200, b"x" * number)

    def do_echo(self, _):
        self.answer(200, self.read_body())

    def do_sink(self, _):
        self.answer(200, str(len(self.read_body())).encode())

    def do_status(self, number):
        self.read_body()
        self.answer(number, b"status\n")

    def do_chunked(self, number):
        self.read_body()
        self.send_response(200)
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        while number > 0:
            size = min(number, 1000 if number < 100000 else 100000)
            self.wfile.write(b"%x\r\n" % size + b"y" * size + b"\r\n")
            number -= size
        self.wfile.write(b"0\r\n\r\n")

    def do_close(self, number):
        """The end of the connection is the end of the body."""
        self.send_response(200)
        self.send_header("Connection", "close")
        self.end_headers()
        self.wfile.write(b"z" * number)
        self.close_connection = True

    def do_bytewise(self, number):
        head = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % number
        for byte in head + b"b" * number:
            self.connection.send(bytes([byte]))

    def do_hints(self, number):
        for _ in range(2):
            self.wfile.write(b"HTTP/1.1 103 Early Hints\r\nLink: </style.css>\r\n\r\n")
        self.answer(200, b"h" * number)

    def do_hangup(self, _):
        self.read_body()
        self.close_connection = True

    def do_reset(self, _):
        self.read_body()
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.close_connection = True
        # At once: the end that the base class makes begins with a FIN, which a quick client answers before the reset comes.
        os.close(self.connection.detach())

    def do_cut(self, number):
        """Promises more than it sends."""
        self.send_response(200)
        self.send_header("Content-Length", str(number * 2))
        self.end_headers()
        self.wfile.write(b"c" * number)
        self.close_connection = True

    def do_endless(self, _):
        self.send_response(200)
        self.send_header("Content-Length", str(1 << 30))
        self.end_headers()
        try:
            while True:
                self.wfile.write(b"e" * 4096)
                time.sleep(0.001)
        except OSError:
            self.close_connection = True

    def do_early(self, number):
        """Answers before it has read the body."""
        self.answer(413, b"t" * number, Connection="close")
        self.read_body()
        self.close_connection = True

    def do_upgrade(self, _):
        key = self.headers["Sec-WebSocket-Key"].encode() + b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
        accept = base64.b64encode(hashlib.sha1(key).digest()).decode()
        self.answer(101, Upgrade="websocket", Connection="Upgrade", Sec_WebSocket_Accept=accept)
        while data := self.connection.recv(4096):
            self.connection.sendall(data)
        self.close_connection = True

    def do_v1(self, _):
        """An OpenAI-shaped chat completion, streamed."""
        self.read_body()
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        events = [
            '{"id":"c1","object":"chat.completion.chunk","model":"small","choices":[{"index":0,"delta":{"content":"%s"}}]}' % word
            for word in ("The", " wind", " blows")
        ]
        events.append(
            '{"id":"c1","object":"chat.completion.chunk","model":"small","choices":[],'
            '"usage":{"prompt_tokens":5,"completion_tokens":3,"total_tokens":8}}'
        )
        for event in [*events, "[DONE]"]:
            data = f"data: {event}\n\n".encode()
            self.wfile.write(b"%x\r\n" % len(data) + data + b"\r\n")
            time.sleep(0.002)
        self.wfile.write(b"0\r\n\r\n")


class Server(socketserver.ThreadingTCPServer):
    allow_reuse_address = True
    daemon_threads = True
    request_queue_size = 512

    def handle_error(self, *_):
        pass


host = sys.argv[1] if len(sys.argv) > 1 else "127.0.0.1"
Server.address_family = socket.AF_INET6 if ":" in host else socket.AF_INET
if host == "::":
    # One socket for both families: IPv4 peers appear v4-mapped.
    socketserver.TCPServer.server_bind = (
        lambda self, bind=socketserver.TCPServer.server_bind: (
            self.socket.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0),
            bind(self),
        )
    )
with Server((host, 0), Handler) as server:
    print(server.server_address[1], flush=True)
    server.serve_forever()
