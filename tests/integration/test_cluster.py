"""Node clusters: unmodified Node programs as workers of the daemon."""

import http.client
import os
import re
import shutil
import signal
import socket
import ssl
import subprocess
import threading
import time
import unittest

from harness import PmTest, alive, free_port, main, scaled, wait_until

NODE = shutil.which("node")

SERVER = """
const cluster = require('cluster');
require('http').createServer((q, r) => r.end(String(process.pid))).listen(Number(process.env.PORT));
"""

KEEP_ALIVE = """
const http = require('http'), fs = require('fs');
const answer = (q, r) => r.end(String(process.pid));
http.createServer(answer).listen(Number(process.env.PORT));
if (process.env.CERT)
    require('https').createServer({key: fs.readFileSync(process.env.CERT), cert: fs.readFileSync(process.env.CERT)}, answer)
        .listen(Number(process.env.TLS_PORT));
"""


def get(port, path="/", timeout=20):
    c = http.client.HTTPConnection("127.0.0.1", port, timeout=timeout)
    try:
        c.request("GET", path, headers={"Connection": "close"})
        return c.getresponse().read().decode()
    finally:
        c.close()


def answers(port):
    try:
        return get(port, timeout=5)
    except OSError:
        return None


def make_cert(folder):
    path = os.path.join(folder, "cert.pem")
    subprocess.run(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", path + ".key", "-out", path + ".crt",
                    "-days", "30", "-subj", "/CN=localhost"], check=True, capture_output=True)
    with open(path, "w") as out:
        for end in (".key", ".crt"):
            with open(path + end) as f:
                out.write(f.read())
    return path


class Clients:
    """Keep-alive clients with pauses between their requests. Any answer that does not come is an error."""

    def __init__(self, port, n=8, tls=False):
        self.port, self.tls = port, tls
        self.errors, self.requests, self.pids = [], 0, set()
        self.done = threading.Event()
        self.threads = [threading.Thread(target=self.run, args=(i,)) for i in range(n)]
        for t in self.threads:
            t.start()

    def connect(self):
        if self.tls:
            return http.client.HTTPSConnection("127.0.0.1", self.port, timeout=30, context=ssl._create_unverified_context())
        return http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)

    def run(self, i):
        c, turn = None, i
        while not self.done.is_set():
            c = c or self.connect()
            try:
                c.request("GET", "/")
                answer = c.getresponse()
                self.pids.add(answer.read())
                self.requests += 1
                if answer.will_close:
                    c.close()
                    c = None
            except Exception as e:  # noqa: BLE001
                self.errors.append(repr(e))
                c = None
            turn += 1
            time.sleep((0, 0.0005, 0.003, 0.02, 0.1)[turn % 5])
        if c:
            c.close()

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        self.done.set()
        for t in self.threads:
            t.join()


@unittest.skipUnless(NODE, "needs node")
class ClusterTest(PmTest):
    def app(self, source, name="web", instances=2, wait=True, **keys):
        script = self.home.file(name + keys.pop("ext", ".js"), source)
        self.home.start_apps([dict({"name": name, "script": script, "instances": instances, "exec_mode": "cluster"}, **keys)])
        return script

    def web(self, source=SERVER, **keys):
        port = free_port()
        env = dict({"PORT": str(port)}, **keys.pop("env", {}))
        self.app(source, env=env, **keys)
        wait_until(lambda: answers(port), what="the app answers")
        return port

    def pids(self, name="web"):
        return [p["pid"] for p in self.home.procs(name)]

    def output(self, name="web"):
        return "\n".join(line.get("text", "") for line in self.home.history(name))

    def said(self, *words, name="web"):
        """Waits until the app has printed each of the words as often as it is given, and returns all it printed."""
        def all_there():
            text = self.output(name)
            return text if all(text.count(w) >= words.count(w) for w in words) else None
        return wait_until(all_there, 30, lambda: "%s in %s" % (words, self.output(name)), step=0.1)


