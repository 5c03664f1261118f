"""Two small servers for the demo, on ports of their own: a web shop with a tool (MCP), and a model behind the OpenAI API's shape.

Prints the two ports, then serves until it is ended. Nothing here knows of Telltale.
"""

import json
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

BOOKS = [{"id": 1, "title": "Sailing Alone Around the World"}, {"id": 2, "title": "The Riddle of the Sands"}]
ANSWER = "A telltale is a thread on a sail that shows how the air flows over it.".split(" ")


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    # Headers and body are two writes; together with delayed acknowledgements Nagle's algorithm would add 40 ms.
    disable_nagle_algorithm = True

    def log_message(self, *arguments):
        pass

    def body(self):
        return self.rfile.read(int(self.headers.get("content-length", 0)))

    def reply(self, status, value):
        data = json.dumps(value).encode()
        self.send_response(status)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)


class Shop(Handler):
    def do_GET(self):
        if self.path.startswith("/books/"):
            number = self.path.removeprefix("/books/")
            found = [book for book in BOOKS if str(book["id"]) == number]
            return self.reply(200, found[0]) if found else self.reply(404, {"error": "no such book"})
        if self.path == "/report":
            time.sleep(0.25)
        return self.reply(200, BOOKS)

    def do_POST(self):
        body = self.body()
        if self.path == "/mcp":
            return self.tool(json.loads(body))
        return self.reply(201, {"order": 7})

    def tool(self, call):
        word = call["params"]["arguments"]["word"]
        found = [book["title"] for book in BOOKS if word in book["title"]]
        text = {"type": "text", "text": found[0] if found else "no such book"}
        return self.reply(200, {"jsonrpc": "2.0", "id": call["id"], "result": {"content": [text], "isError": not found}})


class Model(Handler):
    def do_POST(self):
        request = json.loads(self.body())
        if request["model"] != "tiny":
            return self.reply(404, {"error": {"code": "model_not_found", "message": "there is only tiny"}})
        usage = {"prompt_tokens": 12, "completion_tokens": len(ANSWER), "total_tokens": 12 + len(ANSWER)}
        head = {"id": "chatcmpl-1", "created": 0, "model": "tiny"}
        time.sleep(0.1)
        if request.get("stream"):
            return self.stream(head, usage)
        asks = {"name": "find_book", "arguments": json.dumps({"word": "Sailing"})}
        call = {"id": "call_1", "type": "function", "function": asks}
        message = {"role": "assistant", "content": None, "tool_calls": [call]}
        choice = {"index": 0, "message": message, "finish_reason": "tool_calls"}
        return self.reply(200, {**head, "object": "chat.completion", "choices": [choice], "usage": usage})

    def stream(self, head, usage):
        self.send_response(200)
        self.send_header("content-type", "text/event-stream")
        self.send_header("transfer-encoding", "chunked")
        self.end_headers()
        head = {**head, "object": "chat.completion.chunk"}
        for word in ANSWER:
            self.event({**head, "choices": [{"index": 0, "delta": {"content": word + " "}, "finish_reason": None}]})
            time.sleep(0.04)
        self.event({**head, "choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]})
        self.event({**head, "choices": [], "usage": usage})
        self.chunk(b"data: [DONE]\n\n")
        self.chunk(b"")

    def event(self, value):
        self.chunk(b"data: " + json.dumps(value).encode() + b"\n\n")

    def chunk(self, data):
        self.wfile.write(b"%x\r\n%b\r\n" % (len(data), data))


def main():
    servers = [ThreadingHTTPServer(("127.0.0.1", 0), handler) for handler in (Shop, Model)]
    for server in servers:
        server.daemon_threads = True
    print(*(server.server_address[1] for server in servers), flush=True)
    threading.Thread(target=servers[0].serve_forever, daemon=True).start()
    servers[1].serve_forever()


if __name__ == "__main__":
    sys.exit(main())
