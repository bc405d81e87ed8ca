"""Keep-alive clients of a cluster's http servers notice nothing of a reload (graceful_http)."""

import http.client
import json
import os
import shutil
import signal
import socket
import ssl
import subprocess
import threading
import time
import unittest

from harness import BIN, SLOW, PmTest, free_port, main, proc_cmdline, scaled, wait_dead, wait_until
from load_client import Load

RELOADS = scaled(10, 3)


def node_major():
    return int(subprocess.run(["node", "-p", "process.versions.node"], capture_output=True, text=True, check=True).stdout.split(".")[0])


# Says "closed" once it takes no more connections, which is when it is being drained.
COMMON = r"""
const delay = +process.env.DELAY || 0;
function answer(req, res) {
    if (req.url === '/kept') {
        res.writeHead(200, {Connection: 'keep-alive', 'X-Own': 'yes'});
        return res.end(process.pid + '\n');
    }
    if (req.url === '/set') {
        res.setHeader('Connection', 'keep-alive');
        res.writeHead(200, 'Fine', ['X-Own', 'yes']);
        return res.end(process.pid + '\n');
    }
    if (req.url === '/slow')
        return setTimeout(() => res.end(process.pid + '\n'), 1000);
    if (delay)
        return setTimeout(() => res.end(process.pid + '\n'), Math.random() * delay);
    res.end(process.pid + '\n');
}
function watch(server) {
    setInterval(() => {
        if (!server.listening && !watch.said)
            watch.said = !console.log('closed', process.pid);
    }, 5).unref();
}
"""

CJS = COMMON + r"""
const http = require('http');
const server = http.createServer(answer).listen(+process.env.PORT, '127.0.0.1', () => watch(server));
"""

ESM = COMMON + r"""
import {createServer} from 'node:http';
const server = createServer(answer).listen(+process.env.PORT, '127.0.0.1', () => watch(server));
"""

HTTPS = COMMON + r"""
const {readFileSync} = require('fs');
const options = {key: readFileSync(__dirname + '/key.pem'), cert: readFileSync(__dirname + '/cert.pem')};
const server = require('https').createServer(options, answer).listen(+process.env.PORT, '127.0.0.1', () => watch(server));
"""

HTTP2 = COMMON + r"""
const server = require('http2').createServer(answer).listen(+process.env.PORT, '127.0.0.1', () => watch(server));
"""

# Two requests over one session, the second when told so; says what the session met.
HTTP2_CLIENT = r"""
const session = require('http2').connect('http://127.0.0.1:' + process.argv[2]);
session.on('goaway', (code) => console.log('goaway', code));
session.on('error', (e) => console.log('error', e.message));
session.on('close', () => console.log('closed'));
function ask(then) {
    const stream = session.request({':path': '/'});
    let text = '';
    stream.setEncoding('utf8').on('data', (d) => text += d).on('end', () => {
        console.log('answer', text.trim());
        then && then();
    });
}
ask(() => process.stdin.once('data', () => ask(() => process.stdin.destroy())));
"""

# What an app can see of the preload, in itself and in what it starts.
CURIOUS = r"""
const {fork, spawnSync} = require('child_process');
const {Worker} = require('worker_threads');
const look = "[process.execArgv, Object.keys(process.env).filter((k) => /GRACEFUL/.test(k)), process.env.NODE_OPTIONS || '']";
if (process.argv[2] === 'child') {
    process.send(eval(look));
    process.disconnect();
} else {
    const seen = {own: eval(look), main: require.main === module};
    const code = 'const [flags, ...rest] = ' + look + '; console.log(JSON.stringify([flags.slice(2), ...rest]))';
    seen.spawned = JSON.parse(spawnSync(process.execPath, ['-e', code]).stdout);
    fork(__filename, ['child']).on('message', (m) => {
        seen.forked = m;
        const thread = new Worker('require("worker_threads").parentPort.postMessage(' + look + ')', {eval: true});
        thread.on('message', (m) => {
            seen.thread = m;
            console.log(JSON.stringify(seen));
        });
    });
    require('http').createServer((req, res) => res.end()).listen(+process.env.PORT, '127.0.0.1');
}
"""

# Ends by itself, as many apps do.
OWN_END = COMMON + r"""
const http = require('http');
const server = http.createServer(answer).listen(+process.env.PORT, '127.0.0.1', () => watch(server));
process.on('SIGINT', () => {
    console.log('asked to end');
    server.close((e) => {
        console.log('ended', e ? e.code : 'fine');
        process.exit(0);
    });
    server.closeIdleConnections && server.closeIdleConnections();
});
"""


