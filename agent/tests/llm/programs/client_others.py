"""Calls by the SDKs of other providers; what they make of the answers is checked. Usage: client_others.py WAY BASE"""

import http.client
import json
import os
import sys
from urllib.parse import urlsplit

way, base = sys.argv[1], sys.argv[2]
ASK = [{"role": "user", "content": "What does the wind do?"}]
SCHEMA = {"type": "object", "properties": {"place": {"type": "string"}}}
TOOLS = [{"type": "function", "function": {"name": "get_weather", "description": "Weather", "parameters": SCHEMA}}]


def fails(kind, call, check=lambda error: True):
    try:
        call()
    except kind as error:
        assert check(error), error
    else:
        raise SystemExit("no error")


def google():
    from google import genai
    from google.genai import errors, types

    ai = genai.Client(api_key="AIza-tests", http_options=types.HttpOptions(base_url=base))
    config = types.GenerateContentConfig(temperature=0.5, max_output_tokens=64, top_k=40)
    answer = ai.models.generate_content(model="gemini-2.5-flash", contents="What does the wind do?", config=config)
    assert answer.text == "Le vent souffle où il veut" and answer.usage_metadata.thoughts_token_count == 4
    tool = types.Tool(function_declarations=[{"name": "get_weather", "parameters": SCHEMA}])
    config = types.GenerateContentConfig(tools=[tool])
    answer = ai.models.generate_content(model="gemini-2.5-pro", contents="Weather?", config=config)
    assert answer.function_calls[0].name == "get_weather"
    stream = ai.models.generate_content_stream(model="gemini-2.5-flash-lite", contents="Again")
    assert "".join(chunk.text for chunk in stream) == "Le vent souffle où il veut"
    answer = ai.models.embed_content(model="gemini-embedding-001", contents=["a", "b"])
    assert len(answer.embeddings) == 2
    fails(errors.ClientError, lambda: ai.models.generate_content(model="fault-429", contents="x"), lambda e: e.code == 429)
    # Without `alt=sse`, which no SDK does, the stream is one array.
    connection = http.client.HTTPConnection(urlsplit(base).netloc)
    body = json.dumps({"contents": [{"role": "user", "parts": [{"text": "Again"}]}]})
    headers = {"x-goog-api-key": "AIza-tests", "Content-Type": "application/json"}
    connection.request("POST", "/v1beta/models/gemini-2.0-flash:streamGenerateContent", body, headers)
    assert len(json.loads(connection.getresponse().read())) == 3


def cohere():
    import cohere as sdk

    ai = sdk.ClientV2("tests", base_url=base, max_retries=0)
    answer = ai.chat(model="command-a-03-2025", messages=ASK, temperature=0.3, k=20, p=0.9)
    assert answer.message.content[0].text == "The wind blows" and answer.usage.billed_units.input_tokens == 5
    answer = ai.chat(model="command-r7b-12-2024", messages=ASK, tools=TOOLS)
    assert answer.message.tool_calls[0].function.name == "get_weather"
    kinds = [event.type for event in ai.chat_stream(model="command-r-plus", messages=ASK)]
    assert kinds[-1] == "message-end"
    ai.embed(model="embed-v4.0", texts=["a", "b"], input_type="search_query", embedding_types=["float"])
    ai.rerank(model="rerank-v3.5", query="wind", documents=["a", "b"])
    fails(sdk.core.api_error.ApiError, lambda: ai.chat(model="fault-401", messages=ASK), lambda e: e.status_code == 401)
    old = sdk.Client("tests", base_url=base, max_retries=0)
    assert old.chat(model="command-r", message="What does the wind do?").text == "The wind blows"
    kinds = [event.event_type for event in old.chat_stream(model="command-light", message="Again")]
    assert kinds[-1] == "stream-end"