class Programs(ClusterTest):
    def test_both_workers_serve_http(self):
        port = self.web()
        wait_until(lambda: {get(port) for _ in range(20)} == set(map(str, self.pids())), what="both answer")

    def test_what_a_worker_knows_of_itself(self):
        self.app("""
            const cluster = require('cluster');
            console.log('worker', cluster.isWorker, cluster.isPrimary, typeof cluster.worker.id, process.connected,
                        process.env.NODE_UNIQUE_ID, process.env.NODE_CHANNEL_FD, process.env.PM_GRACEFUL_HTTP,
                        process.execArgv.length);
            require('net').createServer(() => {}).listen(0);
        """, instances=1)
        self.said("worker true false number true undefined undefined undefined 0")

    def test_ids_of_workers_are_never_used_twice(self):
        self.app("console.log('id', require('cluster').worker.id); require('net').createServer(() => {}).listen(0)")
        self.said("id", "id")
        self.home.ok("restart", "web")
        text = self.said(*["id"] * 4)
        ids = re.findall(r"id (\d+)", text)
        self.assertEqual(len(set(ids)), 4, ids)

    def test_an_es_module(self):
        port = self.web("""
            import http from 'node:http';
            import cluster from 'node:cluster';
            http.createServer((q, r) => r.end(String(cluster.isWorker))).listen(process.env.PORT);
        """, ext=".mjs")
        self.assertEqual(get(port), "true")
        self.home.ok("reload", "web")
        self.assertEqual(get(port), "true")

    def test_the_kinds_of_sockets(self):
        work = self.home.work
        for schedule in ("shared", "round_robin", "slots"):
            with self.subTest(schedule):
                ports = [free_port() for _ in range(3)]
                cert = make_cert(work)
                self.app("""
                    const net = require('net'), dgram = require('dgram'), fs = require('fs'), [a, b, c] = %s;
                    const me = () => String(process.pid), hello = (s) => s.end(me());
                    net.createServer(hello).listen(a, '127.0.0.1');
                    require('https').createServer({key: fs.readFileSync('%s'), cert: fs.readFileSync('%s')},
                                                  (q, r) => r.end(me())).listen(b);
                    const u = dgram.createSocket('udp4');
                    u.on('message', (m, from) => u.send(me(), from.port, from.address));
                    u.bind(c);
                    net.createServer(hello).listen('%s/s');
                    net.createServer(hello).listen('\\0pm-test-%s');
                    const any = net.createServer(hello);
                    any.listen(0, () => console.log('any', any.address().port));
                    const more = net.createServer(hello);
                    more.listen(0, () => console.log('more', more.address().port));
                """ % (ports, cert, cert, work, os.path.basename(self.home.tmp)), cluster_schedule=schedule)
                text = self.said("any", "any", "more", "more")
                self.assertEqual(len(set(re.findall(r"any (\d+)", text))), 1, text)
                self.assertEqual(len(set(re.findall(r"more (\d+)", text))), 1, text)
                known = set(map(str, self.pids()))
                for address in (("127.0.0.1", ports[0]), ("127.0.0.1", int(re.search(r"any (\d+)", text)[1])),
                                "%s/s" % work, "\0pm-test-" + os.path.basename(self.home.tmp)):
                    with socket.socket(socket.AF_INET if isinstance(address, tuple) else socket.AF_UNIX) as s:
                        s.settimeout(20)
                        s.connect(address)
                        self.assertIn(s.recv(100).decode(), known)
                with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
                    s.settimeout(20)
                    s.sendto(b"x", ("127.0.0.1", ports[2]))
                    self.assertIn(s.recv(100).decode(), known)
                c = http.client.HTTPSConnection("127.0.0.1", ports[1], timeout=20, context=ssl._create_unverified_context())
                c.request("GET", "/")
                self.assertIn(c.getresponse().read().decode(), known)
                c.close()
                self.home.ok("delete", "web")
                self.home.ok("flush")

    def test_tls_sessions_are_good_for_all_workers(self):
        cert, port = make_cert(self.home.work), free_port()
        for schedule in ("shared", "round_robin"):
            with self.subTest(schedule):
                self.app("""
                    const fs = require('fs');
                    require('https').createServer({key: fs.readFileSync('%s'), cert: fs.readFileSync('%s'),
                        maxVersion: 'TLSv1.2'}, (q, r) => r.end(String(process.pid))).listen(%d);
                """ % (cert, cert, port), cluster_schedule=schedule)
                context = ssl._create_unverified_context()
                session, seen, reused = [None], set(), []

                def ask():
                    with socket.create_connection(("127.0.0.1", port), timeout=20) as raw:
                        with context.wrap_socket(raw, session=session[0]) as s:
                            s.sendall(b"GET / HTTP/1.0\r\n\r\n")
                            data = b""
                            while more := s.recv(4096):
                                data += more
                            if session[0]:
                                reused.append(s.session_reused)
                            session[0] = session[0] or s.session
                            seen.add(data.split(b"\r\n\r\n")[1])
                            return len(seen) == 2

                wait_until(lambda: answers_tls(port), what="https answers")
                wait_until(ask, what="both workers were reached")
                self.assertTrue(all(reused), reused)
                self.home.ok("delete", "web")

    def test_errors_are_events(self):
        with socket.socket() as taken:
            taken.bind(("127.0.0.1", 0))
            taken.listen()
            self.app("""
                const net = require('net');
                const fails = (name, where) => net.createServer(() => {})
                    .on('error', (e) => console.log(name, e.code, e.syscall)).listen(where);
                fails('taken', {port: %d, host: '127.0.0.1'});
                fails('foreign', {port: 1, host: '192.0.2.1'});
                fails('fd', {fd: 5});
                const one = net.createServer(() => {}).listen(0, '127.0.0.1', () =>
                    fails('twice', {port: one.address().port, host: '127.0.0.1'}));
            """ % taken.getsockname()[1], instances=1)
            self.said("taken EADDRINUSE", "foreign EADDRNOTAVAIL", "fd EBADF", "twice EADDRINUSE")

    def test_a_server_that_comes_and_goes(self):
        port = self.web("""
            const http = require('http');
            let n = 0;
            const open = () => {
                const s = http.createServer((q, r) => { r.end(String(++n)); if (n < 4) s.close(open); });
                s.listen(process.env.PORT);
            };
            open();
        """, instances=1)
        wait_until(lambda: (answers(port) or "0") >= "4", what="the server was opened again")

    def test_messages_and_handles_to_the_daemon(self):
        """An app that sends handles of its own goes on: each is acknowledged."""
        for mode in ("cluster", "fork"):
            with self.subTest(mode):
                script = self.home.file("sends.js", """
                    const net = require('net');
                    process.send({type: 'process:msg', data: {n: 1}});
                    const s = net.createServer((c) => {
                        process.send('a socket', c, () => process.send({n: 2}, () => console.log('sent')));
                        setTimeout(() => s.close(() => console.log('closed')), 50);
                    });
                    s.listen(0, '127.0.0.1', () => net.connect(s.address().port, '127.0.0.1')
                        .on('error', () => {}).on('close', () => console.log('gone')));
                    process.send('x'.repeat(300000), net.createServer().listen(0, '127.0.0.1'));
                """)
                self.home.start_apps([{"name": mode, "script": script, "exec_mode": mode, "autorestart": False}])
                self.said("sent", "closed", "gone", name=mode)
                self.assertEqual(self.home.procs(mode)[0]["pm2_env"]["restart_time"], 0)
                self.home.ok("delete", mode)

    def test_a_worker_that_disconnects_by_itself(self):
        port = self.web("""
            const cluster = require('cluster');
            require('http').createServer((q, r) => {
                r.end(String(process.pid));
                if (q.url === '/bye') cluster.worker.disconnect();
            }).listen(process.env.PORT);
            process.on('disconnect', () => { console.log('bye', cluster.worker.exitedAfterDisconnect); });
        """)
        pid = int(get(port, "/bye"))
        self.said("bye true")
        wait_until(lambda: not alive(pid), what="it has ended")
        wait_until(lambda: len({get(port) for _ in range(10)}) == 2, what="its successor serves")

    def test_express_style_app(self):
        """What such a framework does: a handler function that http gets, and app.listen with a callback."""
        port = self.web("""
            const http = require('http');
            const express = () => {
                const stack = [];
                const app = (q, r) => { let i = 0; const next = () => { const h = stack[i++]; h ? h(q, r, next) : r.end('404'); };
                                        next(); };
                app.use = (h) => (stack.push(h), app);
                app.listen = (...args) => http.createServer(app).listen(...args);
                return app;
            };
            express().use((q, r, next) => { r.setHeader('x-powered-by', 'y'); next(); })
                     .use((q, r) => r.end('hello')).listen(process.env.PORT, () => process.send('ready'));
        """, wait_ready=True)
        self.assertEqual(get(port), "hello")
        self.home.ok("reload", "web")
        self.assertEqual(get(port), "hello")

    def test_a_socket_of_listen_is_the_one(self):
        """`listen` and the app's own listen() on the same port mean the same socket; {fd: 3} is it as well."""
        port, other = free_port(), free_port()
        self.app("""
            require('http').createServer((q, r) => r.end('port')).listen(%d, '127.0.0.1');
            require('http').createServer((q, r) => r.end('fd')).listen({fd: 4});
        """ % port, listen=["127.0.0.1:%d" % port, "127.0.0.1:%d" % other])
        wait_until(lambda: answers(port) and answers(other), what="the app answers")
        self.assertEqual(get(port), "port")
        self.assertEqual(get(other), "fd")


