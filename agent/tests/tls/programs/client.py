"""HTTPS clients. Usage: client.py WAY BASE. Whom they trust is what `SSL_CERT_FILE` and `REQUESTS_CA_BUNDLE` say."""

import asyncio
import http.client
import os
import select
import socket
import ssl
import sys
from urllib.parse import urlsplit

way, base = sys.argv[1:3]
# Method, path, content, status and size of the answer.
SCRIPT = [
    ("GET", "/bytes/1000", None, 200, 1000),
    ("POST", "/sink", b"p" * 500, 200, 2),
    ("GET", "/bytes/200000", None, 200, 200000),
    ("GET", "/status/404", None, 404, 2),
]


def check(step, status, content):
    assert (status, len(content)) == step[3:], (step, status, len(content))


def http_client():
    url = urlsplit(base)
    connection = http.client.HTTPSConnection(url.hostname, url.port, context=ssl.create_default_context())
    for step in SCRIPT:
        connection.request(*step[:3])
        response = connection.getresponse()
        check(step, response.status, response.read())
    connection.close()


def requests():
    import requests

    with requests.Session() as session:
        for step in SCRIPT:
            response = session.request(step[0], base + step[1], data=step[2])
            check(step, response.status_code, response.content)


def httpx():
    import httpx

    with httpx.Client() as client:
        for step in SCRIPT:
            response = client.request(step[0], base + step[1], content=step[2])
            check(step, response.status_code, response.content)


def httpx_async():
    import httpx

    async def run():
        async with httpx.AsyncClient() as client:
            for step in SCRIPT:
                response = await client.request(step[0], base + step[1], content=step[2])
                check(step, response.status_code, response.content)

    asyncio.run(run())


def aiohttp():
    import aiohttp

    async def run():
        async with aiohttp.ClientSession() as session:
            for step in SCRIPT:
                async with session.request(step[0], base + step[1], data=step[2]) as response:
                    check(step, response.status, await response.read())

    asyncio.run(run())


def pycurl():
    import pycurl
    from io import BytesIO

    curl = pycurl.Curl()
    curl.setopt(pycurl.CAINFO, os.environ["CURL_CA_BUNDLE"])
    for step in SCRIPT:
        content = BytesIO()
        curl.setopt(pycurl.URL, base + step[1])
        curl.setopt(pycurl.WRITEDATA, content)
        # Else it would offer HTTP/2, and where a server takes that nothing of HTTP/1 is tested.
        curl.setopt(pycurl.HTTP_VERSION, pycurl.CURL_HTTP_VERSION_1_1)
        if step[2]:
            curl.setopt(pycurl.POSTFIELDS, step[2].decode())
        else:
            curl.setopt(pycurl.HTTPGET, True)
        curl.perform()
        check(step, curl.getinfo(pycurl.RESPONSE_CODE), content.getvalue())
    curl.close()


def curl_cffi():
    from curl_cffi import requests

    with requests.Session(verify=os.environ["CURL_CA_BUNDLE"]) as session:
        for step in SCRIPT:
            response = session.request(step[0], base + step[1], data=step[2])
            check(step, response.status_code, response.content)


def pyopenssl():
    """With memory BIOs, as Twisted has it."""
    from OpenSSL import SSL

    url = urlsplit(base)
    context = SSL.Context(SSL.TLS_CLIENT_METHOD)
    context.load_verify_locations(os.environ["SSL_CERT_FILE"])
    context.set_verify(SSL.VERIFY_PEER)
    connection = SSL.Connection(context, None)
    connection.set_tlsext_host_name(url.hostname.encode())
    connection.set_connect_state()
    link = socket.create_connection((url.hostname, url.port))

    def until(call, *arguments):
        while True:
            try:
                return call(*arguments)
            except SSL.WantReadError:
                send()
                connection.bio_write(link.recv(16384))
            finally:
                send()

    def send():
        try:
            while True:
                link.sendall(connection.bio_read(16384))
        except SSL.WantReadError:
            """All is sent."""

    until(connection.do_handshake)
    for step in SCRIPT:
        content = step[2] or b""
        head = f"{step[0]} {step[1]} HTTP/1.1\r\nHost: {url.netloc}\r\nContent-Length: {len(content)}\r\n\r\n"
        until(connection.sendall, head.encode() + content)
        got = b""
        while b"\r\n\r\n" not in got or len(got.split(b"\r\n\r\n", 1)[1]) < step[4]:
            got += until(connection.recv, 16384)
        check(step, int(got.split()[1]), got.split(b"\r\n\r\n", 1)[1])
    connection.shutdown()
    send()


