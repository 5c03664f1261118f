"""Cohere: chat of both versions, embed, rerank."""

from wire import Fault, fault, name, ndjson, sse

HEADERS = [("x-envoy-upstream-service-time", "41"), ("num_tokens", "16"), ("num_chars", "88")]
WORDS = ["The ", "wind ", "blows"]
UNITS = {"billed_units": {"input_tokens": 5, "output_tokens": 8}, "tokens": {"input_tokens": 71, "output_tokens": 9}}


def guarded(action):
    def run(exchange, _):
        request = exchange.json()
        try:
            fault(request.get("model", ""))
        except Fault as asked:
            exchange.answer({"id": name("co-"), "message": "as asked"}, asked.status, HEADERS)
            return
        action(exchange, request)

    return run


def chat(exchange, request):
    identity = name("co-")
    if request.get("stream"):
        events = stream(identity)
        exchange.stream((sse(value, value["type"]) for value in events), "text/event-stream", HEADERS, identity=identity)
        return
    message = {"role": "assistant", "content": [{"type": "text", "text": "".join(WORDS)}]}
    finish = "COMPLETE"
    if request.get("tools"):
        call = {"id": "get_weather_1", "type": "function", "function": {"name": "get_weather", "arguments": '{"place":"Ålesund"}'}}
        message, finish = {"role": "assistant", "tool_plan": "I look it up.", "tool_calls": [call]}, "TOOL_CALL"
    exchange.answer({"id": identity, "finish_reason": finish, "message": message, "usage": UNITS}, headers=HEADERS)


def stream(identity):
    start = {"role": "assistant", "content": [], "tool_plan": "", "tool_calls": [], "citations": []}
    yield {"type": "message-start", "id": identity, "delta": {"message": start}}
    yield {"type": "content-start", "index": 0, "delta": {"message": {"content": {"type": "text", "text": ""}}}}
    for word in WORDS:
        yield {"type": "content-delta", "index": 0, "delta": {"message": {"content": {"text": word}}}}
    yield {"type": "content-end", "index": 0}
    yield {"type": "message-end", "delta": {"finish_reason": "MAX_TOKENS", "usage": UNITS}}


def chat_v1(exchange, request):
    identity = name("co-")
    final = {
        "response_id": identity,
        "text": "".join(WORDS),
        "generation_id": name("gen-"),
        "chat_history": [],
        "finish_reason": "COMPLETE",
        "meta": {"api_version": {"version": "1"}, **UNITS},
    }
    if not request.get("stream"):
        exchange.answer(final, headers=HEADERS)
        return
    lines = [{"is_finished": False, "event_type": "stream-start", "generation_id": final["generation_id"]}]
    lines += [{"is_finished": False, "event_type": "text-generation", "text": word} for word in WORDS]
    lines.append({"is_finished": True, "event_type": "stream-end", "response": final, "finish_reason": "COMPLETE"})
    exchange.stream(map(ndjson, lines), "application/stream+json", HEADERS, identity=identity)


def embed(exchange, request):
    texts = request["texts"]
    meta = {"api_version": {"version": "2"}, "billed_units": {"input_tokens": 6}}
    document = {"id": name("co-"), "embeddings": {"float": [[0.5] * 4 for _ in texts]}, "texts": texts, "meta": meta}
    exchange.answer({**document, "response_type": "embeddings_by_type"}, headers=HEADERS)


def rerank(exchange, request):
    results = [{"index": index, "relevance_score": 0.5} for index, _ in enumerate(request["documents"])]
    meta = {"api_version": {"version": "2"}, "billed_units": {"search_units": 1}}
    exchange.answer({"id": name("co-"), "results": results, "meta": meta}, headers=HEADERS)


ROUTES = [
    (r"/v2/chat", guarded(chat)),
    (r"/v1/chat", guarded(chat_v1)),
    (r"/v2/embed", guarded(embed)),
    (r"/v2/rerank", guarded(rerank)),
]
