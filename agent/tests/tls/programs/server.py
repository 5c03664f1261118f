"""HTTPS servers. Usage: server.py WAY CERTIFICATE KEY; prints its port. WAY: threads (a socket BIO each), asyncio (memory BIOs)."""

import asyncio
import re
import ssl
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

way, certificate, key = sys.argv[1:4]
context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
context.load_cert_chain(certificate, key)


def answer(path):
    """Status and content for a path."""
    word, number = re.fullmatch(r"/(\w+)(?:/(\d+))?", path).groups()
    if word == "bytes":
        return 200, b"x" * int(number)
    return (200, b"ok") if word == "sink" else (int(number), b"no")


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def do_GET(self):
        self.rfile.read(int(self.headers.get("Content-Length", 0)))
        status, content = answer(self.path)
        self.send_response(status)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    do_POST = do_GET


class Threads(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 256

    def handle_error(self, *_):
        """A client that went away is not an error of ours."""


def threads():
    with Threads(("127.0.0.1", 0), Handler) as server:
        # Each thread makes the handshake of its own connection.
        server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
        print(server.server_address[1], flush=True)
        server.serve_forever()


async def serve(reader, writer):
    try:
        while head := await reader.readuntil(b"\r\n\r\n"):
            length = re.search(rb"(?i)\r\ncontent-length: *(\d+)", head)
            await reader.readexactly(int(length[1]) if length else 0)
            status, content = answer(head.split()[1].decode())
            writer.write(b"HTTP/1.1 %d X\r\nContent-Length: %d\r\n\r\n" % (status, len(content)))
            writer.write(content)
            await writer.drain()
    except (asyncio.IncompleteReadError, OSError):
        pass
    finally:
        writer.close()


async def memory():
    server = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=context, backlog=256)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


if way == "threads":
    threads()
else:
    asyncio.run(memory())