def answers_tls(port):
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=5) as raw:
            with ssl._create_unverified_context().wrap_socket(raw):
                return True
    except OSError:
        return False


class Reload(ClusterTest):
    def test_keep_alive_clients_see_nothing(self):
        cert, tls = make_cert(self.home.work), free_port()
        for schedule in ("shared", "round_robin"):
            with self.subTest(schedule):
                port = self.web(KEEP_ALIVE, env={"CERT": cert, "TLS_PORT": str(tls)}, cluster_schedule=schedule)
                wait_until(lambda: answers_tls(tls), what="https answers")
                with Clients(port) as plain, Clients(tls, n=4, tls=True) as secure:
                    for _ in range(scaled(4, 2)):
                        self.home.ok("reload", "web", timeout=120)
                self.assertEqual(plain.errors + secure.errors, [])
                self.assertGreater(len(plain.pids), 2)
                self.home.ok("delete", "web")

    def test_an_idle_connection_is_told_to_close(self):
        port = self.web(KEEP_ALIVE, instances=1, kill_timeout=20000)
        old = self.pids()[0]
        c = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
        c.request("GET", "/")
        first = c.getresponse()
        self.assertFalse(first.will_close)
        self.assertEqual(first.read(), str(old).encode())
        reload = self.home.popen("reload", "web")
        wait_until(lambda: answers(port) not in (None, str(old)), what="the new one has taken over")
        self.assertTrue(alive(old))
        c.request("GET", "/")
        last = c.getresponse()
        self.assertEqual(last.read(), str(old).encode())
        self.assertTrue(last.will_close)
        c.close()
        self.assertEqual(self.home.finish(reload).code, 0)
        self.assertFalse(alive(old))

    def test_an_unused_connection_does_not_hold_it_for_ever(self):
        port = self.web(KEEP_ALIVE, instances=1, kill_timeout=1500)
        c = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
        c.request("GET", "/")
        c.getresponse().read()
        self.home.ok("reload", "web")
        self.assertEqual(self.home.why("web")["runs"][-1]["exit_code"], 0)
        c.close()

    def test_one_that_never_listens_changes_nothing(self):
        port = self.web(listen_timeout=1000)
        old = self.pids()
        self.home.file("web.js", "setInterval(() => {}, 1000)")
        result = self.home.fails(1, "reload", "web")
        self.assertIn("listening", result.out + result.err)
        self.assertEqual(self.pids(), old)
        self.assertIn(int(get(port)), old)

    def test_one_that_listens_elsewhere_changes_nothing(self):
        port = self.web(listen_timeout=1000)
        old = self.pids()
        self.home.file("web.js", SERVER.replace("Number(process.env.PORT)", "0"))
        self.home.fails(1, "reload", "web")
        self.assertEqual(self.pids(), old)
        self.assertIn(int(get(port)), old)

    def test_one_that_dies_as_soon_as_it_listens_changes_nothing(self):
        port, work = self.web(), self.home.work
        old = self.pids()
        self.home.file("web.js", """
            const fs = require('fs'), here = '%s/here', go = '%s/go';
            const server = require('http').createServer((q, r) => r.end('x'));
            server.listen(Number(process.env.PORT), () => {
                fs.writeFileSync(here + '.new', String(process.pid));
                fs.renameSync(here + '.new', here);
                while (!fs.existsSync(go)) Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 5);
            });
            server.on('listening', () => process.kill(process.pid, 'SIGKILL'));
        """ % (work, work))
        reload = self.home.popen("reload", "web")
        here = os.path.join(work, "here")
        wait_until(lambda: os.path.exists(here), what="the new one is about to say that it listens")
        with open(here) as f:
            new = int(f.read())
        engine = self.home.engine_pid()
        os.kill(engine, signal.SIGSTOP)  # it learns both at once
        try:
            open(os.path.join(work, "go"), "w").close()
            wait_until(lambda: not alive(new), what="the new one is dead")
        finally:
            os.kill(engine, signal.SIGCONT)
        result = self.home.finish(reload)
        self.assertEqual(result.code, 1)
        self.assertIn("SIGKILL", result.out + result.err)
        self.assertEqual(self.pids(), old)
        self.assertIn(int(get(port)), old)

    def test_an_app_that_removes_the_file_of_its_socket(self):
        path = os.path.join(self.home.work, "web.sock")

        def served_by():
            with socket.socket(socket.AF_UNIX) as s:
                s.settimeout(20)
                s.connect(path)
                return s.recv(100).decode()

        self.app("""
            try { require('fs').unlinkSync('%s'); } catch (e) {}
            require('net').createServer((c) => c.end(String(process.pid))).listen('%s');
        """ % (path, path), instances=1)
        wait_until(lambda: os.path.exists(path), what="it listens")
        for _ in range(2):
            old = served_by()
            self.home.ok("reload", "web")
            self.assertNotEqual(served_by(), old)