class Clients:
    """Threads with a kept connection each. What http.client raises is a lost request."""

    def __init__(self, case, port, pauses, context=None):
        self.case, self.port, self.context = case, port, context
        self.end, self.answers, self.lost, self.closes = threading.Event(), 0, [], 0
        self.lock = threading.Lock()
        self.threads = [threading.Thread(target=self.ask, args=(pause,), daemon=True) for pause in pauses]
        for t in self.threads:
            t.start()
        case.addCleanup(self.join)

    def ask(self, pause):
        if self.context:
            c = http.client.HTTPSConnection("127.0.0.1", self.port, timeout=20 * SLOW, context=self.context)
        else:
            c = http.client.HTTPConnection("127.0.0.1", self.port, timeout=20 * SLOW)
        while not self.end.is_set():
            try:
                c.request("GET", "/")
                r = c.getresponse()
                r.read()
                with self.lock:
                    self.answers += 1
                    self.closes += r.getheader("Connection") == "close"
            except (OSError, http.client.HTTPException) as e:
                with self.lock:
                    self.lost.append(repr(e))
                c.close()
            self.end.wait(pause)
        c.close()

    def join(self):
        self.end.set()
        for t in self.threads:
            t.join()

    def assertNoneLost(self):
        self.join()
        self.case.assertEqual(self.lost, [])
        self.case.assertGreater(self.answers, len(self.threads))
        self.case.assertGreater(self.closes, 0)


class Case(PmTest):
    limit = 150

    def setUp(self):
        super().setUp()
        self.port = free_port()

    def start(self, text, instances=1, name="app.js", **keys):
        env = dict({"PORT": str(self.port)}, **keys.pop("env", {}))
        app = dict({"name": "web", "script": self.home.file(name, text, 0o644), "exec_mode": "cluster", "instances": instances,
                    "kill_timeout": 10000, "merge_logs": True, "env": env}, **keys)
        self.home.start_apps([app])
        wait_until(self.answers, what="an answer")

    def answers(self):
        try:
            socket.create_connection(("127.0.0.1", self.port)).close()
            return True
        except ConnectionError:
            return False

    def reload(self, times=RELOADS):
        for _ in range(times):
            before = {p["pid"] for p in self.home.procs("web")}
            self.home.ok("reload", "web")
            self.assertFalse(before & {p["pid"] for p in self.home.procs("web")})

    def kept(self):
        c = http.client.HTTPConnection("127.0.0.1", self.port, timeout=20 * SLOW)
        self.addCleanup(c.close)
        return c

    def get(self, c, path="/"):
        """(pid, Connection header) of an answer over this very connection."""
        c.request("GET", path)
        r = c.getresponse()
        return int(r.read()), (r.getheader("Connection") or "").lower()

    def draining(self, pid):
        """A reload, in which the old worker takes no more connections."""
        reload = self.home.popen("reload", "web")
        self.addCleanup(self.home.finish, reload)
        self.home.wait_log("web", "closed %d" % pid)
        return reload


class Loaded(Case):
    def under_load(self, text, **keys):
        self.start(text, 2, **keys)
        loads = [Load(self, self.port, keepalive, rate=400, any_body=True).wait_more() for keepalive in (False, True)]
        clients = Clients(self, self.port, [0.02, 0.1, 0.25, 0.5, 0.7, 1.0])
        self.reload()
        for load in loads:
            load.wait_more().none_failed()
        clients.assertNoneLost()

    def test_commonjs(self):
        self.under_load(CJS)

    def test_module(self):
        self.under_load(ESM, name="app.mjs")

    def test_slow_answers(self):
        self.under_load(CJS, env={"DELAY": "150"})

    def test_own_handler(self):
        self.under_load(OWN_END)

    @unittest.skipUnless(shutil.which("openssl"), "needs openssl for a certificate")
    def test_https(self):
        folder = os.path.dirname(self.home.file("key.pem", "", 0o600))
        subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2",
                        "-subj", "/CN=localhost", "-keyout", os.path.join(folder, "key.pem"),
                        "-out", os.path.join(folder, "cert.pem")], check=True, capture_output=True)
        context = ssl.create_default_context()
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        self.start(HTTPS, 2)
        clients = Clients(self, self.port, [0, 0.01, 0.02, 0.1, 0.25, 0.5, 0.7, 1.0], context)
        self.reload()
        clients.assertNoneLost()


