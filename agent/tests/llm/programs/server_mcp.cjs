// A server by the Node SDK of the Model Context Protocol, with sessions. Usage: server_mcp.cjs; prints its port.
const { randomUUID } = require("node:crypto");
const http = require("node:http");
const { McpServer } = require("@modelcontextprotocol/sdk/server/mcp.js");
const { StreamableHTTPServerTransport } = require("@modelcontextprotocol/sdk/server/streamableHttp.js");
const { z } = require("zod");

const transports = new Map();

function serve() {
  const server = new McpServer({ name: "node-weather", version: "2.0.1" });
  server.registerTool("add", { inputSchema: { a: z.number(), b: z.number() } }, async ({ a, b }) => ({
    content: [{ type: "text", text: String(a + b) }],
  }));
  server.registerTool("fail", { inputSchema: {} }, async () => {
    throw new Error("as asked");
  });
  return server;
}

http
  .createServer(async (request, response) => {
    let transport = transports.get(request.headers["mcp-session-id"]);
    if (!transport) {
      transport = new StreamableHTTPServerTransport({
        sessionIdGenerator: randomUUID,
        onsessioninitialized: (id) => transports.set(id, transport),
      });
      await serve().connect(transport);
    }
    await transport.handleRequest(request, response);
  })
  .listen(0, "127.0.0.1", function () {
    console.log(this.address().port);
  });
