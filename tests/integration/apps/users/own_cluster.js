// An app that is a cluster by itself.
const cluster = require('cluster');
const http = require('http');

if (cluster.isPrimary) {
    for (let i = 0; i < 2; i++)
        cluster.fork();
    cluster.on('exit', () => cluster.fork());
} else {
    http.createServer((req, res) => res.end(`${process.pid} ${process.ppid}\n`)).listen(process.env.PORT || 3000);
}
