"""A client by the Python SDK of the Model Context Protocol. Usage: client_mcp.py WAY BASE"""

import asyncio
import sys

from mcp import Client, MCPError
from mcp.client.sse import sse_client
from mcp.types import CreateMessageResult, Implementation, TextContent

way, base = sys.argv[1], sys.argv[2]
WHO = Implementation(name="tests", version="0.1.0")


async def sample(_, params):
    return CreateMessageResult(role="assistant", content=TextContent(type="text", text="It blows"), model="tests-model")


async def calls(client, pings=True):
    tools = await client.list_tools()
    assert {"add", "fail"} <= {tool.name for tool in tools.tools}
    answer = await client.call_tool("add", {"a": 2, "b": 3})
    assert answer.content[0].text == "5"
    answer = await client.call_tool("fail", {})
    assert answer.is_error
    answer = await client.read_resource("weather://oslo")
    assert answer.contents[0].text == "Wind in oslo."
    answer = await client.get_prompt("report", {"place": "oslo"})
    assert "oslo" in answer.messages[0].content.text
    try:
        await client.get_prompt("nothing", {})
    except MCPError as error:
        print(error.error.code)
    else:
        raise SystemExit("no error")
    if pings:
        await client.send_ping()


async def sessions():
    """The handshake of 2025-11-25, with a session."""
    async with Client(base + "/mcp", mode="legacy", client_info=WHO, sampling_callback=sample) as client:
        await calls(client)


async def asks():
    """The server asks back, and tells of its progress."""
    progress = []

    async def told(step, total, message):
        progress.append(step)

    async with Client(base + "/mcp", mode="legacy", client_info=WHO, sampling_callback=sample) as client:
        answer = await client.call_tool("slow", {}, progress_callback=told)
        assert answer.content[0].text == "done" and progress == [1, 2]
        answer = await client.call_tool("ask", {})
        assert answer.content[0].text == "It blows", answer


async def newest():
    """The revision of 2026-07-28, which has no sessions."""
    async with Client(base + "/mcp", mode="2026-07-28", client_info=WHO) as client:
        await calls(client, pings=False)


async def discovers():
    """Asks which revisions the server speaks."""
    async with Client(base + "/mcp", client_info=WHO) as client:
        assert client.protocol_version == "2026-07-28"
        assert (await client.call_tool("add", {"a": 4, "b": 5})).content[0].text == "9"


async def legacy():
    """The transport of 2024-11-05: answers come on another connection."""
    async with Client(sse_client(base + "/sse"), mode="legacy", client_info=WHO) as client:
        await calls(client)


asyncio.run(globals()[way]())
