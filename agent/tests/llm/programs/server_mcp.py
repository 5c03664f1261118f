"""A server by the Python SDK of the Model Context Protocol. Usage: server_mcp.py sse|json|stateless|legacy|suite RECORD [CERTIFICATE KEY]; prints its port, and
records in the file RECORD each exchange once it is over, with the methods of its messages. With a certificate it speaks TLS."""

import json
import logging
import socket
import sys

import uvicorn
from mcp.server.mcpserver import Context, MCPServer

server = MCPServer("weather-server", version="1.4.0")


@server.tool()
def add(a: int, b: int) -> int:
    """Adds two numbers."""
    return a + b


@server.tool()
def get_weather(place: str) -> str:
    """Tells the weather."""
    return f"Wind in {place}."


@server.tool()
def fail() -> str:
    """Fails."""
    raise ValueError("as asked")


@server.tool()
async def slow(ctx: Context) -> str:
    """Tells of its progress."""
    for step in (1, 2):
        await ctx.report_progress(step, 2)
    return "done"


@server.tool()
async def ask(ctx: Context) -> str:
    """Asks the client's model."""
    from mcp.types import SamplingMessage, TextContent

    message = SamplingMessage(role="user", content=TextContent(type="text", text="What does the wind do?"))
    answer = await ctx.session.create_message(messages=[message], max_tokens=10)
    return answer.content.text


@server.resource("weather://{place}")
def weather(place: str) -> str:
    return f"Wind in {place}."


@server.prompt()
def report(place: str) -> str:
    return f"Report the weather of {place}."


def recorded(app):
    """The app, with each exchange recorded."""

    async def run(scope, receive, send):
        if scope["type"] != "http":
            await app(scope, receive, send)
            return
        body, status = b"", None

        async def read():
            nonlocal body
            message = await receive()
            body += message.get("body", b"")
            return message

        async def write(message):
            nonlocal status
            status = message.get("status", status)
            await send(message)

        try:
            await app(scope, read, write)
        finally:
            try:
                messages = json.loads(body) if body else []
            except ValueError:
                messages = []
            messages = messages if isinstance(messages, list) else [messages]
            line = {
                "exchange": f"{scope['method']} {scope['path']}",
                "status": status,
                "methods": [message["method"] for message in messages if "method" in message],
            }
            with open(sys.argv[2], "a", encoding="utf-8") as file:
                file.write(json.dumps(line) + "\n")

    return run


way = sys.argv[1]
if way == "suite":
    import conformance

    conformance.add_to(server)
if way == "legacy":
    app = server.sse_app()
else:
    app = server.streamable_http_app(json_response=way == "json", stateless_http=way == "stateless")
listener = socket.create_server(("127.0.0.1", 0))
print(listener.getsockname()[1], flush=True)
logging.disable(logging.ERROR)
tls = dict(zip(("ssl_certfile", "ssl_keyfile"), sys.argv[3:5]))
config = uvicorn.Config(recorded(app), log_level="error", timeout_graceful_shutdown=1, **tls)
uvicorn.Server(config).run(sockets=[listener])
