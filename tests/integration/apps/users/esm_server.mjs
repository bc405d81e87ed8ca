import http from 'node:http';
import cluster from 'node:cluster';

const { pid } = process;
await new Promise((done) => setTimeout(done, 50)); // as an app that connects to its database first
http.createServer((req, res) => res.end(`${pid} ${cluster.isWorker}\n`)).listen(process.env.PORT || 3000);
