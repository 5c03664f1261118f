"""An HTTPS server that forks after the handshake of each connection. Usage: forks.py WAY CERTIFICATE KEY; prints its port, then for each connection the
process that goes on with it. WAY: `child` (the new process answers all), `both` (this one answers the first request, the new one the others)."""

import os
import re
import socket
import ssl
import sys

way, certificate, key = sys.argv[1:4]
context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
context.load_cert_chain(certificate, key)


def answer(tls):
    """The answer to one request; False if there is none any more."""
    head = b""
    while not head.endswith(b"\r\n\r\n"):
        byte = tls.recv(1)
        if not byte:
            return False
        head += byte
    length = re.search(rb"(?i)\r\ncontent-length: *(\d+)", head)
    left = int(length[1]) if length else 0
    while left:
        left -= len(tls.recv(left))
    word, _, number = head.split()[1].decode()[1:].partition("/")
    if word == "bytes":
        status, content = 200, b"x" * int(number)
    else:
        status, content = (200, b"ok") if word == "sink" else (int(number), b"no")
    tls.sendall(b"HTTP/1.1 %d X\r\nContent-Length: %d\r\n\r\n" % (status, len(content)) + content)
    return True


listener = socket.create_server(("127.0.0.1", 0))
print(listener.getsockname()[1], flush=True)
while True:
    accepted, _ = listener.accept()
    tls = context.wrap_socket(accepted, server_side=True)
    if way == "both":
        answer(tls)
    child = os.fork()
    if child == 0:
        while answer(tls):
            pass
        os._exit(0)
    print(child, flush=True)
    # The child goes on with the object as it was; a farewell of this one's would end it.
    tls.detach()
    os.waitpid(child, 0)
