"""OpenAI: chat completions, completions, responses, embeddings, moderations."""

import base64
import json
import struct
import time

from wire import Fault, fault, name, sse

HEADERS = [
    ("openai-version", "2020-10-01"),
    ("openai-processing-ms", "12"),
    ("openai-organization", "tests"),
    ("x-request-id", "req_tests"),
    ("x-ratelimit-remaining-tokens", "149984"),
]
ERRORS = {
    400: ("invalid_request_error", "context_length_exceeded"),
    401: ("invalid_request_error", "invalid_api_key"),
    429: ("tokens", "rate_limit_exceeded"),
    500: ("server_error", None),
}
WORDS = ["The", " wind", " blows", " où", " il", " veut", " 🌬"]


def guarded(action):
    """Faults become the provider's error documents."""

    def run(exchange, match):
        request = exchange.json()
        try:
            fault(request.get("model", ""))
        except Fault as asked:
            kind, code = ERRORS[asked.status]
            error = {"message": "as asked", "type": kind, "param": None, "code": code}
            exchange.answer({"error": error}, asked.status, [*HEADERS, ("retry-after-ms", "1")])
            return
        action(exchange, request)

    return run


def usage(request):
    reasoning = 5 if request["model"].startswith("o4") else 0
    return {
        "prompt_tokens": 19,
        "completion_tokens": 7 + reasoning,
        "total_tokens": 26 + reasoning,
        "prompt_tokens_details": {"cached_tokens": 4, "audio_tokens": 0},
        "completion_tokens_details": {
            "reasoning_tokens": reasoning,
            "audio_tokens": 0,
            "accepted_prediction_tokens": 0,
            "rejected_prediction_tokens": 0,
        },
    }


def tool_call(index=None):
    call = {
        "id": "call_weather1",
        "type": "function",
        "function": {"name": "get_weather", "arguments": json.dumps({"place": "Ålesund"})},
    }
    return call if index is None else {"index": index, **call}


def chat(exchange, request):
    identity = name("chatcmpl-")
    base = {
        "id": identity,
        "created": int(time.time()),
        "model": request["model"] + "-2026-04-14",
        "service_tier": "default",
        "system_fingerprint": "fp_44709d6fcb",
    }
    tools = bool(request.get("tools"))
    if request.get("stream"):
        pacing = request.get("metadata") or {}
        exchange.stream(
            chat_events(base, request, tools),
            "text/event-stream; charset=utf-8",
            HEADERS,
            pace=float(pacing.get("pace", 0.001)),
            before=float(pacing.get("before", 0)),
            identity=identity,
        )
        return
    finish = "tool_calls" if tools else "stop"
    message = {"role": "assistant", "content": None if tools else "".join(WORDS), "refusal": None}
    if tools:
        message["tool_calls"] = [tool_call()]
    choices = [
        {"index": index, "message": message, "logprobs": None, "finish_reason": finish if index == 0 else "length"}
        for index in range(request.get("n") or 1)
    ]
    document = {"object": "chat.completion", **base, "choices": choices, "usage": usage(request)}
    exchange.answer(document, headers=HEADERS)


