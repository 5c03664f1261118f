// An HTTPS server. Usage: server.mjs CERTIFICATE KEY; prints its port.
import fs from "node:fs";
import https from "node:https";

const [cert, key] = process.argv.slice(2).map((path) => fs.readFileSync(path));
const server = https.createServer({ cert, key }, (request, response) => {
  const [, word, number] = request.url.split("/");
  request.resume().on("end", () => {
    const [status, content] =
      word === "bytes" ? [200, "x".repeat(Number(number))] : word === "sink" ? [200, "ok"] : [Number(number), "no"];
    response.writeHead(status, { "content-length": content.length }).end(content);
  });
});
server.listen(0, "127.0.0.1", () => console.log(server.address().port));
