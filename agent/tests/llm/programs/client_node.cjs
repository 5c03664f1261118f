// Calls by the SDKs for Node; what they make of the answers is checked. Usage: client_node.cjs WAY BASE
const assert = require("node:assert");

const [way, base] = process.argv.slice(2);
const ask = [{ role: "user", content: "What does the wind do?" }];

async function openai() {
  const OpenAI = require("openai").default;
  const ai = new OpenAI({ baseURL: `${base}/v1`, apiKey: "sk-tests" });
  const answer = await ai.chat.completions.create({ model: "gpt-4.1-mini", messages: ask });
  assert.equal(answer.choices[0].message.content, "The wind blows où il veut 🌬");
  const stream = await ai.chat.completions.create({
    model: "o4-mini",
    messages: ask,
    stream: true,
    stream_options: { include_usage: true },
  });
  let said = "";
  for await (const chunk of stream) said += chunk.choices[0]?.delta.content ?? "";
  assert.equal(said, "The wind blows où il veut 🌬");
  const kinds = [];
  for await (const event of await ai.responses.create({ model: "gpt-5", input: "Again", stream: true })) kinds.push(event.type);
  assert.equal(kinds.at(-1), "response.completed");
  const vectors = await ai.embeddings.create({ model: "text-embedding-3-small", input: "a" });
  assert.equal(vectors.data[0].embedding.length, 8);
  await ai.chat.completions.create({ model: "fault-429-once", messages: ask });
  await assert.rejects(ai.chat.completions.create({ model: "fault-400", messages: ask }), { status: 400 });
  // Goes away after some chunks.
  const endless = await ai.chat.completions.create({ model: "endless", messages: ask, stream: true });
  let chunks = 0;
  for await (const _ of endless) if (++chunks === 5) break;
}

async function anthropic() {
  const Anthropic = require("@anthropic-ai/sdk").default;
  const ai = new Anthropic({ baseURL: base, apiKey: "sk-ant-tests" });
  const request = { model: "claude-sonnet-5", max_tokens: 100, messages: ask };
  const answer = await ai.messages.create(request);
  assert.equal(answer.content[0].text, "It blows wherever it pleases");
  const tools = [{ name: "get_weather", input_schema: { type: "object", properties: {} } }];
  const message = await ai.messages.stream({ ...request, model: "claude-haiku-5", tools }).finalMessage();
  assert.deepEqual(message.content[0].input, { place: "Ålesund" });
  await ai.messages.create({ ...request, model: "fault-529-once" });
  await assert.rejects(ai.messages.stream({ ...request, model: "breaks" }).finalMessage());
}

async function mcp() {
  const { Client } = require("@modelcontextprotocol/sdk/client/index.js");
  const { StreamableHTTPClientTransport } = require("@modelcontextprotocol/sdk/client/streamableHttp.js");
  const client = new Client({ name: "node-tests", version: "0.2.0" });
  const transport = new StreamableHTTPClientTransport(new URL(`${base}/mcp`));
  await client.connect(transport);
  assert.ok((await client.listTools()).tools.length > 0);
  const sum = await client.callTool({ name: "add", arguments: { a: 2, b: 3 } });
  assert.equal(sum.content[0].text, "5");
  assert.ok((await client.callTool({ name: "fail", arguments: {} })).isError);
  await assert.rejects(client.readResource({ uri: "nothing://here" }));
  await client.ping();
  await transport.terminateSession();
  await client.close();
}

async function legacy() {
  const { Client } = require("@modelcontextprotocol/sdk/client/index.js");
  const { SSEClientTransport } = require("@modelcontextprotocol/sdk/client/sse.js");
  const client = new Client({ name: "node-tests", version: "0.2.0" });
  await client.connect(new SSEClientTransport(new URL(`${base}/sse`)));
  const sum = await client.callTool({ name: "add", arguments: { a: 2, b: 3 } });
  assert.equal(sum.content[0].text, "5");
  await client.close();
}

const ways = { openai, anthropic, mcp, legacy };
ways[way]().then(() => process.exit(0));