def chat_events(base, request, tools):
    base = {"object": "chat.completion.chunk", **base}
    asked = (request.get("stream_options") or {}).get("include_usage")

    def chunk(delta, finish=None):
        value = {**base, "choices": [{"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish}]}
        if asked:
            value["usage"] = None
        return sse(value)

    yield chunk({"role": "assistant", "content": None if tools else "", "refusal": None})
    if tools:
        call = tool_call(0)
        whole = call["function"]["arguments"]
        call["function"] = {"name": call["function"]["name"], "arguments": ""}
        yield chunk({"tool_calls": [call]})
        for part in (whole[:5], whole[5:]):
            yield chunk({"tool_calls": [{"index": 0, "function": {"arguments": part}}]})
    elif "endless" in request["model"]:
        for _ in range(2000):
            yield chunk({"content": " on"})
    else:
        for word in WORDS:
            yield chunk({"content": word})
    if "breaks" in request["model"]:
        yield sse({"error": {"message": "as asked", "type": "server_error", "param": None, "code": "server_error"}})
        return
    yield chunk({}, "tool_calls" if tools else "stop")
    if asked:
        yield sse({**base, "choices": [], "usage": usage(request)})
    yield sse("[DONE]")


def completions(exchange, request):
    base = {"id": name("cmpl-"), "object": "text_completion", "created": int(time.time()), "model": request["model"]}

    def choice(text, finish):
        return [{"text": text, "index": 0, "logprobs": None, "finish_reason": finish}]

    tokens = {"prompt_tokens": 5, "completion_tokens": 7, "total_tokens": 12}
    if request.get("stream"):
        events = [sse({**base, "choices": choice(word, None)}) for word in WORDS]
        events += [sse({**base, "choices": choice("", "length")}), sse("[DONE]")]
        exchange.stream(events, "text/event-stream", HEADERS)
        return
    exchange.answer({**base, "choices": choice("".join(WORDS), "length"), "usage": tokens}, headers=HEADERS)


def responses(exchange, request):
    identity, item = name("resp_"), name("msg_")
    tokens = {
        "input_tokens": 36,
        "input_tokens_details": {"cached_tokens": 8},
        "output_tokens": 87,
        "output_tokens_details": {"reasoning_tokens": 64},
        "total_tokens": 123,
    }
    tools = bool(request.get("tools"))

    def response(status, output):
        return {
            "id": identity,
            "object": "response",
            "created_at": int(time.time()),
            "status": status,
            "background": False,
            "error": None,
            "incomplete_details": None,
            "instructions": None,
            "max_output_tokens": request.get("max_output_tokens"),
            "model": request["model"] + "-2026-04-14",
            "output": output,
            "parallel_tool_calls": True,
            "previous_response_id": request.get("previous_response_id"),
            "reasoning": {"effort": "low", "summary": None},
            "service_tier": "default",
            "store": True,
            "temperature": 1.0,
            "text": {"format": {"type": "text"}},
            "tool_choice": "auto",
            "tools": request.get("tools") or [],
            "top_p": 1.0,
            "truncation": "disabled",
            "usage": tokens if status == "completed" else None,
            "user": None,
            "metadata": {},
        }

    if tools:
        call = {"type": "function_call", "call_id": "call_search1", "name": "search", "arguments": '{"q":"wind"}'}
        document = response("completed", [{"id": name("fc_"), "status": "completed", **call}])
        exchange.answer(document, headers=HEADERS, coding="deflate")
        return
    text = {"type": "output_text", "annotations": [], "logprobs": [], "text": "".join(WORDS)}
    message = {"id": item, "type": "message", "status": "completed", "content": [text], "role": "assistant"}
    if not request.get("stream"):
        exchange.answer(response("completed", [message]), headers=HEADERS)
        return

    def events():
        yield "response.created", {"response": response("in_progress", [])}
        yield "response.in_progress", {"response": response("in_progress", [])}
        started = {**message, "status": "in_progress", "content": []}
        yield "response.output_item.added", {"output_index": 0, "item": started}
        at = {"item_id": item, "output_index": 0, "content_index": 0}
        yield "response.content_part.added", {**at, "part": {**text, "text": ""}}
        for word in WORDS:
            yield "response.output_text.delta", {**at, "delta": word, "logprobs": [], "obfuscation": "xxxx"}
        yield "response.output_text.done", {**at, "text": text["text"], "logprobs": []}
        yield "response.content_part.done", {**at, "part": text}
        yield "response.output_item.done", {"output_index": 0, "item": message}
        yield "response.completed", {"response": response("completed", [message])}

    parts = (
        sse({"type": kind, "sequence_number": number, **value}, kind) for number, (kind, value) in enumerate(events())
    )
    exchange.stream(parts, "text/event-stream; charset=utf-8", HEADERS, identity=identity)


def embeddings(exchange, request):
    count = len(request["input"]) if isinstance(request["input"], list) else 1
    vector = [0.5] * (request.get("dimensions") or 8)
    if request.get("encoding_format") == "base64":
        vector = base64.b64encode(struct.pack(f"<{len(vector)}f", *vector)).decode()
    data = [{"object": "embedding", "index": index, "embedding": vector} for index in range(count)]
    tokens = {"prompt_tokens": 9, "total_tokens": 9}
    exchange.answer({"object": "list", "data": data, "model": request["model"], "usage": tokens}, headers=HEADERS)


def moderations(exchange, request):
    result = {"flagged": False, "categories": {}, "category_scores": {}, "category_applied_input_types": {}}
    exchange.answer({"id": name("modr-"), "model": request["model"], "results": [result]}, headers=HEADERS)


ROUTES = [
    (r"(?:/[\w-]+)*/v1/chat/completions", guarded(chat)),
    (r"/v1/completions", guarded(completions)),
    (r"/v1/responses", guarded(responses)),
    (r"/v1/embeddings", guarded(embeddings)),
    (r"/v1/moderations", guarded(moderations)),
]
