// A server with a pool of worker threads.
const http = require('http');
const { Worker, isMainThread, parentPort, threadId } = require('worker_threads');

if (!isMainThread) {
    parentPort.on('message', (n) => {
        let sum = 0;
        for (let i = 1; i <= n; i++)
            sum += i;
        parentPort.postMessage({ sum, threadId });
    });
} else {
    const idle = [new Worker(__filename), new Worker(__filename), new Worker(__filename)];
    const queue = [];
    const run = () => {
        while (idle.length > 0 && queue.length > 0) {
            const worker = idle.pop();
            const { n, done } = queue.shift();
            worker.once('message', (answer) => {
                idle.push(worker);
                done(answer);
                run();
            });
            worker.postMessage(n);
        }
    };
    http.createServer((req, res) => {
        queue.push({ n: Number(req.url.slice(1)), done: (answer) => res.end(JSON.stringify({ ...answer, pid: process.pid })) });
        run();
    }).listen(process.env.PORT || 3000);
}
