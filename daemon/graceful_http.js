'use strict';
/*
 * Loaded into cluster workers before the app (graceful_http: true). It does nothing until the daemon asks the
 * worker to disconnect, as at a reload. Node closes idle keep-alive connections at that moment, so a request
 * that is on its way to one meets a reset. Here they stay open: each answer from now on says "Connection:
 * close", so that every client's next request goes to the new worker, and what is not used any more is closed
 * when the time to finish is nearly over.
 *
 * Whatever Node lacks or an app has changed so that this does not work, the app must not notice: then
 * connections end as Node ends them.
 */
const SWEEP_MS = 50; /* between looks for idle connections, once the time is over */

const limit = Number(process.env.PM_GRACEFUL_HTTP);
delete process.env.PM_GRACEFUL_HTTP;

function quietly(step) {
    try {
        step();
    } catch {
        /* As said above. */
    }
}

/* fork() gives its children the flags of this process. */
quietly(() => {
    const flags = process.execArgv;
    const at = flags.indexOf(__filename);
    if (at > 0 && flags[at - 1] === '--require')
        flags.splice(at - 1, 2);
});

/* Of arguments of writeHead(), headers that keep the connection: those given there win over all else. */
function without_keep_alive(headers) {
    const keeps = (name, value) => /^connection$/i.test(name) && /^keep-alive$/i.test(value);

    if (Array.isArray(headers)) {
        if (Array.isArray(headers[0]))
            return headers.filter(([name, value]) => !keeps(name, value));
        return headers.filter((_, i) => !keeps(headers[i & ~1], headers[i | 1]));
    }
    if (headers && typeof headers === 'object' && Object.keys(headers).some((name) => keeps(name, headers[name])))
        return Object.fromEntries(Object.entries(headers).filter(([name, value]) => !keeps(name, value)));
    return headers;
}

function say_close(http) {
    const prototype = http.ServerResponse.prototype;
    const original = prototype.writeHead;

    prototype.writeHead = function writeHead(...args) {
        quietly(() => {
            if (this.headersSent || args[0] === 101)
                return;
            this.shouldKeepAlive = false;
            if (/^keep-alive$/i.test(this.getHeader('connection')))
                this.setHeader('Connection', 'close');
            if (args.length > 1)
                args[args.length - 1] = without_keep_alive(args[args.length - 1]);
        });
        return Reflect.apply(original, this, args);
    };
}

/* HTTP/2 tells its clients to go elsewhere: with the next stream, since sessions that are idle cannot be
 * found. */
function say_goaway(server) {
    if (typeof server.updateSettings === 'function')
        server.prependListener('stream', (stream) => quietly(() => stream.session.close()));
}

function close_idle(servers) {
    for (const server of servers)
        if (typeof server.closeIdleConnections === 'function')
            server.closeIdleConnections();
}

function drain() {
    const http = require('http');
    const https = require('https');
    const net = require('net');
    const servers = new Set();
    const close = net.Server.prototype.close;
    const idle = [http.Server.prototype, https.Server.prototype].map((p) => [p, p.closeIdleConnections]);

    say_close(http);
    /* Node closes all servers of the worker before the next tick. */
    process.nextTick(() => {
        net.Server.prototype.close = close;
        for (const [prototype, method] of idle)
            prototype.closeIdleConnections = method;
        servers.forEach((server) => quietly(() => say_goaway(server)));
    });
    net.Server.prototype.close = function () {
        servers.add(this);
        return Reflect.apply(close, this, arguments);
    };
    for (const [prototype] of idle)
        prototype.closeIdleConnections = function closeIdleConnections() {};

    /* Right after the loop has read what came: so nearly nothing can be unread on a connection then. Answers
     * that had begun before all this leave idle connections behind later. */
    const sweep = () => setImmediate(() => quietly(() => close_idle(servers))).unref();
    setTimeout(() => {
        sweep();
        setInterval(sweep, SWEEP_MS).unref();
    }, limit).unref();
}

quietly(() => {
    /* Threads and children have no limit. */
    if (!(limit > 0) || !require('cluster').isWorker)
        return;
    let done = false;
    process.prependListener('internalMessage', (message) => {
        if (done || !message || message.cmd !== 'NODE_CLUSTER' || message.act !== 'disconnect')
            return;
        done = true;
        quietly(drain);
    });
});
