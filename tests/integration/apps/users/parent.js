// A server that leaves the work to a child process, and exchanges messages with it.
const { fork } = require('child_process');
const http = require('http');
const path = require('path');

if (process.argv[2] === 'child') {
    process.on('message', ({ id, n }) => {
        process.send({ id, sum: (n * (n + 1)) / 2, pid: process.pid, args: process.execArgv.length, channel: process.env.NODE_CHANNEL_FD });
    });
    process.on('disconnect', () => process.exit(0));
} else {
    const child = fork(path.join(__dirname, 'parent.js'), ['child']);
    const waiting = new Map();
    let next = 0;
    child.on('message', (answer) => {
        waiting.get(answer.id)(answer);
        waiting.delete(answer.id);
    });
    child.on('exit', (code, signal) => console.error('child ended', code, signal));
    http.createServer((req, res) => {
        const id = next++;
        waiting.set(id, (answer) => res.end(JSON.stringify({ ...answer, parent: process.pid })));
        child.send({ id, n: Number(req.url.slice(1)) });
    }).listen(process.env.PORT || 3000);
}
