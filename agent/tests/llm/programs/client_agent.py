"""A small agent: a model asks for a tool, a server of MCP has it, the model gets its answer. Usage: client_agent.py MODELS TOOLS"""

import asyncio
import json
import sys

import openai
from mcp import Client

models, tools = sys.argv[1], sys.argv[2]


async def main():
    ai = openai.AsyncOpenAI(base_url=models + "/v1", api_key="sk-tests")
    messages = [{"role": "user", "content": "What is the weather in Ålesund?"}]
    async with Client(tools + "/mcp", mode="2026-07-28") as client:
        listed = (await client.list_tools()).tools
        offered = [
            {"type": "function", "function": {"name": tool.name, "parameters": tool.input_schema}}
            for tool in listed
            if tool.name == "get_weather"
        ]
        answer = await ai.chat.completions.create(model="gpt-4.1-mini", messages=messages, tools=offered)
        asked = answer.choices[0].message
        messages.append(asked.model_dump(exclude_none=True))
        for call in asked.tool_calls:
            said = await client.call_tool(call.function.name, json.loads(call.function.arguments))
            messages.append({"role": "tool", "tool_call_id": call.id, "content": said.content[0].text})
    stream = await ai.chat.completions.create(
        model="gpt-4.1", messages=messages, stream=True, stream_options={"include_usage": True}
    )
    print("".join([chunk.choices[0].delta.content or "" async for chunk in stream if chunk.choices]))


asyncio.run(main())
