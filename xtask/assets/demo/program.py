"""The demo's program: an ordinary client of a shop, and of a model that uses the shop's tool. Nothing here knows of Telltale.

Arguments: the shop's port, the model's port, and a file to create when all is done.
"""

import http.client
import json
import pathlib
import sys
import time


def call(connection, method, path, value=None):
    body = None if value is None else json.dumps(value)
    headers = {} if value is None else {"content-type": "application/json", "authorization": "Bearer demo"}
    connection.request(method, path, body, headers)
    response = connection.getresponse()
    return response.status, response.read()


def main(shop_port, model_port, done):
    shop = http.client.HTTPConnection("127.0.0.1", int(shop_port))
    model = http.client.HTTPConnection("127.0.0.1", int(model_port))
    for turn in range(4):
        call(shop, "GET", "/books?page=%d" % turn)
        call(shop, "GET", "/books/%d" % (turn + 1))
        call(shop, "POST", "/orders", {"book": 1})
        tool = {"type": "function", "function": {"name": "find_book", "parameters": {"type": "object"}}}
        messages = [{"role": "user", "content": "Which book tells of telltales, and what are they?"}]
        question = {"model": "tiny", "messages": messages, "tools": [tool]}
        _, answer = call(model, "POST", "/v1/chat/completions", question)
        asked = json.loads(answer)["choices"][0]["message"]
        # The third time it asks for a book that is not there.
        word = "Sailing" if turn != 2 else "Cookery"
        params = {"name": "find_book", "arguments": {"word": word}}
        _, found = call(shop, "POST", "/mcp", {"jsonrpc": "2.0", "id": turn, "method": "tools/call", "params": params})
        result = {"role": "tool", "tool_call_id": asked["tool_calls"][0]["id"], "content": found.decode()}
        question = {**question, "messages": [*messages, asked, result], "stream": True}
        call(model, "POST", "/v1/chat/completions", {**question, "stream_options": {"include_usage": True}})
        time.sleep(1)
    call(shop, "GET", "/report")
    call(model, "POST", "/v1/chat/completions", {"model": "huge", "messages": []})
    pathlib.Path(done).touch()
    # The metrics are fetched while the program lives: Telltale ends with it.
    time.sleep(3)


if __name__ == "__main__":
    main(*sys.argv[1:])
