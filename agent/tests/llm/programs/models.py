"""A model server that speaks every provider's wire format. Usage: models.py CLOCK [CERTIFICATE KEY]; prints its port, writes its clock's lines to the file
CLOCK. With a certificate it speaks TLS."""

import json
import socketserver
import ssl
import sys
import threading

import anthropic_api
import bedrock_api
import cohere_api
import gemini_api
import mistral_api
import ollama_api
import openai_api
from wire import handler

ROUTES = [
    *mistral_api.ROUTES,
    *openai_api.ROUTES,
    *anthropic_api.ROUTES,
    *gemini_api.ROUTES,
    *bedrock_api.ROUTES,
    *cohere_api.ROUTES,
    *ollama_api.ROUTES,
]


class Server(socketserver.ThreadingTCPServer):
    allow_reuse_address = True
    daemon_threads = True
    request_queue_size = 256
    lock = threading.Lock()

    def clock(self, line):
        with self.lock, open(sys.argv[1], "a", encoding="utf-8") as file:
            file.write(json.dumps(line) + "\n")

    def handle_error(self, request, client_address):
        # A client that went away is not an error of ours.
        if not isinstance(sys.exception() if hasattr(sys, "exception") else sys.exc_info()[1], OSError):
            super().handle_error(request, client_address)


with Server(("127.0.0.1", 0), handler(ROUTES)) as server:
    if len(sys.argv) > 2:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(*sys.argv[2:4])
        # Each thread makes the handshake of its own connection.
        server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
    print(server.server_address[1], flush=True)
    server.serve_forever()
