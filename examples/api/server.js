// A small HTTP API. Each instance listens on PORT + its number, on this machine only.
'use strict';

const http = require('node:http');

const instance = Number(process.env.NODE_APP_INSTANCE || 0);
const port = Number(process.env.PORT || 3100) + instance;
const greeting = process.env.GREETING || 'hello';
let served = 0;

const routes = {
  '/': () => ({ message: `${greeting} from instance ${instance}` }),
  '/health': () => ({ ok: true, pid: process.pid, uptime: Math.round(process.uptime()), served }),
};

const server = http.createServer((request, response) => {
  const route = routes[new URL(request.url, 'http://localhost').pathname];
  const body = JSON.stringify(route ? route() : { error: 'not found' });

  served += 1;
  response.writeHead(route ? 200 : 404, { 'content-type': 'application/json' });
  response.end(body + '\n');
  console.log(`${request.method} ${request.url} ${response.statusCode}`);
});

server.on('error', (error) => {
  console.error(`cannot listen on port ${port}: ${error.message}`);
  process.exit(1);
});

server.listen(port, '127.0.0.1', () => {
  console.log(`listening on http://127.0.0.1:${port}/`);
  if (process.send) process.send('ready');
});

// Finish what is open, then go.
process.on('SIGINT', () => {
  console.log('closing');
  server.close(() => process.exit(0));
  server.closeIdleConnections();
});
