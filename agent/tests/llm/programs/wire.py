"""What the model servers of the tests share: framings of HTTP/1.1 answers, and the server's own clock."""

import gzip
import itertools
import json
import re
import threading
import time
import zlib
from http.server import BaseHTTPRequestHandler

# Faults are asked for by the name of the model: `fault-429` always, `fault-429-once` until the next request for it.
FAULT = re.compile(r"fault-(\d+)(-once)?")

numbers = itertools.count(1)
lock = threading.Lock()
failed = set()


class Fault(Exception):
    """The answer is an error of this status."""

    def __init__(self, status):
        super().__init__(status)
        self.status = status


def fault(model):
    """Raises the fault that the model's name asks for."""
    asked = FAULT.search(model)
    if not asked:
        return
    with lock:
        if asked[2] and model in failed:
            failed.remove(model)
            return
        failed.add(model)
    raise Fault(int(asked[1]))


def name(prefix):
    """An id that no other answer has."""
    return f"{prefix}{next(numbers):08d}"


class Exchange:
    """One request and the means to answer it."""

    def __init__(self, handler, body):
        self.handler, self.body = handler, body
        self.path, _, self.query = handler.path.partition("?")
        self.headers = handler.headers
        self.first = None

    def json(self):
        return json.loads(self.body)

    def answer(self, value, status=200, headers=(), coding="gzip"):
        """A JSON document, coded if the client takes that."""
        content = json.dumps(value).encode()
        fields = [("Content-Type", "application/json"), *headers]
        accepted = self.headers.get("Accept-Encoding", "")
        if coding and coding in accepted:
            content = {"gzip": gzip.compress, "deflate": zlib.compress}[coding](content)
            fields.append(("Content-Encoding", coding))
        self.head(status, [*fields, ("Content-Length", str(len(content)))])
        self.handler.wfile.write(content)

    def head(self, status, fields):
        self.handler.send_response(status)
        for field, value in fields:
            self.handler.send_header(field, value)
        self.handler.end_headers()

    def stream(self, parts, kind, headers=(), pace=0.001, identity=None, before=0.0):
        """Chunks, each in a write of its own. `before` is the time to the first one, `pace` that between them, in seconds."""
        self.head(200, [("Content-Type", kind), ("Transfer-Encoding", "chunked"), *headers])
        time.sleep(before)
        out, count = self.handler.wfile, 0
        try:
            for part in parts:
                chunk = b"%x\r\n%s\r\n" % (len(part), part)
                if self.first is None and not part.startswith(b":"):
                    self.first = time.time_ns()
                out.write(chunk)
                count += 1
                time.sleep(pace)
            out.write(b"0\r\n\r\n")
        except OSError:
            # The client went away.
            self.handler.close_connection = True
        if identity:
            self.handler.server.clock({
                "id": identity,
                "first_chunk": self.first - self.handler.began,
                "last_write": time.time_ns() - self.handler.began,
                "chunks": count,
            })


def sse(value, event=None, end="\n"):
    """One server-sent event."""
    data = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    lines = ([f"event: {event}"] if event else []) + [f"data: {data}"]
    return (end.join(lines) + end * 2).encode()


def ndjson(value):
    return json.dumps(value).encode() + b"\n"


def handler(routes):
    """A request handler. `routes` are pairs of a pattern of paths and what answers them, which gets an exchange and the match."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        wbufsize = 0

        def parse_request(self):
            # The request line was just read.
            self.began = time.time_ns()
            return super().parse_request()

        def log_message(self, *_):
            pass

        def content(self):
            if self.headers.get("Transfer-Encoding", "").lower() != "chunked":
                return self.rfile.read(int(self.headers.get("Content-Length", 0)))
            content = b""
            while size := int(self.rfile.readline().split(b";")[0], 16):
                content += self.rfile.read(size)
                self.rfile.readline()
            while self.rfile.readline() not in (b"\r\n", b""):
                pass
            return content

        def do_POST(self):
            exchange = Exchange(self, self.content())
            for pattern, action in routes:
                if match := re.fullmatch(pattern, exchange.path):
                    action(exchange, match)
                    return
            exchange.answer({"error": f"no such path: {exchange.path}"}, 404)

        do_GET = do_POST

    return Handler
