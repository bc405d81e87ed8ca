// A server that measures the delay of its own event loop, and blocks it when told to.
const http = require('http');
const { monitorEventLoopDelay } = require('perf_hooks');

const delay = monitorEventLoopDelay({ resolution: 10 });
delay.enable();
http.createServer((req, res) => {
    if (req.url === '/block') {
        const end = Date.now() + 200;
        while (Date.now() < end);
        res.end('{}');
        return;
    }
    res.end(JSON.stringify({ pid: process.pid, max: delay.max / 1e6, mean: delay.mean / 1e6, p50: delay.percentile(50) / 1e6 }));
}).listen(process.env.PORT || 3000);
