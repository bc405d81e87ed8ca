"""Reload: a new process beside the old one, which goes when the new one is fit, and stays when it is not."""

import json
import os
import signal
import socket
import sys
import threading
import urllib.request

from harness import SLOW, PmTest, main, wait_until

SERVER = r'''
import os, select, signal, socket, sys, time

here = os.path.dirname(os.path.abspath(__file__))
mode = open(os.path.join(here, "mode")).read().strip()
if mode == "throw":
    print("cannot find the new library", file=sys.stderr)
    sys.exit(7)
wake, knock = os.pipe()
os.set_blocking(knock, False)
signal.signal(signal.SIGINT, lambda *a: None)
signal.set_wakeup_fd(knock)
if os.environ.get("LISTEN_FDS"):
    server = socket.socket(fileno=3)
    server.setblocking(False)
else:
    server = None
path = os.environ.get("NOTIFY_SOCKET")
if path and mode != "silent":
    note = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    note.sendto(b"READY=1", path.replace("@", "\0", 1) if path[0] == "@" else path)
print("serving", mode, os.environ.get("VERSION", "-"), flush=True)
while True:
    ready, _, _ = select.select([s for s in (server, wake) if s], [], [])
    if server in ready:
        try:
            c, _ = server.accept()
        except OSError:
            continue # another one was faster
        c.setblocking(True)
        c.recv(1000)
        c.sendall(("%d %s %s" % (os.getpid(), mode, os.environ.get("VERSION", "-"))).encode())
        c.close()
    elif wake in ready:
        if mode == "stubborn":
            os.read(wake, 100)
            continue
        sys.exit(0)
'''


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def ask(port):
    """One connection, one answer: (pid, mode, version)."""
    with socket.create_connection(("127.0.0.1", port), timeout=30) as c:
        c.sendall(b"GET")
        answer = b""
        while True:
            part = c.recv(1000)
            if not part:
                break
            answer += part
    pid, mode, version = answer.decode().split()
    return int(pid), mode, version


class Load:
    """Asks all the time, and keeps what went wrong."""

    def __init__(self, port, threads=3):
        self.port, self.done, self.errors, self.answers = port, threading.Event(), [], 0
        self.threads = [threading.Thread(target=self.run) for _ in range(threads)]
        for t in self.threads:
            t.start()

    def run(self):
        while not self.done.is_set():
            try:
                ask(self.port)
                self.answers += 1
            except Exception as e:  # each is a request that a user would have lost
                self.errors.append(repr(e))

    def end(self):
        self.done.set()
        for t in self.threads:
            t.join()
        return self.errors


class ReloadCase(PmTest):
    def setUp(self):
        super().setUp()
        self.port = free_port()
        self.script = self.home.file("srv.py", SERVER)
        self.mode("ok")

    def mode(self, word):
        with open(os.path.join(os.path.dirname(self.script), "mode"), "w") as f:
            f.write(word)

    def app(self, **keys):
        app = {"name": "api", "script": self.script, "interpreter": sys.executable, "listen": "127.0.0.1:%d" % self.port,
               "wait_ready": True, "kill_timeout": 3000, "listen_timeout": 20000, "autorestart": True}
        app.update(keys)
        return app

    def start(self, **keys):
        path = self.home.config([self.app(**keys)], name="eco.json")
        self.home.ok("start", path)
        return path

    def pids(self):
        return [p["pid"] for p in self.home.procs("api")]

    def words(self, what="api"):
        return self.home.why(what)["reason_text"]


