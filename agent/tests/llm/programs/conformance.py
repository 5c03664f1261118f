"""What the conformance suite of the Model Context Protocol asks a server for (its own names)."""

import base64

from mcp.server.mcpserver import Context
from mcp.types import (
    AudioContent,
    EmbeddedResource,
    ImageContent,
    SamplingMessage,
    TextContent,
    TextResourceContents,
)
from pydantic import BaseModel, Field

DATA = base64.b64encode(b"\x89PNG tests").decode()


class Person(BaseModel):
    name: str = Field("John Doe", description="Name")
    age: int = Field(30, description="Age")


def embedded(uri="test://embedded"):
    return EmbeddedResource(type="resource", resource=TextResourceContents(uri=uri, mimeType="text/plain", text="Wind."))


def add_to(server):
    @server.tool()
    def test_simple_text() -> str:
        return "This is a simple text response for testing."

    @server.tool()
    def test_image_content() -> list[ImageContent]:
        return [ImageContent(type="image", data=DATA, mimeType="image/png")]

    @server.tool()
    def test_audio_content() -> list[AudioContent]:
        return [AudioContent(type="audio", data=DATA, mimeType="audio/wav")]

    @server.tool()
    def test_embedded_resource() -> list[EmbeddedResource]:
        return [embedded()]

    @server.tool()
    def test_multiple_content_types() -> list[TextContent | ImageContent | EmbeddedResource]:
        image = ImageContent(type="image", data=DATA, mimeType="image/png")
        return [TextContent(type="text", text="Several."), image, embedded()]

    @server.tool()
    def test_error_handling() -> str:
        raise ValueError("This tool intentionally returns an error for testing")

    @server.tool()
    async def test_tool_with_logging(ctx: Context) -> str:
        for text in ("started", "working", "done"):
            await ctx.info(text)
        return "Logged."

    @server.tool()
    async def test_tool_with_progress(ctx: Context) -> str:
        for step in (0, 50, 100):
            await ctx.report_progress(step, 100)
        return "Done."

    @server.tool()
    async def test_sampling(prompt: str, ctx: Context) -> str:
        message = SamplingMessage(role="user", content=TextContent(type="text", text=prompt))
        answer = await ctx.session.create_message(messages=[message], max_tokens=100)
        return f"LLM response: {answer.content.text}"

    @server.tool()
    async def test_elicitation(message: str, ctx: Context) -> str:
        answer = await ctx.elicit(message=message, schema=Person)
        return f"User response: {answer.action}"

    @server.tool()
    async def test_elicitation_sep1034_defaults(ctx: Context) -> str:
        answer = await ctx.elicit(message="Defaults?", schema=Person)
        return f"Elicitation completed: {answer.action}"

    @server.resource("test://static-text", mime_type="text/plain")
    def static_text() -> str:
        return "This is the content of the static text resource."

    @server.resource("test://static-binary", mime_type="image/png")
    def static_binary() -> bytes:
        return b"\x89PNG tests"

    @server.resource("test://template/{id}/data")
    def template(id: str) -> str:
        return f"Data of {id}."

    @server.prompt()
    def test_simple_prompt() -> str:
        return "This is a simple prompt for testing."

    @server.prompt()
    def test_prompt_with_arguments(arg1: str, arg2: str) -> str:
        return f"Prompt with arguments: arg1='{arg1}', arg2='{arg2}'"
