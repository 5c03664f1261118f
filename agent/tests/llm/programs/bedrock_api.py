"""Bedrock runtime: converse, converse-stream, invoke, invoke-with-response-stream."""

import base64
import json
from urllib.parse import unquote

from eventstream import event, exception
from wire import Fault, fault, name

STREAM = "application/vnd.amazon.eventstream"
ERRORS = {400: "ValidationException", 429: "ThrottlingException", 500: "InternalServerException"}
WORDS = ["It ", "blows", " east"]


def guarded(action):
    def run(exchange, match):
        model = unquote(match[1])
        headers = [("x-amzn-requestid", name("4c6d8f3a-"))]
        try:
            fault(model)
        except Fault as asked:
            headers.append(("x-amzn-errortype", ERRORS[asked.status] + ":http://internal.amazon.com/coral/"))
            exchange.answer({"message": "as asked"}, asked.status, headers, coding=None)
            return
        action(exchange, model, exchange.json(), headers)

    return run


def tokens(**more):
    return {"inputTokens": 21, "outputTokens": 13, "totalTokens": 41, **more}


CACHED = {"cacheReadInputTokens": 4, "cacheWriteInputTokens": 3}


def converse(exchange, _, request, headers):
    content = [{"text": "".join(WORDS)}]
    tools = "toolConfig" in request
    if tools:
        content.append({"toolUse": {"toolUseId": "tooluse_1", "name": "get_weather", "input": {"place": "Ålesund"}}})
    document = {
        "metrics": {"latencyMs": 551},
        "output": {"message": {"content": content, "role": "assistant"}},
        "stopReason": "tool_use" if tools else "end_turn",
        "usage": tokens(**CACHED),
    }
    exchange.answer(document, headers=headers, coding=None)


def converse_stream(exchange, model, _, headers):
    def parts():
        yield event("messageStart", {"role": "assistant", "p": "abc"})
        for word in WORDS:
            yield event("contentBlockDelta", {"contentBlockIndex": 0, "delta": {"text": word}, "p": "abcdefgh"})
        if "breaks" in model:
            yield exception("modelStreamErrorException", {"message": "as asked"})
            return
        yield event("contentBlockStop", {"contentBlockIndex": 0, "p": "a"})
        yield event("contentBlockStart", {"contentBlockIndex": 1, "start": {"toolUse": {"toolUseId": "tooluse_2", "name": "search"}}})
        yield event("contentBlockDelta", {"contentBlockIndex": 1, "delta": {"toolUse": {"input": '{"q":"wind"}'}}})
        yield event("contentBlockStop", {"contentBlockIndex": 1})
        yield event("messageStop", {"stopReason": "tool_use", "p": "abcd"})
        yield event("metadata", {"metrics": {"latencyMs": 402}, "usage": tokens(), "p": "ab"})

    exchange.stream(parts(), STREAM, headers)


def counts():
    return [("x-amzn-bedrock-input-token-count", "17"), ("x-amzn-bedrock-output-token-count", "6")]


def invoke(exchange, model, _, headers):
    if model.startswith("amazon.titan-embed"):
        document = {"embedding": [0.5] * 8, "inputTextTokenCount": 17}
    elif model.startswith("meta."):
        document = {"generation": "".join(WORDS), "prompt_token_count": 17, "generation_token_count": 6, "stop_reason": "length"}
    elif model.startswith("amazon.nova"):
        message = {"content": [{"text": "".join(WORDS)}], "role": "assistant"}
        document = {"output": {"message": message}, "stopReason": "end_turn", "usage": {"inputTokens": 17, "outputTokens": 6}}
    else:
        document = {
            "id": name("msg_bdrk_"),
            "type": "message",
            "role": "assistant",
            "model": "claude-sonnet-4-5-20250929",
            "content": [{"type": "text", "text": "".join(WORDS)}],
            "stop_reason": "end_turn",
            "stop_sequence": None,
            "usage": {"input_tokens": 17, "output_tokens": 6},
        }
    exchange.answer(document, headers=[*headers, *counts()], coding=None)


def invoke_stream(exchange, _, __, headers):
    def chunk(value):
        return event("chunk", {"bytes": base64.b64encode(json.dumps(value).encode()).decode(), "p": "abc"})

    def parts():
        start = {"id": name("msg_bdrk_"), "type": "message", "role": "assistant", "model": "claude-sonnet-4-5-20250929"}
        usage = {"input_tokens": 17, "output_tokens": 1}
        yield chunk({"type": "message_start", "message": {**start, "content": [], "stop_reason": None, "usage": usage}})
        yield chunk({"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}})
        for word in WORDS:
            yield chunk({"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": word}})
        yield chunk({"type": "content_block_stop", "index": 0})
        yield chunk({"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": {"output_tokens": 6}})
        metrics = {"inputTokenCount": 17, "outputTokenCount": 6, "invocationLatency": 730, "firstByteLatency": 402}
        yield chunk({"type": "message_stop", "amazon-bedrock-invocationMetrics": metrics})

    exchange.stream(parts(), STREAM, [*headers, ("x-amzn-bedrock-content-type", "application/json")])


ROUTES = [
    (r"/model/([^/]+)/converse", guarded(converse)),
    (r"/model/([^/]+)/converse-stream", guarded(converse_stream)),
    (r"/model/([^/]+)/invoke", guarded(invoke)),
    (r"/model/([^/]+)/invoke-with-response-stream", guarded(invoke_stream)),
]
