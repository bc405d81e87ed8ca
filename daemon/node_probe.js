'use strict';
/*
 * Loaded into Node apps before the app (node_probe: true). Once a second it tells the daemon, in the form in which
 * @pm2/io tells metrics, how late the event loop is, and how much heap, handles and requests there are. Nothing
 * of Node is wrapped, and nothing here keeps a program alive that is done. Whatever Node lacks is left out; the app
 * must not notice.
 */
const INTERVAL_MS = 1000;
const RESOLUTION_MS = 20; /* between looks at how late the loop is */
const MINUTE = 60; /* intervals */

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

/* Requests of the last minute, as counts of seconds. */
function count_requests() {
    const channel = require('diagnostics_channel').channel('http.server.request.start');
    const seconds = new Array(MINUTE).fill(0);
    let at = 0;
    let sum = 0;

    channel.subscribe(() => {
        seconds[at]++;
        sum++;
    });
    return {
        channel, /* kept: older versions forget a channel that nobody holds */
        of_minute: () => sum,
        next() {
            at = (at + 1) % MINUTE;
            sum -= seconds[at];
            seconds[at] = 0;
        },
    };
}

function loop_delay() {
    const histogram = require('perf_hooks').monitorEventLoopDelay({ resolution: RESOLUTION_MS });
    const late = (ns) => (histogram.max > 0 ? Math.max(0, ns / 1e6 - RESOLUTION_MS) : 0);

    histogram.enable();
    return {
        read() {
            const delay = [late(histogram.percentile(50)), late(histogram.percentile(99))];
            histogram.reset();
            return delay;
        },
        stop: () => histogram.disable(),
    };
}

function start() {
    /* An app may put others in their place. */
    const send = process.send;
    const { clearInterval: cancel, setInterval: again } = globalThis;
    const memory = process.memoryUsage;
    const resources = process.getActiveResourcesInfo;
    const requests = count_requests();
    const delay = loop_delay();
    let waiting = false;

    const done = () => {
        waiting = false;
    };
    const metric = (value, unit) => ({ value: Number(value.toFixed(2)), unit, historic: true });
    const tell = () => {
        const [p50, p99] = delay.read();
        const data = { 'Event loop p50': metric(p50, 'ms'), 'Event loop p99': metric(p99, 'ms') };
        const { heapUsed, heapTotal } = Reflect.apply(memory, process, []);

        data['Heap used'] = metric(heapUsed / 1048576, 'MiB');
        data['Heap total'] = metric(heapTotal / 1048576, 'MiB');
        if (resources)
            data['Active handles'] = { value: Reflect.apply(resources, process, []).length, historic: true };
        data['Requests/min'] = { value: requests.of_minute(), historic: true };
        requests.next();
        /* With a callback an error is its, not an event of the process. */
        if (waiting)
            return; /* the channel is full */
        waiting = true;
        Reflect.apply(send, process, [{ type: 'axm:monitor', data }, undefined, undefined, done]);
    };
    const timer = again(() => {
        if (process.connected)
            return quietly(tell);
        cancel(timer);
        delay.stop();
    }, INTERVAL_MS);
    timer.unref();
}

quietly(() => {
    /* Threads are loaded with this too; children that were not given it have no business here. */
    if (process.connected && typeof process.send === 'function' && require('worker_threads').isMainThread)
        start();
});