def asyncio_streams():
    async def run():
        url = urlsplit(base)
        reader, writer = await asyncio.open_connection(url.hostname, url.port, ssl=ssl.create_default_context())
        for step in SCRIPT:
            content = step[2] or b""
            head = f"{step[0]} {step[1]} HTTP/1.1\r\nHost: {url.netloc}\r\nContent-Length: {len(content)}\r\n\r\n"
            writer.write(head.encode() + content)
            answer = await reader.readuntil(b"\r\n\r\n")
            length = int(answer.lower().split(b"content-length:")[1].split()[0])
            check(step, int(answer.split()[1]), await reader.readexactly(length))
        writer.close()
        await writer.wait_closed()

    asyncio.run(run())


def steady():
    """A request over the same connection for each path that it is told, until there are no more."""
    url = urlsplit(base)
    connection = http.client.HTTPSConnection(url.hostname, url.port, context=ssl.create_default_context())
    connection.connect()
    print("connected", flush=True)
    for path in sys.stdin:
        connection.request("GET", path.strip())
        print(len(connection.getresponse().read()), flush=True)
    connection.close()


def resumed():
    """By TLS 1.2 and 1.3, two connections each, of which the second one takes up the session of the first."""
    url = urlsplit(base)
    for number, version in enumerate((ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3)):
        context = ssl.create_default_context()
        context.maximum_version = version
        session = None
        for turn in range(2):
            link = socket.create_connection((url.hostname, url.port))
            tls = context.wrap_socket(link, server_hostname=url.hostname, session=session)
            assert tls.session_reused == bool(turn)
            size = number * 2 + turn
            tls.sendall(f"GET /bytes/{size} HTTP/1.1\r\nHost: {url.netloc}\r\n\r\n".encode())
            answer = tls.makefile("rb")
            while answer.readline().strip():
                """The head."""
            assert len(answer.read(size)) == size
            session = tls.session
            tls.close()


def upload():
    """More than fits into the buffers of the socket, without blocking: the library asks to be called again."""
    url = urlsplit(base)
    link = socket.create_connection((url.hostname, url.port))
    # Less than a record of TLS.
    link.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
    tls = ssl.create_default_context().wrap_socket(link, server_hostname=url.hostname)
    tls.setblocking(False)
    content = b"u" * 300_000
    head = f"POST /sink HTTP/1.1\r\nHost: {url.netloc}\r\nContent-Length: {len(content)}\r\n\r\n".encode()
    left, again = memoryview(head + content), 0
    while left:
        try:
            left = left[tls.send(left) :]
        except ssl.SSLWantWriteError:
            again += 1
            select.select([], [tls], [])
    assert again, "it was never asked to wait"
    tls.setblocking(True)
    answer = b""
    while not answer.endswith(b"\r\n\r\nok"):
        answer += tls.recv(1000)
    tls.close()


def concurrent():
    """200 connections at once, two requests on each."""

    async def one(number):
        url = urlsplit(base)
        reader, writer = await asyncio.open_connection(url.hostname, url.port, ssl=ssl.create_default_context())
        for turn in range(2):
            writer.write(f"GET /bytes/{number * 2 + turn} HTTP/1.1\r\nHost: {url.netloc}\r\n\r\n".encode())
            await reader.readuntil(b"\r\n\r\n")
            await reader.readexactly(number * 2 + turn)
        writer.close()
        await writer.wait_closed()

    async def run():
        await asyncio.gather(*(one(number) for number in range(200)))

    asyncio.run(run())


globals()[way]()
