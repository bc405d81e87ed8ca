"""Programs as their users have them, not written for pm: they run unchanged, alone and as cluster workers."""

import http.client
import json
import os
import shutil
import socket
import subprocess
import sys
import time
import unittest

from harness import PmTest, alive, free_port, main, read_file, wait_until

NODE = shutil.which("node")
# Where Debian's node-express and its like are; Node of another origin does not look there by itself.
LIBRARIES = "/usr/share/nodejs:/usr/lib/nodejs"

HTTP = """
const http = require('http');
http.createServer((req, res) => {
  res.setHeader('Content-Type', 'application/json');
  res.end(JSON.stringify({ pid: process.pid, url: req.url }));
}).listen(process.env.PORT || 3000);
"""

EXPRESS = """
const express = require('express');
const app = express();
const port = PORT_HERE;
app.use(express.json());
app.get('/', (req, res) => res.send(`hello from ${process.pid}`));
app.get('/users/:id', (req, res) => res.json({ id: req.params.id, pid: process.pid }));
app.post('/sum', (req, res) => res.json({ sum: req.body.numbers.reduce((a, b) => a + b, 0) }));
app.get('/broken', () => { throw new Error('on purpose'); });
app.listen(port, () => console.log(`Example app listening on port ${port}`));
"""

# The same routes where Express is not installed: Debian's package brings some 240 others, too many for a test's sake.
PLAIN = """
const http = require('http');
const port = PORT_HERE;
http.createServer((req, res) => {
  const user = /^\\/users\\/(\\w+)$/.exec(req.url);
  const send = (code, value) => { res.statusCode = code; res.end(typeof value === 'string' ? value : JSON.stringify(value)); };
  if (req.url === '/') send(200, `hello from ${process.pid}`);
  else if (user) send(200, { id: user[1], pid: process.pid });
  else if (req.url === '/broken') { console.error(new Error('on purpose')); send(500, 'broken'); }
  else if (req.url === '/sum') {
    let body = '';
    req.on('data', data => body += data).on('end', () => send(200, { sum: JSON.parse(body).numbers.reduce((a, b) => a + b, 0) }));
  } else send(404, 'nowhere');
}).listen(port, () => console.log(`Example app listening on port ${port}`));
"""

# The parent answers over HTTP with what its child has computed; each request goes to the child and back.
FORK_PARENT = """
const { fork } = require('child_process');
const http = require('http');
const path = require('path');
const child = fork(path.join(__dirname, 'compute.js'), ['--factor', '3']);
const waiting = new Map();
let next = 0;
child.on('message', ({ id, ...answer }) => { waiting.get(id)(answer); waiting.delete(id); });
child.on('exit', (code, signal) => { console.error('child ended', code, signal); process.exit(1); });
http.createServer((req, res) => {
  const id = next++;
  waiting.set(id, answer => res.end(JSON.stringify({ pid: process.pid, child: child.pid, ...answer })));
  child.send({ id, number: Number(req.url.slice(1)) });
}).listen(process.env.PORT, () => { if (process.send) process.send('ready'); });
"""

FORK_CHILD = """
const cluster = require('cluster');
const factor = Number(process.argv[process.argv.indexOf('--factor') + 1]);
process.on('message', ({ id, number }) => process.send({ id, result: number * factor, isWorker: cluster.isWorker, pid_seen: process.pid,
  unique: process.env.NODE_UNIQUE_ID === undefined }));
"""

WORKER_POOL = """
const { Worker, isMainThread, parentPort, threadId } = require('worker_threads');
const http = require('http');
if (isMainThread) {
  const pool = Array.from({ length: 3 }, () => new Worker(__filename));
  const waiting = new Map();
  let next = 0;
  for (const worker of pool) worker.on('message', ({ id, ...answer }) => { waiting.get(id)(answer); waiting.delete(id); });
  http.createServer((req, res) => {
    const id = next++;
    waiting.set(id, answer => res.end(JSON.stringify({ pid: process.pid, ...answer })));
    pool[id % pool.length].postMessage({ id, n: Number(req.url.slice(1)) });
  }).listen(process.env.PORT, () => { if (process.send) process.send('ready'); });
} else {
  const fib = n => n < 2 ? n : fib(n - 1) + fib(n - 2);
  parentPort.on('message', ({ id, n }) => parentPort.postMessage({ id, fib: fib(n), thread: threadId }));
}
"""

# Knows how late its event loop is, as apps do that shed load.
LOOP_DELAY = """
const { monitorEventLoopDelay, performance } = require('perf_hooks');
const http = require('http');
const delay = monitorEventLoopDelay({ resolution: 10 });
delay.enable();
http.createServer((req, res) => {
  if (req.url === '/block') { const end = performance.now() + 300; while (performance.now() < end); }
  res.end(JSON.stringify({ pid: process.pid, count: delay.count ?? null, mean: delay.mean / 1e6, max: delay.max / 1e6, p99: delay.percentile(99) / 1e6,
    idle: performance.eventLoopUtilization().idle, utilization: performance.eventLoopUtilization().utilization }));
}).listen(process.env.PORT, () => { if (process.send) process.send('ready'); });
"""


