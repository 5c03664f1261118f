"""Ollama's own API."""

from datetime import datetime, timezone

from wire import Fault, fault, ndjson

WORDS = ["The", " wind", " blows"]
DURATIONS = {"total_duration": 174560334, "load_duration": 101397084, "prompt_eval_duration": 13074791, "eval_duration": 52479709}
COUNTS = {"prompt_eval_count": 18, "eval_count": 17}


def guarded(action):
    def run(exchange, _):
        request = exchange.json()
        try:
            fault(request.get("model", ""))
        except Fault as asked:
            exchange.answer({"error": f"model '{request['model']}' not found"}, asked.status, coding=None)
            return
        base = {"model": request["model"], "created_at": datetime.now(timezone.utc).isoformat().replace("+00:00", "Z")}
        action(exchange, request, base)

    return run


def answer(exchange, request, base, part, end):
    """A stream unless the request says that none is wanted."""
    last = {"done": True, "done_reason": "stop", **DURATIONS, **COUNTS}
    if request.get("stream", True):
        lines = [{**base, **part(word), "done": False} for word in WORDS]
        exchange.stream(map(ndjson, [*lines, {**base, **end, **last}]), "application/x-ndjson")
        return
    exchange.answer({**base, **part("".join(WORDS)), **last}, coding=None)


def chat(exchange, request, base):
    def part(text):
        message = {"role": "assistant", "content": text}
        if request.get("tools"):
            message["tool_calls"] = [{"function": {"name": "get_weather", "arguments": {"place": "Ålesund"}}}]
        return {"message": message}

    answer(exchange, request, base, part, {"message": {"role": "assistant", "content": ""}})


def generate(exchange, request, base):
    answer(exchange, request, base, lambda text: {"response": text}, {"response": "", "context": [1, 2, 3]})


def embed(exchange, request, base):
    count = len(request["input"]) if isinstance(request["input"], list) else 1
    document = {"model": base["model"], "embeddings": [[0.5] * 4] * count, "prompt_eval_count": 8}
    exchange.answer({**document, "total_duration": 14143917, "load_duration": 1019500}, coding=None)


ROUTES = [
    (r"/api/chat", guarded(chat)),
    (r"/api/generate", guarded(generate)),
    (r"/api/embed", guarded(embed)),
]
