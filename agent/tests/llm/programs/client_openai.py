"""Calls by OpenAI's SDK; what it makes of the answers is checked. Usage: client_openai.py WAY BASE"""

import asyncio
import sys

import openai

way, base = sys.argv[1], sys.argv[2] + "/v1"
ASK = [{"role": "user", "content": "What does the wind do?"}]
TOOLS = [{"type": "function", "function": {"name": "get_weather", "parameters": {"type": "object", "properties": {}}}}]
SAID = "The wind blows où il veut 🌬"


def client(**options):
    return openai.OpenAI(base_url=base, api_key="sk-tests", **options)


def text(stream):
    return "".join(chunk.choices[0].delta.content or "" for chunk in stream if chunk.choices)


def plain():
    """Answers that are one document."""
    ai = client()
    answer = ai.chat.completions.create(model="gpt-4.1-mini", messages=ASK, temperature=0.5, max_completion_tokens=64, seed=7, stop=["END"])
    assert answer.choices[0].message.content == SAID and answer.usage.prompt_tokens == 19
    answer = ai.chat.completions.create(model="o4-mini", messages=ASK, n=2)
    assert answer.usage.completion_tokens_details.reasoning_tokens == 5
    answer = ai.chat.completions.create(model="gpt-4.1-mini", messages=ASK, tools=TOOLS)
    assert answer.choices[0].message.tool_calls[0].function.name == "get_weather"
    answer = ai.completions.create(model="gpt-3.5-turbo-instruct", prompt="The wind")
    assert answer.choices[0].finish_reason == "length"
    answer = ai.embeddings.create(model="text-embedding-3-small", input=["a", "b"], dimensions=16)
    assert len(answer.data[0].embedding) == 16
    ai.moderations.create(model="omni-moderation-latest", input="wind")


def streamed():
    ai = client()
    assert text(ai.chat.completions.create(model="gpt-4.1-mini", messages=ASK, stream=True)) == SAID
    stream = ai.chat.completions.create(
        model="gpt-4.1", messages=ASK, stream=True, stream_options={"include_usage": True}
    )
    assert text(stream) == SAID
    stream = ai.chat.completions.create(model="gpt-4.1-nano", messages=ASK, tools=TOOLS, stream=True)
    calls = [call for chunk in stream for call in chunk.choices[0].delta.tool_calls or []]
    assert "".join(call.function.arguments or "" for call in calls) == '{"place": "\\u00c5lesund"}'
    with ai.chat.completions.stream(model="o4-mini", messages=ASK, stream_options={"include_usage": True}) as stream:
        assert stream.get_final_completion().usage.completion_tokens == 12
    stream = ai.completions.create(model="gpt-3.5-turbo-instruct", prompt="The wind", stream=True)
    assert "".join(chunk.choices[0].text for chunk in stream) == SAID


def responses():
    ai = client()
    answer = ai.responses.create(model="gpt-5", input="What does the wind do?", max_output_tokens=200)
    assert answer.output_text == SAID and answer.usage.output_tokens == 87
    kinds = [event.type for event in ai.responses.create(model="gpt-5-mini", input="Again", stream=True)]
    assert kinds[0] == "response.created" and kinds[-1] == "response.completed"
    tool = {"type": "function", "name": "search", "parameters": {"type": "object", "properties": {}}, "strict": False}
    answer = ai.responses.create(model="gpt-5", input="Search", tools=[tool])
    assert answer.output[0].name == "search"


def concurrent():
    """Several at once, on connections of their own."""

    async def run():
        async with openai.AsyncOpenAI(base_url=base, api_key="sk-tests") as ai:

            async def one(index):
                if index % 2:
                    answer = await ai.chat.completions.create(model=f"async-{index}", messages=ASK)
                    assert answer.choices[0].message.content == SAID
                    return
                stream = await ai.chat.completions.create(
                    model=f"async-{index}", messages=ASK, stream=True, stream_options={"include_usage": True}
                )
                assert "".join([c.choices[0].delta.content or "" async for c in stream if c.choices]) == SAID

            await asyncio.gather(*(one(index) for index in range(12)))

    asyncio.run(run())


def errors():
    """What is wrong, what passes when tried again, and what goes wrong late."""
    ai = client(max_retries=2)
    for status, kind in [(400, openai.BadRequestError), (401, openai.AuthenticationError)]:
        try:
            ai.chat.completions.create(model=f"fault-{status}", messages=ASK)
        except kind as error:
            assert error.status_code == status
        else:
            raise SystemExit(f"no error {status}")
    for status in (429, 500):
        ai.chat.completions.create(model=f"fault-{status}-once", messages=ASK)
    try:
        client(max_retries=1).chat.completions.create(model="fault-429", messages=ASK, stream=True)
    except openai.RateLimitError:
        pass
    else:
        raise SystemExit("no error 429")
    try:
        text(ai.chat.completions.create(model="breaks", messages=ASK, stream=True))
    except openai.APIError as error:
        assert "as asked" in str(error)
    else:
        raise SystemExit("the stream did not break")


def aborted():
    """Goes away after some chunks."""
    ai = client()
    stream = ai.chat.completions.create(model="endless", messages=ASK, stream=True)
    for number, _ in enumerate(stream):
        if number == 4:
            break
    stream.close()
    ai.close()


def timed():
    """Streams whose pace differs, for the clock."""

    async def run():
        async with openai.AsyncOpenAI(base_url=base, api_key="sk-tests") as ai:
            turns = asyncio.Semaphore(4)

            async def one(index):
                async with turns:
                    pace = {"before": str(0.005 + 0.001 * (index % 40)), "pace": "0.002"}
                    stream = await ai.chat.completions.create(model="timed", messages=ASK, stream=True, metadata=pace)
                    async for _ in stream:
                        pass

            await asyncio.gather(*(one(index) for index in range(100)))

    asyncio.run(run())


globals()[way]()