class Survival(ClusterTest):
    def test_all_workers_are_killed(self):
        for schedule in ("shared", "round_robin", "slots"):
            with self.subTest(schedule):
                port = self.web(cluster_schedule=schedule)
                for _ in range(3):
                    pids = self.pids()
                    for pid in pids:
                        os.kill(pid, signal.SIGKILL)
                    found = [get(port) for _ in range(4)]  # they wait, and are served
                    self.assertFalse(set(found) & set(map(str, pids)))
                    wait_until(lambda: all(p["pm2_env"]["status"] == "online" for p in self.home.procs("web")))
                self.home.ok("delete", "web")

    def test_a_stopped_worker_does_not_take_the_others_along(self):
        for schedule in ("shared", "round_robin"):
            with self.subTest(schedule):
                port = self.web(cluster_schedule=schedule, instances=3)
                wait_until(lambda: len({get(port) for _ in range(30)}) >= 2, what="several serve")
                stopped = self.pids()[0]
                os.kill(stopped, signal.SIGSTOP)
                found = []
                threads = [threading.Thread(target=lambda: found.append(get(port, timeout=60))) for _ in range(20)]
                try:
                    for t in threads:
                        t.start()
                    # In round robin it may have been given one.
                    wait_until(lambda: len(found) >= 19, what="all but one are served")
                    self.assertNotIn(str(stopped), found)
                finally:
                    os.kill(stopped, signal.SIGCONT)
                    for t in threads:
                        t.join()
                self.assertEqual(len(found), 20)
                self.home.ok("delete", "web")

    def test_engine_and_keeper_killed_under_load(self):
        self.home.engine_may_die = True
        port = self.web(KEEP_ALIVE)
        pids = self.pids()
        with Clients(port, n=4) as clients:
            for i in range(scaled(5, 2)):
                before = clients.requests
                engine = self.home.engine_pid()
                os.kill(engine, signal.SIGKILL)
                wait_until(lambda: self.home.engine_pid() not in (None, engine), what="another engine")
                self.home.client_when_ready().close()
                self.assertIn(int(get(port)), pids)
                wait_until(lambda: clients.requests > before)
            os.kill(self.home.keeper_pids()[0], signal.SIGKILL)
            wait_until(lambda: self.home.keeper_pids(), what="another keeper")
            self.home.client_when_ready().close()
        self.assertEqual(clients.errors, [])
        self.assertEqual(self.pids(), pids)
        self.home.ok("reload", "web")
        self.assertNotIn(int(get(port)), pids)

    def test_update_under_round_robin(self):
        self.home.engine_may_die = True
        port = self.web(cluster_schedule="round_robin")
        errors, done, n = [], threading.Event(), [0]

        def load():
            while not done.is_set():
                try:
                    get(port)
                    n[0] += 1
                except Exception as e:  # noqa: BLE001
                    errors.append(repr(e))

        threads = [threading.Thread(target=load) for _ in range(4)]
        for t in threads:
            t.start()
        try:
            for _ in range(scaled(5, 2)):
                before = n[0]
                self.home.ok("update")
                wait_until(lambda: n[0] > before)
        finally:
            done.set()
            for t in threads:
                t.join()
        self.assertEqual(errors, [])

    def test_the_daemon_ends_while_an_update_waits_for_a_connection(self):
        port = self.web(cluster_schedule="round_robin", instances=1, kill_timeout=200)
        pid = self.pids()[0]
        os.kill(pid, signal.SIGSTOP)
        with socket.create_connection(("127.0.0.1", port), timeout=20) as c:
            c.sendall(b"GET / HTTP/1.0\r\n\r\n")
            update = self.home.popen("update")
            wait_until(lambda: "the same keeper, now" in self.home.log(), what="the update waits")
            time.sleep(0.3)  # for the answer to that one connection, which does not come
            self.assertIsNone(update.poll())
            os.kill(self.home.keeper_pid(), signal.SIGTERM)
            self.home.finish(update)
            wait_until(lambda: not self.home.daemons(), 30, "the daemon has ended")
        self.assertNotRegex(self.home.log(), "ended by signal|Sanitizer|SEGV")
        self.assertFalse(alive(pid))


