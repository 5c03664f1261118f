"""Clients by the standard library and by `requests`. Usage: client.py WAY BASE [NUMBER]"""

import http.client
import socket
import sys
import threading
from urllib.parse import urlsplit

way, base = sys.argv[1], sys.argv[2]
number = int(sys.argv[3]) if len(sys.argv) > 3 else 0
url = urlsplit(base)
address = (url.hostname, url.port)

SCRIPT = [
    ("GET", "/bytes/1000", None, False),
    ("POST", "/echo", b"p" * 500, False),
    ("GET", "/status/404", None, False),
    ("DELETE", "/status/204", None, False),
    ("GET", "/chunked/3000", None, False),
    ("HEAD", "/bytes/1000", None, False),
    ("POST", "/echo", b"c" * 300, True),
]


def exchange(connection, method, path, body, chunked):
    if chunked:
        connection.request(method, path, iter([body[:100], body[100:]]), encode_chunked=True,
                           headers={"Transfer-Encoding": "chunked"})
    else:
        connection.request(method, path, body)
    response = connection.getresponse()
    response.read()
    return response.status


def http_client():
    """All requests on one connection."""
    connection = http.client.HTTPConnection(*address)
    for step in SCRIPT:
        exchange(connection, *step)
    connection.close()


def http_client_short():
    """A connection for each request."""
    for step in SCRIPT:
        connection = http.client.HTTPConnection(*address)
        exchange(connection, *step)
        connection.close()


def requests_session():
    import requests

    with requests.Session() as session:
        for method, path, body, chunked in SCRIPT:
            data = iter([body[:100], body[100:]]) if chunked else body
            session.request(method, base + path, data=data).content


def concurrent():
    """NUMBER connections open at once, two requests each."""
    connections = [http.client.HTTPConnection(*address) for _ in range(number)]
    for connection in connections:
        connection.connect()
    for turn in range(2):
        threads = [
            threading.Thread(target=exchange, args=(connection, "GET", f"/bytes/{index}?turn={turn}", None, False))
            for index, connection in enumerate(connections)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    for connection in connections:
        connection.close()


def read_answers(stream, count):
    """Reads so many answers with Content-Length from a file object."""
    for _ in range(count):
        length = 0
        while (line := stream.readline()) != b"\r\n":
            if line.lower().startswith(b"content-length:"):
                length = int(line.split(b":")[1])
        stream.read(length)


def pipelined():
    """NUMBER requests in one call, then NUMBER answers."""
    with socket.create_connection(address) as connection:
        connection.sendall(b"".join(b"GET /bytes/%d HTTP/1.1\r\nHost: h\r\n\r\n" % n for n in range(number)))
        read_answers(connection.makefile("rb"), number)


def bytewise():
    """One byte a call, both ways."""
    with socket.create_connection(address) as connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for byte in b"POST /echo HTTP/1.1\r\nHost: h\r\nContent-Length: 30\r\n\r\n" + b"q" * 30:
            connection.send(bytes([byte]))
        head = b""
        while not head.endswith(b"\r\n\r\n"):
            head += connection.recv(1)
        for _ in range(30):
            connection.recv(1)
        connection.sendall(b"GET /bytewise/40 HTTP/1.1\r\nHost: h\r\n\r\n")
        head = b""
        while not head.endswith(b"\r\n\r\n"):
            head += connection.recv(1)
        for _ in range(40):
            connection.recv(1)


def peek():
    """Looks at the answer before it reads it, and reads into several buffers."""
    with socket.create_connection(address) as connection:
        connection.sendmsg([b"GET /bytes/100 HT", b"TP/1.1\r\nHo", b"", b"st: h\r\n\r\n"])
        connection.recv(1, socket.MSG_PEEK)
        while b"x" * 100 not in connection.recv(4096, socket.MSG_PEEK):
            pass
        parts = [bytearray(10), bytearray(20), bytearray(4096)]
        connection.recvmsg_into(parts)


def held():
    """An exchange, then another for each line of the standard input, on one connection."""
    connection = http.client.HTTPConnection(*address)
    exchange(connection, "GET", "/bytes/11", None, False)
    print("ready", flush=True)
    for line in sys.stdin:
        exchange(connection, "GET", line.strip(), None, False)
        print("done", flush=True)


def upgrade():
    """A WebSocket, then frames that look like HTTP."""
    with socket.create_connection(address) as connection:
        connection.sendall(
            b"GET /upgrade HTTP/1.1\r\nHost: h\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
            b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
        )
        stream = connection.makefile("rb")
        while stream.readline() != b"\r\n":
            pass
        for _ in range(5):
            message = b"GET /inside HTTP/1.1\r\nHost: h\r\n\r\n"
            connection.sendall(message)
            stream.read(len(message))


def early():
    """Sends its body although the answer has come."""
    with socket.create_connection(address) as connection:
        connection.sendall(b"POST /early/9 HTTP/1.1\r\nHost: h\r\nContent-Length: 20000\r\n\r\n")
        stream = connection.makefile("rb")
        read_answers(stream, 1)
        connection.sendall(b"b" * 20000)
        stream.read()


def abort():
    """Goes away in the middle of the answer."""
    with socket.create_connection(address) as connection:
        connection.sendall(b"GET /endless HTTP/1.1\r\nHost: h\r\n\r\n")
        stream = connection.makefile("rb")
        while stream.readline() != b"\r\n":
            pass


def refused():
    try:
        socket.create_connection(address)
    except ConnectionRefusedError:
        return
    raise SystemExit("somebody listens")


def hung_up():
    """The server ends the connection without an answer."""
    for path in ("/hangup", "/reset"):
        connection = http.client.HTTPConnection(*address)
        try:
            exchange(connection, "GET", path, None, False)
        except (http.client.HTTPException, OSError):
            continue
        raise SystemExit("it answered")


def chat():
    """A streamed chat completion with a secret key."""
    connection = http.client.HTTPConnection(*address)
    body = b'{"model":"small","stream":true,"messages":[{"role":"user","content":"What does the wind do?"}]}'
    connection.request("POST", "/v1/chat/completions", body,
                       {"Authorization": "Bearer sk-very-secret", "Content-Type": "application/json"})
    response = connection.getresponse()
    while response.read1(4096):
        pass


globals()[way]()