def request(port, path="/", method="GET", body=None):
    """(status, text) of one request on a connection of its own."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
    try:
        connection.request(method, path, body=None if body is None else json.dumps(body),
                           headers={"Content-Type": "application/json", "Connection": "close"})
        answer = connection.getresponse()
        return answer.status, answer.read().decode()
    finally:
        connection.close()


def get(port, path="/"):
    return json.loads(request(port, path)[1])


def has_express():
    return NODE and subprocess.run([NODE, "-e", "require.resolve('express')"], env={**os.environ, "NODE_PATH": LIBRARIES},
                                   capture_output=True).returncode == 0


def cpu_ns(pid):
    """CPU time of the main thread."""
    return int(read_file("/proc/%d/schedstat" % pid).split()[0])


@unittest.skipUnless(NODE, "no node")
class UserPrograms(PmTest):
    limit = 120

    def start_app(self, source, instances=1, mode="cluster", wait_ready=True, env=None, **keys):
        """Starts it under the name "app" on a port of its own, and returns the port once it answers."""
        port = free_port()
        script = self.home.file("app.js", source.replace("PORT_HERE", str(port)), 0o644)
        app = {"name": "app", "script": script, "instances": instances, "env": {"PORT": str(port), **(env or {})}, **keys}
        if mode:
            app["exec_mode"] = mode
        if wait_ready:
            app["wait_ready"] = True
        self.home.start_apps([app])
        wait_until(lambda: self.answers(port), 20, lambda: "it answers\n" + self.said("err")[-1500:])
        return port

    @staticmethod
    def answers(port):
        try:
            return request(port, "/1")[0]
        except OSError:
            return None

    def said(self, stream):
        """All that its processes have written so far."""
        return "".join(self.home.text_of(line).decode(errors="replace") + "\n" for line in self.home.history("app") if line["stream"] == stream)

    def wait_said(self, text, stream="out"):
        wait_until(lambda: text in self.said(stream), what=lambda: "%r in %r" % (text, self.said(stream)[-1500:]))

    def pids(self):
        return sorted(p["pid"] for p in self.home.procs("app"))

    def all_workers_answer(self, port, path="/1"):
        """Which processes answer: all of them, sooner or later."""
        seen = {}
        def look():
            answer = get(port, path)
            seen[answer["pid"]] = answer
            return sorted(seen) == self.pids()
        wait_until(look, 30, lambda: "all of %s answer, so far %s" % (self.pids(), sorted(seen)))
        return seen

    def assertCalm(self):
        """Nothing has been restarted, and nothing was written to stderr."""
        for p in self.home.procs("app"):
            self.assertEqual((p["pm2_env"]["status"], p["pm2_env"]["restart_time"]), ("online", 0))
        self.assertEqual(self.said("err"), "")


class Http(UserPrograms):
    def test_two_instances_share_the_port(self):
        """Several instances of a Node script are a cluster, without a word more in the config."""
        for schedule in ({}, {"cluster_schedule": "round_robin"}, {"cluster_schedule": "slots"}):
            with self.subTest(**schedule):
                port = self.start_app(HTTP, 2, mode=None, wait_ready=False, **schedule)
                self.assertEqual({p["pm2_env"]["exec_mode"] for p in self.home.procs("app")}, {"cluster_mode"})
                self.assertEqual(len(self.all_workers_answer(port)), 2)
                self.assertCalm()
                self.home.ok("delete", "app")

    def test_by_the_command_line(self):
        port = free_port()
        script = self.home.file("server.js", HTTP, 0o644)
        self.home.ok("start", script, "--name", "app", "-i", "2", env={"PORT": str(port)})
        wait_until(lambda: self.answers(port), what="it answers")
        self.assertEqual(len(self.all_workers_answer(port)), 2)
        self.home.ok("scale", "app", "3")
        self.assertEqual(len(self.all_workers_answer(port)), 3)
        self.assertCalm()

    def test_one_worker_dies(self):
        port = self.start_app(HTTP, 2, wait_ready=False)
        victim = self.pids()[0]
        os.kill(victim, 9)
        for _ in range(20):
            self.assertEqual(request(port)[0], 200)
        wait_until(lambda: len(self.pids()) == 2 and victim not in self.pids() and 0 not in self.pids(), what="it is back")
        self.all_workers_answer(port)

    def test_a_port_that_is_taken(self):
        """The app gets Node's own error, as if it had bound by itself."""
        with socket.socket() as taken:
            taken.bind(("0.0.0.0", 0))
            taken.listen()
            script = self.home.file("app.js", HTTP, 0o644)
            self.home.start_apps([{"name": "app", "script": script, "instances": 2, "max_restarts": 1, "env": {"PORT": str(taken.getsockname()[1])}}], expect=None)
            self.wait_said("EADDRINUSE", "err")