class Success(ReloadCase):
    def test_no_request_is_lost(self):
        self.start(instances=2)
        load = Load(self.port)
        try:
            for i in range(3):
                before = self.pids()
                out = self.home.ok("reload", "api").out
                self.assertEqual(out.count("reloaded api"), 2)
                self.assertFalse(set(before) & set(self.pids()))
        finally:
            errors = load.end()
        self.assertEqual(errors, [])
        self.assertGreater(load.answers, 0)
        self.assertEqual([p["pm2_env"]["restart_time"] for p in self.home.procs("api")], [3, 3])
        self.assertEqual([p["pm_id"] for p in self.home.procs("api")], [0, 1])

    def test_records(self):
        self.start()
        old = self.home.pid("api")
        self.home.ok("reload", "api")
        runs = self.home.why("api")["runs"]
        self.assertEqual([r["reason"] for r in runs if r["pid"] == old], ["reloaded"])
        self.assertIn("replaced by a reload", self.words())
        # The counters are the slot's: an ordinary restart goes on from there.
        self.home.ok("restart", "api")
        self.assertEqual(self.home.restarts("api"), 2)

    def test_without_readiness_it_has_to_live_for_min_uptime(self):
        self.start(wait_ready=False, min_uptime=300)
        old = self.home.pid("api")
        self.home.ok("reload", "api")
        self.assertNotEqual(self.home.pid("api"), old)
        self.mode("throw")
        old = self.home.pid("api")
        err = self.home.fails(1, "reload", "api").err
        self.assertRegex(err, r"the new process exited with code 7 after .*; the old one goes on")
        self.assertEqual(self.home.pid("api"), old)

    def test_from_a_changed_config(self):
        self.start(env={"VERSION": "1"}, instances=2)
        path = self.home.config([self.app(env={"VERSION": "2"}, instances=2)], name="eco.json")
        for command, version in (("reload", "2"), ("startOrReload", "3"), ("startOrGracefulReload", "4")):
            self.home.config([self.app(env={"VERSION": version}, instances=2)], name="eco.json")
            before = self.pids()
            self.home.ok(command, path)
            self.assertFalse(set(before) & set(self.pids()))
            self.assertEqual({ask(self.port)[2] for _ in range(10)}, {version})
        self.home.ok("reload", "api", "--update-env", env={"VERSION": "5"})
        self.assertEqual(ask(self.port)[2], "5")

    def test_instances_of_the_config(self):
        path = self.start(instances=2)
        load = Load(self.port)
        try:
            for n in (4, 3):
                self.home.config([self.app(instances=n)], name="eco.json")
                self.home.ok("reload", path)
                self.assertEqual(len(self.pids()), n)
            self.home.ok("scale", "api", "2")
            self.home.ok("scale", "api", "+1")
        finally:
            errors = load.end()
        self.assertEqual(errors, [])
        self.assertEqual(len(self.pids()), 3)

    def test_another_address(self):
        path = self.start(instances=2)
        old, new = self.port, free_port()
        self.mode("throw")
        self.home.config([self.app(instances=2, listen="127.0.0.1:%d" % new)], name="eco.json")
        self.home.fails(1, "reload", path)
        self.assertIn(ask(old)[0], self.pids())
        # Nothing was given up for the one that failed.
        os.kill(self.pids()[0], signal.SIGKILL)
        ask(old)
        self.mode("ok")
        wait_until(lambda: all(p["pm2_env"]["status"] == "online" for p in self.home.procs("api")), what="up again")
        self.home.ok("reload", path)
        self.assertIn(ask(new)[0], self.pids())
        wait_until(lambda: self.refused(old), what="the old address is free")

    def refused(self, port):
        try:
            socket.create_connection(("127.0.0.1", port), timeout=10).close()
        except ConnectionRefusedError:
            return True
        return False

    def test_a_socket_a_slot(self):
        path = self.start(instances=2, listen=[{"tcp": "127.0.0.1:%d" % self.port, "slots": True}])
        load = Load(self.port)
        try:
            for _ in range(2):
                self.home.ok("reload", path)
        finally:
            errors = load.end()
        self.assertEqual(errors, [])

    def test_events(self):
        self.start()
        events = self.home.popen("events", "--json")
        wait_until(lambda: self.home.client().call("ping") is not None, what="an answer")
        self.home.ok("reload", "api")
        self.home.ok("reload", "api")
        seen = []
        for line in events.stdout:
            seen.append(json.loads(line).get("event"))
            if seen.count("reload") and seen[-1] == "exit":
                break
        events.send_signal(signal.SIGINT)
        self.home.finish(events)
        self.assertIn("reload", seen)

    def test_parallel_never_takes_all(self):
        self.start(instances=3)
        before = set(self.pids())
        self.mode("silent")
        self.home.config([self.app(instances=3, listen_timeout=60000)], name="eco.json")
        p = self.home.popen("reload", os.path.join(os.path.dirname(self.script), "eco.json"), "--parallel", "9")
        wait_until(lambda: len(self.home.app_pids()) == 5, what="two beside three")
        self.assertEqual(set(self.pids()), before)
        p.send_signal(signal.SIGINT)
        self.home.finish(p)
        self.home.ok("stop", "api")

    def test_what_is_down_is_started(self):
        self.start(instances=2)
        self.home.ok("stop", "1")
        self.home.ok("reload", "api")
        self.assertEqual([p["pm2_env"]["status"] for p in self.home.procs("api")], ["online", "online"])


