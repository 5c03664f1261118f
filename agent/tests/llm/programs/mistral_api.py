"""Mistral: OpenAI's form under a prefix, as behind a gateway, with Mistral's own words."""

import time

from wire import Fault, fault, name, sse

HEADERS = [("x-kong-request-id", "tests"), ("x-ratelimit-limit-req-10-second", "20"), ("x-ratelimit-tokens-query-cost", "15")]
WORDS = ["Le", " vent", " souffle"]
TOKENS = {"prompt_tokens": 15, "total_tokens": 29, "completion_tokens": 14, "prompt_tokens_details": {"cached_tokens": 2}}


def guarded(action):
    def run(exchange, _):
        request = exchange.json()
        try:
            fault(request.get("model", ""))
        except Fault as asked:
            error = {"object": "error", "message": "as asked", "type": "rate_limited", "param": None, "code": "1300"}
            exchange.answer(error, asked.status, [*HEADERS, ("retry-after", "0")])
            return
        action(exchange, request)

    return run


def chat(exchange, request):
    base = {"id": name("cmpl-"), "created": int(time.time()), "model": request["model"]}
    if request.get("stream"):
        base["object"] = "chat.completion.chunk"

        def chunk(delta, finish=None, **more):
            return sse({**base, "choices": [{"index": 0, "delta": delta, "finish_reason": finish}], **more})

        events = [chunk({"role": "assistant", "content": ""}), *(chunk({"content": word}) for word in WORDS)]
        # Usage without being asked for it, in the chunk that ends the choice.
        events += [chunk({"content": ""}, "length", usage=TOKENS), sse("[DONE]")]
        exchange.stream(events, "text/event-stream; charset=utf-8", HEADERS, identity=base["id"])
        return
    message = {"role": "assistant", "content": "".join(WORDS), "tool_calls": None, "prefix": False}
    if request.get("tools"):
        function = {"name": "get_weather", "arguments": '{"place": "Ålesund"}'}
        message.update(content="", tool_calls=[{"id": "a1b2c3d4e", "index": 0, "function": function}])
    finish = "tool_calls" if request.get("tools") else "stop"
    choices = [{"index": 0, "finish_reason": finish, "message": message}]
    exchange.answer({**base, "object": "chat.completion", "choices": choices, "usage": TOKENS}, headers=HEADERS)


def embeddings(exchange, request):
    data = [{"object": "embedding", "index": index, "embedding": [0.5] * 4} for index, _ in enumerate(request["input"])]
    tokens = {"prompt_tokens": 15, "total_tokens": 15, "completion_tokens": 0}
    exchange.answer(
        {"id": name("emb-"), "object": "list", "data": data, "model": request["model"], "usage": tokens}, headers=HEADERS
    )


ROUTES = [
    (r"/mistral/v1/(?:chat|fim)/completions", guarded(chat)),
    (r"/mistral/v1/embeddings", guarded(embeddings)),
]