class Express(UserPrograms):
    @classmethod
    def setUpClass(cls):
        cls.source = EXPRESS if has_express() else PLAIN
        if cls.source == PLAIN:
            sys.stderr.write("Express (apt-get install node-express) is not installed: its routes are served by plain http\n")

    def check(self, port):
        self.assertRegex(request(port)[1], r"^hello from \d+$")
        self.assertEqual(get(port, "/users/7")["id"], "7")
        self.assertEqual(json.loads(request(port, "/sum", "POST", {"numbers": [1, 2, 39]})[1]), {"sum": 42})
        self.assertEqual(request(port, "/nowhere")[0], 404)
        self.wait_said("Example app listening on port %d" % port)

    def start_express(self, instances, mode):
        return self.start_app(self.source, instances, mode, wait_ready=False, env={"NODE_PATH": LIBRARIES})

    def test_alone(self):
        port = self.start_express(1, "fork")
        self.check(port)
        self.assertCalm()

    def test_as_a_cluster(self):
        port = self.start_express(2, "cluster")
        self.check(port)
        self.all_workers_answer(port, "/users/1")
        self.assertCalm()
        self.assertEqual(request(port, "/broken")[0], 500)
        self.wait_said("Error: on purpose", "err")
        self.home.ok("reload", "app")
        self.check(port)


class Fork(UserPrograms):
    def run_it(self, instances, mode):
        self.home.file("compute.js", FORK_CHILD, 0o644)
        port = self.start_app(FORK_PARENT, instances, mode)
        parents = self.all_workers_answer(port, "/14")
        for parent, answer in parents.items():
            self.assertEqual(answer["result"], 42)
            self.assertEqual(answer["pid_seen"], answer["child"])
            self.assertNotEqual(answer["child"], parent)
            # The child's channel is its parent's: it is no worker, whatever its parent is.
            self.assertFalse(answer["isWorker"])
            self.assertTrue(answer["unique"])
        self.assertCalm()
        return port, parents

    def test_alone(self):
        _, parents = self.run_it(1, "fork")
        self.stop(parents)

    def test_as_cluster_workers(self):
        _, parents = self.run_it(2, "cluster")
        self.assertEqual(len(parents), 2)
        self.stop(parents)

    def stop(self, parents):
        """The children end with their parents."""
        children = [answer["child"] for answer in parents.values()]
        self.assertPidsAlive(children)
        self.home.ok("stop", "app")
        wait_until(lambda: not any(alive(p) for p in children), what="the children have ended")

    def test_the_engine_dies_meanwhile(self):
        port, parents = self.run_it(2, "cluster")
        self.home.replace_engine()
        self.assertEqual(sorted(self.all_workers_answer(port, "/5")), sorted(parents))
        self.assertEqual(get(port, "/5")["result"], 15)


class WorkerThreads(UserPrograms):
    def run_it(self, instances, mode):
        port = self.start_app(WORKER_POOL, instances, mode)
        threads = {}
        def look():
            answer = get(port, "/15")
            self.assertEqual(answer["fib"], 610)
            threads.setdefault(answer["pid"], set()).add(answer["thread"])
            return sorted(threads) == self.pids() and all(len(t) == 3 for t in threads.values())
        wait_until(look, 30, lambda: "all three threads of each answer: %s" % threads)
        self.assertCalm()
        self.home.ok("restart", "app")
        wait_until(lambda: self.answers(port), what="it answers again")

    def test_alone(self):
        self.run_it(1, "fork")

    def test_as_cluster_workers(self):
        self.run_it(2, "cluster")


class LoopDelay(UserPrograms):
    def run_it(self, instances, mode):
        port = self.start_app(LOOP_DELAY, instances, mode)
        # It measures: what blocks the loop is seen, by the process that was blocked alone.
        pid = get(port, "/block")["pid"]
        def seen():
            answer = get(port)
            return answer if answer["pid"] == pid and answer["max"] >= 250 else None
        answer = wait_until(seen, 30, "the delay is measured")
        self.assertLess(answer["mean"], answer["max"])
        self.assertGreater(answer["idle"], 0)
        # Nothing that pm does keeps the loop busy: an app at rest sleeps.
        for p in self.pids():
            self.assertQuiet(p)
        self.assertCalm()

    def assertQuiet(self, pid):
        """The least CPU of a few short spans: the 100 wake-ups a second of its own measurement, and little more."""
        def share():
            begin, before = time.monotonic(), cpu_ns(pid)
            time.sleep(0.5)
            return (cpu_ns(pid) - before) / 1e9 / (time.monotonic() - begin)
        self.assertLess(min(share() for _ in range(4)), 0.3, "share of a core")

    def test_alone(self):
        self.run_it(1, "fork")

    def test_as_cluster_workers(self):
        self.run_it(2, "cluster")


if __name__ == "__main__":
    main()
