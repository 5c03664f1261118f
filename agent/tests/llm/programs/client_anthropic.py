"""Calls by Anthropic's SDK; what it makes of the answers is checked. Usage: client_anthropic.py WAY BASE"""

import asyncio
import sys

import anthropic

way, base = sys.argv[1], sys.argv[2]
ASK = {"max_tokens": 100, "messages": [{"role": "user", "content": "What does the wind do?"}]}
TOOLS = [{"name": "get_weather", "input_schema": {"type": "object", "properties": {}}}]
SAID = "It blows wherever it pleases"


def client(**options):
    return anthropic.Anthropic(base_url=base, api_key="sk-ant-tests", **options)


def plain():
    ai = client()
    answer = ai.messages.create(model="claude-sonnet-5", system="Be brief.", extra_body={"temperature": 0.2, "top_k": 40}, **ASK)
    assert answer.content[0].text == SAID and answer.usage.cache_read_input_tokens == 5
    answer = ai.messages.create(model="claude-haiku-5", tools=TOOLS, **ASK)
    assert answer.content[0].name == "get_weather"


def streamed():
    ai = client()
    with ai.messages.stream(model="claude-sonnet-5", **ASK) as stream:
        assert "".join(stream.text_stream) == SAID
        assert stream.get_final_message().usage.output_tokens == 29
    with ai.messages.stream(model="claude-haiku-5", tools=TOOLS, **ASK) as stream:
        assert stream.get_final_message().content[0].input == {"place": "Ålesund"}

    async def run():
        async with anthropic.AsyncAnthropic(base_url=base, api_key="sk-ant-tests") as ai:
            stream = await ai.messages.create(model="claude-opus-5", stream=True, **ASK)
            assert [event.type async for event in stream][-1] == "message_stop"

    asyncio.run(run())


def errors():
    ai = client(max_retries=2)
    for status, kind in [(400, anthropic.BadRequestError), (401, anthropic.AuthenticationError)]:
        try:
            ai.messages.create(model=f"fault-{status}", **ASK)
        except kind as error:
            assert error.status_code == status
        else:
            raise SystemExit(f"no error {status}")
    for status in (429, 529):
        assert ai.messages.create(model=f"fault-{status}-once", **ASK).content[0].text == SAID
    try:
        client(max_retries=0).messages.create(model="fault-500", **ASK)
    except anthropic.InternalServerError:
        pass
    else:
        raise SystemExit("no error 500")
    try:
        with ai.messages.stream(model="breaks", **ASK) as stream:
            stream.until_done()
    except anthropic.APIStatusError as error:
        assert "as asked" in str(error)
    else:
        raise SystemExit("the stream did not break")


def aborted():
    ai = client()
    with ai.messages.stream(model="endless", **ASK) as stream:
        for number, _ in enumerate(stream):
            if number == 6:
                break
    ai.close()


globals()[way]()
