"""Calls of llama.cpp's server by the SDKs of OpenAI and Anthropic, and in its own form; prints what each said of its tokens. Usage: client_llama.py BASE"""

import http.client
import json
import sys
from urllib.parse import urlsplit

import anthropic
import openai

base = sys.argv[1]
MODEL = "tiny-random"
ASK = [{"role": "user", "content": "what does the wind do"}]


def said(what, finish, tokens_in, tokens_out, cached):
    print(json.dumps({"what": what, "finish": finish, "in": tokens_in, "out": tokens_out, "cached": cached}), flush=True)


def counts(usage):
    return usage.prompt_tokens, usage.completion_tokens, usage.prompt_tokens_details.cached_tokens


ai = openai.OpenAI(base_url=base + "/v1", api_key="tests")
answer = ai.chat.completions.create(model=MODEL, messages=ASK, max_tokens=12)
said("chat", answer.choices[0].finish_reason, *counts(answer.usage))
options = {"include_usage": True}
chunks = list(ai.chat.completions.create(model=MODEL, messages=ASK, max_tokens=40, stream=True, stream_options=options))
finish = [choice.finish_reason for chunk in chunks for choice in chunk.choices if choice.finish_reason]
said("chat stream", finish[-1], *counts(chunks[-1].usage))
answer = ai.completions.create(model=MODEL, prompt="the wind", max_tokens=8)
said("completion", answer.choices[0].finish_reason, *counts(answer.usage))
answer = list(ai.responses.create(model=MODEL, input="the wind", max_output_tokens=8, stream=True))[-1].response
usage = answer.usage
said("response stream", answer.status, usage.input_tokens, usage.output_tokens, usage.input_tokens_details.cached_tokens)

claude = anthropic.Anthropic(base_url=base, api_key="tests")
start = last = None
for event in claude.messages.create(model=MODEL, messages=ASK, max_tokens=20, stream=True):
    start = event.message.usage if event.type == "message_start" else start
    last = event if event.type == "message_delta" else last
cached = start.cache_read_input_tokens
said("messages stream", last.delta.stop_reason, start.input_tokens + (cached or 0), last.usage.output_tokens, cached)

connection = http.client.HTTPConnection(urlsplit(base).netloc)
body = json.dumps({"prompt": "the wind", "n_predict": 10, "stream": True})
connection.request("POST", "/completion", body, {"Content-Type": "application/json"})
lines = [line[6:] for line in connection.getresponse().read().decode().splitlines() if line.startswith("data: {")]
last = json.loads(lines[-1])
assert last["stop"]
said("native stream", last["stop_type"], last["tokens_evaluated"], last["tokens_predicted"], last["timings"]["cache_n"])