class Failure(ReloadCase):
    def failed(self, words, *flags, left=0):
        before = self.pids()
        result = self.home.fails(1, "reload", "api", *flags)
        self.assertIn("api (id 0) was not reloaded: ", result.err)
        self.assertRegex(result.err, words)
        self.assertEqual(self.pids(), before)
        self.assertEqual({p["pm2_env"]["status"] for p in self.home.procs("api")}, {"online"})
        self.assertIn(ask(self.port)[0], before)
        wait_until(lambda: sorted(self.home.app_pids()) == sorted(before), what="the new one is gone")
        if left:
            self.assertIn("%d more process" % left, result.err)
        return result

    def test_one_that_throws(self):
        self.start(instances=3)
        self.mode("throw")
        result = self.failed("the new process exited with code 7 after .*; the old one goes on", left=1)  # two at a time
        self.assertIn("cannot find the new library", result.err)
        self.assertEqual([p["pm2_env"]["restart_time"] for p in self.home.procs("api")], [0, 0, 0])
        runs = self.home.why("0")["runs"]
        self.assertEqual(runs[0]["reason"], "exit")
        # And then one that works.
        self.mode("ok")
        self.home.ok("reload", "api")

    def test_one_that_is_never_ready(self):
        self.start(instances=2)
        self.home.ok("restart", "api", "--listen-timeout", "400")
        self.mode("silent")
        self.failed("the new process was not ready within 400 ms; the old one goes on", left=1)
        self.assertIn("reload-failed", [r["reason"] for r in self.home.why("0")["runs"]])

    def test_one_that_cannot_be_started(self):
        self.start()
        os.rename(self.script, self.script + "~")
        self.failed("the new process ")
        os.rename(self.script + "~", self.script)

    def test_the_old_configuration_stays(self):
        path = self.start(env={"VERSION": "1"}, instances=2)
        self.mode("throw")
        self.home.config([self.app(env={"VERSION": "2"}, instances=4)], name="eco.json")
        self.home.fails(1, "reload", path)
        self.assertEqual(len(self.pids()), 2)
        self.assertEqual(json.loads(self.home.ok("env", "0", "--json").out)["VERSION"], "1")
        self.mode("ok")
        # A crash of the old one does not bring up what has failed.
        os.kill(self.pids()[0], signal.SIGKILL)
        wait_until(lambda: self.home.procs("api")[0]["pm2_env"]["restart_time"] == 1, what="it is started again")
        wait_until(lambda: all(p["pm2_env"]["status"] == "online" for p in self.home.procs("api")), what="up again")
        self.assertEqual({ask(self.port)[2] for _ in range(10)}, {"1"})
        self.home.replace_engine()
        self.assertEqual(json.loads(self.home.ok("env", "0", "--json").out)["VERSION"], "1")

    def test_the_sockets_of_a_failed_reload_are_closed(self):
        """Connections would wait in them for good; those of the old configuration are not touched."""
        path = self.start(instances=2)
        self.mode("throw")
        other = free_port()
        for _ in range(2):
            self.home.config([self.app(instances=2, listen="127.0.0.1:%d" % other)], name="eco.json")
            self.home.fails(1, "reload", path)
            with socket.socket() as s:
                self.assertRaises(ConnectionRefusedError, s.connect, ("127.0.0.1", other))
        self.mode("ok")
        os.kill(self.pids()[0], signal.SIGSTOP)
        os.kill(self.pids()[1], signal.SIGKILL)
        os.kill(self.pids()[0], signal.SIGKILL)
        ask(self.port)  # waits for the next one
        self.home.ok("reload", path)
        ask(other)
        wait_until(lambda: len(self.home.app_pids()) == 2, what="the old ones are gone")
        with socket.socket() as s:
            self.assertRaises(ConnectionRefusedError, s.connect, ("127.0.0.1", self.port))

    def test_a_second_reload_is_refused(self):
        self.start(listen_timeout=60000)
        self.mode("silent")
        first = self.home.popen("reload", "api")
        wait_until(lambda: len(self.home.app_pids()) == 2, what="a candidate")
        self.assertIn("it is being reloaded already", self.home.fails(1, "reload", "api").err)
        self.assertIn("it is being reloaded already", self.home.fails(1, "reload", "api", "-f").err)
        self.assertIn("being reloaded: the new process (pid ", self.words())
        old = self.home.pid("api")
        self.home.ok("restart", "api", "--no-wait")
        self.assertIn("overtaken by: restart", self.home.finish(first).err)
        self.mode("ok")
        self.home.ok("restart", "api")
        self.assertNotEqual(self.home.pid("api"), old)
        wait_until(lambda: len(self.home.app_pids()) == 1, what="no candidate is left")

    def test_force_while_the_last_one_drains(self):
        self.mode("stubborn")
        self.start(kill_timeout=30000)
        stubborn = self.home.pid("api")
        self.mode("ok")
        first = self.home.popen("reload", "api")
        wait_until(lambda: self.home.pid("api") != stubborn, what="the new one has its place")
        self.assertIn("is finishing its connections", self.words())
        self.assertIn("--force", self.home.fails(1, "reload", "api").err)
        before = self.home.pid("api")
        second = self.home.popen("reload", "api", "--force")
        wait_until(lambda: self.home.pid("api") != before, what="the third one has its place")
        os.kill(stubborn, signal.SIGKILL)
        self.assertEqual(self.home.finish(first).code, 0)
        self.assertEqual(self.home.finish(second).code, 0)

    def test_stop_delete_and_kill_meanwhile(self):
        for command in (("stop", "api"), ("delete", "api"), ("kill",)):
            self.mode("ok")
            self.start(listen_timeout=60000)
            self.mode("silent")
            p = self.home.popen("reload", "api")
            wait_until(lambda: len(self.home.app_pids()) == 2, what="a candidate")
            self.home.ok(*command)
            self.assertEqual(self.home.app_pids(), [])
            self.assertEqual(self.home.finish(p).code, 1)

    def test_crash_of_the_old_one(self):
        self.start(listen_timeout=60000)
        self.mode("silent")
        p = self.home.popen("reload", "api")
        wait_until(lambda: len(self.home.app_pids()) == 2, what="a candidate")
        old = self.home.pid("api")
        new = [pid for pid in self.home.app_pids() if pid != old][0]
        os.kill(old, signal.SIGKILL)
        wait_until(lambda: self.home.status("api") == "waiting restart", what="it waits for the candidate")
        os.kill(new, signal.SIGKILL)
        self.mode("ok")
        self.assertIn("the old one has ended meanwhile as well", self.home.finish(p).err)
        wait_until(lambda: self.home.status("api") == "online", what="it is up again")
        ask(self.port)


