"""Gemini: generateContent, streamGenerateContent as events and as an array, batchEmbedContents."""

import json

from wire import Fault, fault, name, sse

HEADERS = [("server-timing", "gfet4t7; dur=12"), ("x-content-type-options", "nosniff"), ("vary", "X-Origin")]
STATUSES = {400: "INVALID_ARGUMENT", 429: "RESOURCE_EXHAUSTED", 500: "INTERNAL"}
WORDS = ["Le vent ", "souffle ", "où il veut"]


def guarded(action):
    def run(exchange, match):
        try:
            fault(match[1])
        except Fault as asked:
            error = {"code": asked.status, "message": "as asked", "status": STATUSES[asked.status]}
            exchange.answer({"error": error}, asked.status, HEADERS)
            return
        action(exchange, match[1], exchange.json())

    return run


def usage(output, thoughts):
    return {
        "promptTokenCount": 11,
        "candidatesTokenCount": output,
        "totalTokenCount": 11 + output + thoughts,
        "thoughtsTokenCount": thoughts,
        "cachedContentTokenCount": 6,
        "promptTokensDetails": [{"modality": "TEXT", "tokenCount": 11}],
    }


def document(model, identity, parts, tokens, finish=None):
    candidate = {"content": {"parts": parts, "role": "model"}, "index": 0}
    if finish:
        candidate["finishReason"] = finish
    return {"candidates": [candidate], "usageMetadata": tokens, "modelVersion": model + "-001", "responseId": identity}


def generate(exchange, model, request):
    parts = [{"text": "".join(WORDS)}]
    if request.get("tools"):
        parts = [{"functionCall": {"name": "get_weather", "args": {"place": "Ålesund"}}}]
    exchange.answer(document(model, name("gem-"), parts, usage(9, 4), "STOP"), headers=HEADERS)


def stream(exchange, model, _):
    identity = name("gem-")
    parts = [
        document(model, identity, [{"text": word}], usage(3 * number, 4), "STOP" if number == len(WORDS) else None)
        for number, word in enumerate(WORDS, 1)
    ]
    if "alt=sse" in exchange.query:
        events = (sse(part, end="\r\n") for part in parts)
        exchange.stream(events, "text/event-stream", HEADERS, identity=identity)
        return
    elements = (
        ("[" if number == 0 else ",\r\n").encode() + json.dumps(part).encode() + (b"]" if number == 2 else b"")
        for number, part in enumerate(parts)
    )
    exchange.stream(elements, "application/json; charset=UTF-8", HEADERS, identity=identity)


def embed(exchange, _, request):
    exchange.answer({"embeddings": [{"values": [0.25] * 4} for _ in request["requests"]]}, headers=HEADERS)


def embed_one(exchange, _, __):
    exchange.answer({"embedding": {"values": [0.25] * 4}}, headers=HEADERS)


def count(exchange, _, __):
    exchange.answer({"totalTokens": 11}, headers=HEADERS)


ROUTES = [
    (r"/v1(?:beta)?/models/([^/:]+):generateContent", guarded(generate)),
    (r"/v1(?:beta)?/models/([^/:]+):streamGenerateContent", guarded(stream)),
    (r"/v1(?:beta)?/models/([^/:]+):batchEmbedContents", guarded(embed)),
    (r"/v1(?:beta)?/models/([^/:]+):embedContent", guarded(embed_one)),
    (r"/v1(?:beta)?/models/([^/:]+):countTokens", guarded(count)),
]