def mistral():
    from mistralai.client import Mistral
    from mistralai.client.errors import MistralError

    with Mistral(api_key="tests", server_url=base + "/mistral") as ai:
        answer = ai.chat.complete(model="mistral-small-latest", messages=ASK, temperature=0.7, random_seed=3)
        assert answer.choices[0].message.content == "Le vent souffle"
        answer = ai.chat.complete(model="mistral-medium-latest", messages=ASK, tools=TOOLS)
        assert answer.choices[0].message.tool_calls[0].function.name == "get_weather"
        with ai.chat.stream(model="ministral-8b-latest", messages=ASK) as stream:
            said = "".join(event.data.choices[0].delta.content or "" for event in stream)
        assert said == "Le vent souffle"
        ai.fim.complete(model="codestral-latest", prompt="def wind():", suffix="return")
        ai.embeddings.create(model="mistral-embed", inputs=["a", "b"])
        fails(MistralError, lambda: ai.chat.complete(model="fault-400", messages=ASK), lambda e: e.status_code == 400)


def ollama():
    import ollama as sdk

    ai = sdk.Client(host=base)
    answer = ai.chat(model="llama3.2:1b", messages=ASK, options={"temperature": 0.5, "num_predict": 64, "seed": 5})
    assert answer.message.content == "The wind blows" and answer.eval_count == 17
    assert "".join(part.message.content for part in ai.chat(model="qwen3:0.6b", messages=ASK, stream=True)) == "The wind blows"
    answer = ai.chat(model="library/llama3.2:latest", messages=ASK, tools=TOOLS)
    assert answer.message.tool_calls[0].function.name == "get_weather"
    assert "".join(part.response for part in ai.generate(model="smollm:135m", prompt="The wind", stream=True)) == "The wind blows"
    assert ai.generate(model="gemma3:1b", prompt="The wind").response == "The wind blows"
    ai.embed(model="all-minilm", input=["a", "b"])
    fails(sdk.ResponseError, lambda: ai.chat(model="fault-404", messages=ASK), lambda e: e.status_code == 404)


def bedrock():
    import boto3
    from botocore.config import Config
    from botocore.exceptions import ClientError, EventStreamError

    os.environ["AWS_EC2_METADATA_DISABLED"] = "true"
    ai = boto3.client(
        "bedrock-runtime",
        endpoint_url=base,
        region_name="us-east-1",
        aws_access_key_id="AKIATESTS",
        aws_secret_access_key="tests",
        config=Config(retries={"total_max_attempts": 2, "mode": "standard"}),
    )
    ask = [{"role": "user", "content": [{"text": "What does the wind do?"}]}]
    answer = ai.converse(modelId="us.amazon.nova-lite-v1:0", messages=ask, inferenceConfig={"maxTokens": 64, "temperature": 0.5})
    assert answer["usage"]["inputTokens"] == 21 and answer["stopReason"] == "end_turn"
    tools = {"tools": [{"toolSpec": {"name": "get_weather", "inputSchema": {"json": SCHEMA}}}]}
    answer = ai.converse(modelId="anthropic.claude-sonnet-5-v1:0", messages=ask, toolConfig=tools)
    assert answer["stopReason"] == "tool_use"
    events = list(ai.converse_stream(modelId="us.amazon.nova-pro-v1:0", messages=ask)["stream"])
    assert "metadata" in events[-1] and len(events) == 10
    body = json.dumps({"anthropic_version": "bedrock-2023-05-31", "max_tokens": 64, "messages": ASK})
    answer = ai.invoke_model(modelId="anthropic.claude-haiku-5-v1:0", body=body)
    assert json.loads(answer["body"].read())["stop_reason"] == "end_turn"
    body_of_llama = json.dumps({"prompt": "The wind", "max_gen_len": 64, "temperature": 0.5})
    ai.invoke_model(modelId="meta.llama3-2-1b-instruct-v1:0", body=body_of_llama)["body"].read()
    ai.invoke_model(modelId="amazon.titan-embed-text-v2:0", body=json.dumps({"inputText": "a"}))["body"].read()
    answer = ai.invoke_model_with_response_stream(modelId="anthropic.claude-opus-5-v1:0", body=body)
    chunks = [json.loads(event["chunk"]["bytes"]) for event in answer["body"]]
    assert chunks[-1]["type"] == "message_stop"
    fails(ClientError, lambda: ai.converse(modelId="fault-400", messages=ask))
    ai.converse(modelId="fault-429-once", messages=ask)
    fails(EventStreamError, lambda: list(ai.converse_stream(modelId="breaks", messages=ask)["stream"]))


globals()[way]()
