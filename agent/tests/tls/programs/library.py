"""An HTTPS client by the functions of one libssl, whichever is named. Usage: library.py LIBSSL WAY BASE AUTHORITY. WAY: `sockets` or `memory` (BIOs) make
the requests of the script; `killed`, `reads`, `writes`, `exits` make one and go wrong in the next: killed by somebody while waiting for its answer, by a
buffer that there is not, by another thread that ends the process."""

import ctypes
import glob
import os
import socket
import sys
import threading
from urllib.parse import urlsplit

path, way, base, authority = sys.argv[1:5]
url = urlsplit(base)
SCRIPT = [
    ("GET", "/bytes/1000", b"", 200, 1000),
    ("POST", "/sink", b"p" * 500, 200, 2),
    ("GET", "/bytes/200000", b"", 200, 200000),
    ("GET", "/status/404", b"", 404, 2),
]
# `<openssl/ssl.h>`, the same in every version.
CTRL_HOST_NAME, WANT_READ, VERIFY_PEER = 55, 2, 1
if os.path.dirname(path):
    # In a wheel it is beside it, under a name that nothing else has.
    for needed in glob.glob(os.path.join(os.path.dirname(path), "libcrypto*")):
        ctypes.CDLL(needed)
ssl = ctypes.CDLL(path)
# What is of libcrypto is found through it as well.
for name in ["TLS_client_method", "SSL_CTX_new", "SSL_new", "BIO_new", "BIO_s_mem"]:
    getattr(ssl, name).restype = ctypes.c_void_p


def pointer(value):
    return ctypes.c_void_p(value)


context = pointer(ssl.SSL_CTX_new(pointer(ssl.TLS_client_method())))
assert ssl.SSL_CTX_load_verify_locations(context, authority.encode(), None) == 1
ssl.SSL_CTX_set_verify(context, VERIFY_PEER, None)
connection = pointer(ssl.SSL_new(context))
ssl.SSL_ctrl(connection, CTRL_HOST_NAME, 0, ctypes.c_char_p(url.hostname.encode()))
assert ssl.SSL_set1_host(connection, url.hostname.encode()) == 1
link = socket.create_connection((url.hostname, url.port))
buffer = ctypes.create_string_buffer(16384)
if way == "memory":
    received, sent = (pointer(ssl.BIO_new(pointer(ssl.BIO_s_mem()))) for _ in range(2))
    ssl.SSL_set_bio(connection, received, sent)
else:
    ssl.SSL_set_fd(connection, link.fileno())


def carry():
    """What is to be sent, from the library to the socket."""
    while way == "memory" and (count := ssl.BIO_read(sent, buffer, len(buffer))) > 0:
        link.sendall(buffer.raw[:count])


def until(call, *arguments):
    """A call that is made again with more of what comes over the socket as long as it asks for that."""
    while (result := call(connection, *arguments)) <= 0:
        error = ssl.SSL_get_error(connection, result)
        assert way == "memory" and error == WANT_READ, (call, error)
        carry()
        content = link.recv(16384)
        assert content, "the connection ends"
        ssl.BIO_write(received, content, len(content))
    carry()
    return result


def ask(method, path, content):
    head = f"{method} {path} HTTP/1.1\r\nHost: {url.netloc}\r\nContent-Length: {len(content)}\r\n\r\n".encode() + content
    assert until(ssl.SSL_write, head, len(head)) == len(head)


def answer(status, size):
    got = b""
    while b"\r\n\r\n" not in got or len(got.split(b"\r\n\r\n", 1)[1]) < size:
        count = until(ssl.SSL_read, buffer, len(buffer))
        got += buffer.raw[:count]
    assert int(got.split()[1]) == status and len(got.split(b"\r\n\r\n", 1)[1]) == size, got[:200]


until(ssl.SSL_connect)
if way in ("sockets", "memory"):
    for *request, status, size in SCRIPT:
        ask(*request)
        answer(status, size)
    ssl.SSL_shutdown(connection)
    carry()
    ssl.SSL_free(connection)
    sys.exit()

ask("GET", "/bytes/7", b"")
answer(200, 7)
nowhere = pointer(8)
if way == "writes":
    ssl.SSL_write(connection, nowhere, 100)
if way == "reads":
    ask("GET", "/bytes/0", b"")
    ssl.SSL_read(connection, nowhere, 100)
if way == "exits":
    threading.Timer(0.3, os._exit, [3]).start()
print("reading", flush=True)
ssl.SSL_read(connection, buffer, len(buffer))
