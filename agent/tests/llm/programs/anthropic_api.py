"""Anthropic: messages."""

from wire import Fault, fault, name, sse

HEADERS = [
    ("request-id", "req_tests"),
    ("anthropic-organization-id", "tests"),
    ("anthropic-ratelimit-requests-remaining", "3999"),
]
ERRORS = {
    400: "invalid_request_error",
    401: "authentication_error",
    429: "rate_limit_error",
    500: "api_error",
    529: "overloaded_error",
}
WORDS = ["It", " blows", " wherever", " it", " pleases"]


def messages(exchange, _):
    request = exchange.json()
    model = request["model"]
    try:
        fault(model)
    except Fault as asked:
        error = {"type": "error", "error": {"type": ERRORS[asked.status], "message": "as asked"}, "request_id": "req_tests"}
        exchange.answer(error, asked.status, [*HEADERS, ("retry-after-ms", "1")])
        return
    base = {"id": name("msg_"), "type": "message", "role": "assistant", "model": model + "-20260414"}
    tokens = {
        "input_tokens": 10,
        "cache_creation_input_tokens": 3,
        "cache_read_input_tokens": 5,
        "cache_creation": {"ephemeral_5m_input_tokens": 3, "ephemeral_1h_input_tokens": 0},
        "output_tokens": 29,
        "service_tier": "standard",
    }
    tools = bool(request.get("tools"))
    if request.get("stream"):
        exchange.stream(
            events(base, tokens, tools, model), "text/event-stream; charset=utf-8", HEADERS, identity=base["id"]
        )
        return
    if tools:
        content = [{"type": "tool_use", "id": "toolu_1", "name": "get_weather", "input": {"place": "Ålesund"}}]
    else:
        content = [{"type": "text", "text": "".join(WORDS)}]
    reason = "tool_use" if tools else "end_turn"
    exchange.answer(
        {**base, "content": content, "stop_reason": reason, "stop_sequence": None, "usage": tokens}, headers=HEADERS
    )


def events(base, tokens, tools, model):
    def event(kind, **value):
        return sse({"type": kind, **value}, kind)

    start = {**base, "content": [], "stop_reason": None, "stop_sequence": None, "usage": {**tokens, "output_tokens": 1}}
    yield event("message_start", message=start)
    if tools:
        block = {"type": "tool_use", "id": "toolu_1", "name": "get_weather", "input": {}}
        deltas = [{"type": "input_json_delta", "partial_json": part} for part in ("", '{"place": "Å', 'lesund"}')]
    else:
        block = {"type": "text", "text": ""}
        deltas = [{"type": "text_delta", "text": word} for word in WORDS * (400 if "endless" in model else 1)]
    yield event("content_block_start", index=0, content_block=block)
    yield event("ping")
    for delta in deltas:
        yield event("content_block_delta", index=0, delta=delta)
    if "breaks" in model:
        yield event("error", error={"type": "overloaded_error", "message": "as asked"})
        return
    yield event("content_block_stop", index=0)
    reason = "tool_use" if tools else "end_turn"
    # Cumulative: two of them, and only the last one counts.
    yield event("message_delta", delta={"stop_reason": None, "stop_sequence": None}, usage={"output_tokens": 15})
    yield event("message_delta", delta={"stop_reason": reason, "stop_sequence": None}, usage={"output_tokens": 29})
    yield event("message_stop")


ROUTES = [(r"/v1/messages", messages)]
