// Usage: client.mjs http|fetch BASE
import http from 'node:http';

const [, , way, base] = process.argv;
const script = [
  ['GET', '/bytes/1000'],
  ['POST', '/echo', 'p'.repeat(500)],
  ['GET', '/status/404'],
  ['DELETE', '/status/204'],
  ['GET', '/chunked/3000'],
  ['HEAD', '/bytes/1000'],
  ['POST', '/echo', 'c'.repeat(300), true],
];
const agent = new http.Agent({ keepAlive: true, maxSockets: 1 });

function byHttp(method, path, body, chunked) {
  return new Promise((resolve, reject) => {
    const headers = body && !chunked ? { 'Content-Length': body.length } : {};
    const request = http.request(base + path, { method, agent, headers }, (response) => {
      response.resume();
      response.on('end', resolve);
    });
    request.on('error', reject);
    if (body && chunked) request.write(body.slice(0, 100));
    request.end(body && chunked ? body.slice(100) : body);
  });
}

async function byFetch(method, path, body, chunked) {
  const stream = new ReadableStream({
    start(controller) {
      controller.enqueue(new TextEncoder().encode(body));
      controller.close();
    },
  });
  const response = await fetch(base + path, { method, body: chunked ? stream : body, duplex: 'half' });
  await response.arrayBuffer();
}

for (const step of script) await (way === 'http' ? byHttp : byFetch)(...step);
agent.destroy();
process.exit(0);
