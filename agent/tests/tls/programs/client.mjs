// HTTPS clients. Usage: client.mjs WAY BASE. Whom they trust is what `NODE_EXTRA_CA_CERTS` says.
import assert from "node:assert";
import https from "node:https";
import readline from "node:readline";

const [way, base] = process.argv.slice(2);
// Method, path, content, status and size of the answer.
const script = [
  ["GET", "/bytes/1000", undefined, 200, 1000],
  ["POST", "/sink", "p".repeat(500), 200, 2],
  ["GET", "/bytes/200000", undefined, 200, 200000],
  ["GET", "/status/404", undefined, 404, 2],
];

const agent = new https.Agent({ keepAlive: true, maxSockets: 1 });

function exchange(method, path, body) {
  return new Promise((resolve, reject) => {
    const headers = body ? { "content-length": body.length } : {};
    const request = https.request(base + path, { method, agent, headers }, (response) => {
      const chunks = [];
      response.on("data", (chunk) => chunks.push(chunk));
      response.on("end", () => resolve([response.statusCode, Buffer.concat(chunks).length]));
    });
    request.on("error", reject);
    request.end(body);
  });
}

if (way === "steady") {
  // A request over the same connection for each path that it is told, until there are no more.
  console.log("connected");
  for await (const path of readline.createInterface({ input: process.stdin })) console.log((await exchange("GET", path))[1]);
  process.exit(0);
}
for (const [method, path, body, ...expected] of script) {
  if (way === "https") {
    assert.deepEqual(await exchange(method, path, body), expected);
  } else {
    const response = await fetch(base + path, { method, body });
    assert.deepEqual([response.status, (await response.arrayBuffer()).byteLength], expected);
  }
}
agent.destroy();
