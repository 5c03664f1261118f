// The paths of `server.py` that ordinary servers have. Prints its port.
import http from 'node:http';

const server = http.createServer((request, response) => {
  const [, word, argument] = request.url.split('?')[0].split('/');
  const size = Number(argument ?? 0);
  const parts = [];
  request.on('data', (part) => parts.push(part));
  request.on('end', () => {
    const body = Buffer.concat(parts);
    if (word === 'bytes') {
      response.setHeader('Content-Length', size);
      response.end(Buffer.alloc(size, 'x'));
    } else if (word === 'echo') {
      response.setHeader('Content-Length', body.length);
      response.end(body);
    } else if (word === 'status') {
      response.statusCode = size;
      response.end(size === 204 ? undefined : 'status\n');
    } else if (word === 'chunked') {
      for (let left = size; left > 0; left -= 1000) response.write(Buffer.alloc(Math.min(left, 1000), 'y'));
      response.end();
    } else {
      response.statusCode = 404;
      response.end('not here');
    }
  });
});
server.listen(0, '127.0.0.1', () => console.log(server.address().port));