class KilledAnywhere(ClusterTest):
    """The engine is killed at every point of the channels' exchange, one after the other. The worker sends a handle
    too, and serves only when what it sends after that goes out: when its handle was acknowledged."""

    source = """
        const net = require('net'), http = require('http');
        let said = false;
        const s = net.createServer().listen({port: 0, host: '127.0.0.1', exclusive: true}, () => {
            process.send('a handle', s, () => s.close());
            process.send('more', () => { said = true; });
        });
        http.createServer((q, r) => said ? r.end(String(process.pid)) : r.destroy()).listen(Number(process.env.PORT));
    """

    def run_at(self, point, schedule):
        """False when all was done before the engine came to that point."""
        trigger = os.path.join(self.home.work, "kill-at")
        port = free_port()
        script = self.home.file("web.js", self.source)
        with open(trigger, "w") as f:
            f.write(str(point))
        self.home.engine_may_die = True
        self.home.env["PM_TEST_KILL_CHANNEL"] = trigger
        path = self.home.config([{"name": "web", "script": script, "exec_mode": "cluster", "instances": 1,
                                  "cluster_schedule": schedule, "env": {"PORT": str(port)}}], "apps.json")
        self.home.pm("start", path)
        first = self.home.engine_pid()
        wait_until(lambda: answers(port), 30, "it listens")
        self.home.client_when_ready().close()
        self.assertEqual(self.home.procs("web")[0]["pm2_env"]["restart_time"], 0)
        self.home.pm("reload", "web")
        self.home.client_when_ready().close()
        wait_until(lambda: len(self.home.app_pids()) == 1, 30, "the reload is over")
        self.assertLessEqual(self.home.procs("web")[0]["pm2_env"]["restart_time"], 1)
        # A connection that the engine has accepted for round robin and not passed on yet dies with it.
        wait_until(lambda: answers(port) == str(self.home.pid("web")), 30, "the new process serves")
        self.home.pm("stop", "web")
        self.home.client_when_ready().close()
        wait_until(lambda: not self.home.app_pids(), 30, "it has stopped")
        for run in self.home.why("web")["runs"]:
            self.assertEqual((run.get("exit_code", 0), run.get("signal", signal.SIGINT)), (0, signal.SIGINT), run)
        return "signal 9" in self.home.log() or self.home.engine_pid() != first

    def loop(self, schedule):
        point = int(os.environ.get("PM_TEST_POINT", "1"))
        while True:
            try:
                if not self.run_at(point, schedule):
                    break
            except Exception as e:
                raise AssertionError("the engine was killed at point %d" % point) from e
            self.assertEqual(self.home.close(), [])
            self.homes.remove(self.home)
            self.home.remove()
            self.home = self.new_home()
            point += 1
        self.assertGreater(point, 20)

    def test_shared(self):
        self.loop("shared")

    def test_round_robin(self):
        self.loop("round_robin")


if __name__ == "__main__":
    main()
