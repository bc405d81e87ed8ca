'use strict';
/*
 * Loaded into cluster workers before the app (graceful_http: true). It does nothing until the daemon asks the
 * worker to disconnect, as at a reload. Node closes idle keep-alive connections at that moment, so a request
 * that is on its way to one meets a reset. Here they stay open: each answer from now on says "Connection:
 * close", so that every client's next request goes to the new worker, and what is not used any more is closed
 * when the time to finish is nearly over.
 */
const limit = Number(process.env.PM_GRACEFUL_HTTP);
delete process.env.PM_GRACEFUL_HTTP;

/* fork() gives its children the flags of this process. */
const flags = process.execArgv;
const at = flags.indexOf(__filename);
if (at > 0 && flags[at - 1] === '--require')
    flags.splice(at - 1, 2);

function drain() {
    const http = require('http');
    const https = require('https');
    const net = require('net');
    const servers = new Set();
    const nothing = function () {};

    const writeHead = http.ServerResponse.prototype.writeHead;
    http.ServerResponse.prototype.writeHead = function () {
        this.shouldKeepAlive = false;
        if (/^keep-alive$/i.test(this.getHeader('connection')))
            this.removeHeader('connection');
        return Reflect.apply(writeHead, this, arguments);
    };

    /* Node closes all servers of the worker before the next tick. */
    const close = net.Server.prototype.close;
    const idle = [http.Server.prototype, https.Server.prototype].map((p) => [p, p.closeIdleConnections]);
    net.Server.prototype.close = function () {
        servers.add(this);
        return Reflect.apply(close, this, arguments);
    };
    for (const [prototype] of idle)
        prototype.closeIdleConnections = nothing;
    process.nextTick(() => {
        net.Server.prototype.close = close;
        for (const [prototype, method] of idle)
            prototype.closeIdleConnections = method;
    });

    setTimeout(() => {
        for (const server of servers)
            if (typeof server.closeIdleConnections === 'function')
                server.closeIdleConnections();
    }, limit).unref();
}

if (limit > 0 && require('worker_threads').isMainThread && require('cluster').isWorker) {
    let done = false;
    process.prependListener('internalMessage', (message) => {
        if (!done && message && message.cmd === 'NODE_CLUSTER' && message.act === 'disconnect') {
            done = true;
            drain();
        }
    });
}