class Drain(Case):
    def test_an_idle_connection_gets_its_next_answer(self):
        """From the old worker, which says that it is the last one, and ends then."""
        self.start(CJS)
        paths = ("/", "/kept", "/set")
        kept = [self.kept() for _ in paths]
        old = {self.get(c, path) for c, path in zip(kept, paths)}
        self.assertEqual(old, {(self.home.pid("web"), "keep-alive")})
        pid = self.home.pid("web")
        reload = self.draining(pid)
        for c, path in zip(kept, paths):
            self.assertEqual(self.get(c, path), (pid, "close"), path)
            self.assertIsNone(c.sock)
            self.assertEqual(self.get(c)[0], self.home.pid("web"))
        self.assertNotEqual(self.home.pid("web"), pid)
        began = time.monotonic()
        self.home.finish(reload)
        wait_dead(pid)
        self.assertLess(time.monotonic() - began, 4, "nothing was left to wait for")

    def test_a_request_under_way_is_the_last_of_its_connection(self):
        self.start(CJS)
        c = self.kept()
        pid, _ = self.get(c)
        c.request("GET", "/slow")
        self.draining(pid)
        r = c.getresponse()
        self.assertEqual((int(r.read()), r.getheader("Connection")), (pid, "close"))

    def test_idle_clients_hold_it_no_longer_than_kill_timeout(self):
        self.start(CJS, kill_timeout=1600)
        pid = self.home.pid("web")
        kept = [self.kept() for _ in range(20)]
        for c in kept:
            self.get(c)
        began = time.monotonic()
        self.home.ok("reload", "web")
        self.assertLess(time.monotonic() - began, 8 * SLOW)
        wait_dead(pid)
        for c in kept:
            self.assertEqual(c.sock.recv(10), b"", "closed, not reset")
        self.assertNotIn("SIGKILL", self.home.log())

    @unittest.skipIf(node_major() >= 23, "Node itself tells sessions to go away, at once")
    def test_http2_is_told_to_go_away(self):
        self.start(HTTP2)
        pid = self.home.pid("web")
        client = subprocess.Popen(["node", self.home.file("client.js", HTTP2_CLIENT), str(self.port)], stdin=subprocess.PIPE,
                                  stdout=subprocess.PIPE, text=True)
        self.addCleanup(client.wait)
        self.addCleanup(client.kill)
        self.assertEqual(client.stdout.readline(), "answer %d\n" % pid)
        self.draining(pid)
        out, _ = client.communicate("go on\n")
        self.assertEqual(set(out.splitlines()), {"answer %d" % pid, "closed", "goaway 0"})

    def test_the_apps_own_end(self):
        """A stop does not drain: the app's own handler is all that counts."""
        self.start(OWN_END)
        pid = self.home.pid("web")
        c = self.kept()
        self.get(c)
        self.home.ok("stop", "web")
        self.assertIn("asked to end\nended fine", self.home.app_log("web"))
        self.assertEqual(c.sock.recv(10), b"")
        wait_dead(pid)

    def test_closed_before_the_drain(self):
        """An app that closes its server and goes on has nothing to be drained."""
        self.start(CJS + "process.on('SIGUSR2', () => { server.close(); server.closeAllConnections(); });")
        pid = self.home.pid("web")
        os.kill(pid, signal.SIGUSR2)
        self.home.wait_log("web", "closed %d" % pid)
        self.home.ok("reload", "web")
        wait_dead(pid)


class Preload(Case):
    def words(self):
        return proc_cmdline(self.home.pid("web"))

    def seen(self):
        return json.loads(wait_until(lambda: next((line for line in self.home.app_log("web").splitlines() if line.startswith("{")), None)))

    def test_an_app_does_not_notice_it(self):
        nothing = [[], [], ""]
        self.start(CURIOUS)
        self.assertIn("graceful_http.js", str(self.words()))
        self.assertEqual(self.seen(), {"own": nothing, "main": True, "spawned": nothing, "forked": nothing, "thread": nothing})

    def test_flags_of_the_app_stay(self):
        flags = [["--no-deprecation", "--require", "path"], [], "--trace-warnings"]
        self.start(CURIOUS, node_args="--no-deprecation --require path", env={"NODE_OPTIONS": "--trace-warnings"})
        seen = self.seen()
        self.assertEqual((seen["own"], seen["forked"]), (flags, flags))

    def test_off(self):
        self.start(CJS, graceful_http=False)
        self.assertNotIn("graceful_http.js", str(self.words()))
        self.reload(1)

    def test_on_again_by_a_reload(self):
        self.start(CJS, graceful_http=False)
        self.start(CJS, graceful_http=True)
        self.home.ok("reload", "web")
        self.assertIn("graceful_http.js", str(self.words()))

    def test_not_in_fork_mode(self):
        self.start(CJS, exec_mode="fork")
        self.assertNotIn("graceful_http.js", str(self.words()))


class Missing(Case):
    def test_missing(self):
        """With a pmd that has no lib/pm beside it."""
        self.home.bin_dir = os.path.join(self.home.tmp, "bin")
        os.mkdir(self.home.bin_dir)
        for name in ("pm", "pmd"):
            shutil.copy(os.path.join(BIN, name), self.home.bin_dir)
        self.start(CJS, 2)
        self.home.ok("reload", "web")
        said = [line for line in self.home.log().splitlines() if "graceful_http.js" in line]
        self.assertEqual(len(said), 1, said)
        self.assertIn("is missing", said[0])
        self.assertNotIn("graceful_http.js", str(proc_cmdline(self.home.procs("web")[0]["pid"])))


if __name__ == "__main__":
    main()