NODE = """
const fs = require("fs"), http = require("http"), path = require("path");
const mode = fs.readFileSync(path.join(__dirname, "mode"), "utf8").trim();
if (mode === "throw") throw new Error("cannot find the new library");
const port = mode === "elsewhere" ? 0 : Number(process.env.APP_PORT);
if (mode === "silent") setInterval(() => {}, 1000);
else http.createServer((req, res) => res.end(process.pid + " " + mode + " -")).listen(port, "127.0.0.1");
"""


class NodeCluster(ReloadCase):
    def setUp(self):
        super().setUp()
        self.script = self.home.file("srv.js", NODE)

    def ask(self):
        with urllib.request.urlopen("http://127.0.0.1:%d/" % self.port, timeout=30) as r:
            return int(r.read().split()[0])

    def test_new_versions_good_and_bad(self):
        path = self.home.config([{"name": "api", "script": self.script, "instances": 2, "exec_mode": "cluster",
                                  "listen_timeout": int(3000 * SLOW), "env": {"APP_PORT": str(self.port)}}])
        self.home.ok("start", path)
        wait_until(lambda: self.ask() in self.pids(), what="it serves")
        before = self.pids()
        self.home.ok("reload", "api")
        self.assertFalse(set(before) & set(self.pids()))
        for mode, words in (("throw", "cannot find the new library"), ("silent", "was not listening within"),
                            ("elsewhere", "did not listen where the old one does within")):
            self.mode(mode)
            before = self.pids()
            self.assertIn(words, self.home.fails(1, "reload", "api").err, mode)
            self.assertEqual(self.pids(), before, mode)
            self.assertIn(self.ask(), before)


class OthersRestart(ReloadCase):
    def test_a_fork_app(self):
        app = self.app(instances=2)
        del app["listen"]
        path = self.home.config([app], name="eco.json")
        self.home.ok("start", path)
        for word in ("api", path):
            before = self.pids()
            result = self.home.ok("reload", word)
            self.assertEqual(result.err.count("cannot be reloaded without a gap"), 1)
            self.assertFalse(set(before) & set(self.pids()))

    def test_a_key_that_needs_a_restart(self):
        path = self.start()
        self.home.config([self.app(disable_logs=True)], name="eco.json")
        self.assertIn("\"disable_logs\" has changed", self.home.ok("reload", path).err)


class EngineDeath(ReloadCase):
    def test_candidate_goes_on(self):
        self.start(listen_timeout=60000, env={"VERSION": "1"})
        self.mode("silent")
        path = self.home.config([self.app(listen_timeout=60000, env={"VERSION": "2"})], name="eco.json")
        p = self.home.popen("reload", path)
        wait_until(lambda: len(self.home.app_pids()) == 2, what="a candidate")
        old = self.home.pid("api")
        new = [pid for pid in self.home.app_pids() if pid != old][0]
        self.home.replace_engine()
        self.home.finish(p)
        self.assertEqual(self.home.pid("api"), old)
        self.assertIn("being reloaded: the new process (pid %d)" % new, self.words())
        self.assertIn("it is being reloaded already", self.home.fails(1, "reload", "api").err)
        os.kill(new, signal.SIGKILL)
        wait_until(lambda: "being reloaded" not in self.words(), what="it is over")
        self.assertEqual((self.home.pid("api"), self.home.restarts("api")), (old, 0))
        self.assertEqual(json.loads(self.home.ok("env", "0", "--json").out)["VERSION"], "1")

    def test_candidate_takes_over_after_the_engine_died(self):
        self.start(wait_ready=False, min_uptime=3000, env={"VERSION": "1"})
        old = self.home.pid("api")
        path = self.home.config([self.app(wait_ready=False, min_uptime=3000, env={"VERSION": "2"})], name="eco.json")
        p = self.home.popen("reload", path)
        wait_until(lambda: len(self.home.app_pids()) == 2, what="a candidate")
        self.home.replace_engine()
        self.home.finish(p)
        wait_until(lambda: self.home.pid("api") != old, what="the candidate has the place")
        self.assertEqual(json.loads(self.home.ok("env", "0", "--json").out)["VERSION"], "2")
        wait_until(lambda: self.home.app_pids() == [self.home.pid("api")], what="the old one is gone")
        self.assertEqual(ask(self.port)[2], "2")
        self.assertEqual(self.home.restarts("api"), 1)

    def test_update_in_the_middle(self):
        self.home.engine_may_die = True
        self.start(wait_ready=False, min_uptime=3000, env={"VERSION": "1"})
        old = self.home.pid("api")
        path = self.home.config([self.app(wait_ready=False, min_uptime=3000, env={"VERSION": "2"})], name="eco.json")
        p = self.home.popen("reload", path)
        wait_until(lambda: len(self.home.app_pids()) == 2, what="a candidate")
        self.home.ok("update")
        self.assertEqual(self.home.pid("api"), old)
        self.home.finish(p)
        wait_until(lambda: self.home.pid("api") != old, what="the candidate has the place")
        wait_until(lambda: self.home.app_pids() == [self.home.pid("api")], what="the old one is gone")
        self.assertEqual(ask(self.port)[2], "2")
        self.assertEqual(self.home.restarts("api"), 1)

    def test_draining_goes_on(self):
        self.mode("stubborn")
        self.start(kill_timeout=4000)
        stubborn = self.home.pid("api")
        self.mode("ok")
        p = self.home.popen("reload", "api")
        wait_until(lambda: self.home.pid("api") != stubborn, what="the new one has its place")
        new = self.home.pid("api")
        self.home.replace_engine()
        self.home.finish(p)
        self.assertEqual(self.home.pid("api"), new)
        wait_until(lambda: self.home.app_pids() == [new], what="the old one was killed")
        self.assertEqual([r["reason"] for r in self.home.why("api")["runs"] if r["pid"] == stubborn], ["reloaded"])

    def test_engine_dies_again_and_again_during_reloads(self):
        self.start(instances=2)
        load = Load(self.port, threads=2)
        try:
            for i in range(5):
                p = self.home.popen("reload", "api")
                if i % 2:
                    wait_until(lambda: len(self.home.app_pids()) > 2 or p.poll() is not None, what="a candidate")
                self.home.replace_engine()
                self.home.finish(p)
                wait_until(lambda: len(self.home.app_pids()) == 2, what="one process a slot")
                self.assertEqual(sorted(self.pids()), sorted(self.home.app_pids()))
        finally:
            errors = load.end()
        self.assertEqual(errors, [])

    def test_both_daemons_die(self):
        self.mode("stubborn")
        self.start(kill_timeout=60000)
        first = self.home.pid("api")
        self.mode("ok")
        p = self.home.popen("reload", "api")
        wait_until(lambda: self.home.pid("api") != first, what="the new one has its place")
        second = self.home.pid("api")
        self.home.ok("reset", "api")  # answered when all before it is stored
        self.mode("silent")
        q = self.home.popen("reload", "api", "--force")
        wait_until(lambda: len(self.home.app_pids()) == 3, what="three of them")
        self.home.engine_may_die = True
        keeper, engine = self.home.keeper_pid(), self.home.engine_pid()
        os.kill(keeper, signal.SIGSTOP)
        os.kill(engine, signal.SIGKILL)
        os.kill(keeper, signal.SIGKILL)
        wait_until(lambda: not self.home.daemons(), what="both are dead")
        self.home.finish(p)
        self.home.finish(q)
        self.assertEqual(self.home.finish(self.home.spawn_pmd("--autostart")).code, 0)
        self.home.ok("ping")
        wait_until(lambda: self.home.app_pids() == [second], what="only the holder of the slot is left")
        self.assertEqual(self.home.pid("api"), second)


if __name__ == "__main__":
    main()
