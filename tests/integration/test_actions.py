"""What commands do to processes: options that change what is stored, how many at a time, JSON, terminals, failures."""

import fcntl
import json
import os
import pty
import re
import select
import signal
import struct
import termios

from harness import SLOW, PmTest, RpcError, child, main, read_file, wait_until

# Ends politely only once a file is there.
HOLDS = "#!/bin/bash\ntrap 'while [ ! -e %s ]; do sleep 0.02; done; exit 0' INT\nwhile :; do sleep 0.02; done\n"
CRASHES = "#!/bin/sh\necho 'no database at db:5432' >&2\nexit 7\n"


class Terminal:
    """A command on a terminal of its own: standard input, output and errors."""

    def __init__(self, home, *args, columns=100):
        self.master, slave = pty.openpty()
        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 40, columns, 0, 0))
        self.process = home.popen(*args, env={"TERM": "xterm"}, stdin=slave, stdout=slave, stderr=slave, start_new_session=True,
                                  preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0))
        os.close(slave)
        self.seen = ""

    def read(self, seconds):
        if not select.select([self.master], [], [], seconds)[0]:
            return False
        try:
            data = os.read(self.master, 65536)
        except OSError:
            return False
        self.seen += data.decode("utf-8", "replace")
        return bool(data)

    def wait(self, text, timeout=20):
        wait_until(lambda: text in self.seen or (self.read(0.05) and text in self.seen), timeout * SLOW, "%r on the terminal" % text)

    def finish(self):
        while self.read(20 * SLOW):
            pass
        os.close(self.master)
        return self.process.wait(20 * SLOW)


class Options(PmTest):
    def env_of(self, name):
        return self.home.proc(name)["pm2_env"]

    def test_restart_takes_options(self):
        self.home.start("a", child("silent"), env={"COLOR": "red"})
        before = self.home.pid("a")
        out = self.home.ok("restart", "a", "--name", "b", "-k", "3s", "--max-restarts", "3", "--node-args", "--x",
                           "--", "one", "two words", env={"COLOR": "blue"}).out
        self.assertIn("restarted b (id 0", out)
        self.assertNotEqual(self.home.pid("b"), before)
        e = self.env_of("b")
        self.assertEqual((e["kill_timeout"], e["max_restarts"], e["args"], e["node_args"]), (3000, 3, ["one", "two words"], ["--x"]))
        self.assertEqual(json.loads(self.home.ok("env", "b", "--json").out)["COLOR"], "red")
        # A default value that is given counts too, and what is not given stays.
        self.home.ok("reload", "b", "--max-restarts", "16")
        self.assertEqual((self.env_of("b").get("max_restarts", 16), self.env_of("b")["kill_timeout"]), (16, 3000))
        self.home.replace_engine()
        self.assertEqual((self.env_of("b")["kill_timeout"], self.env_of("b")["args"]), (3000, ["one", "two words"]))

    def test_start_of_what_is_known_takes_options(self):
        self.home.start("a", child("silent"))
        self.home.ok("stop", "a")
        self.home.ok("start", "a", "--kill-timeout", "2500", "--", "x")
        self.assertEqual((self.env_of("a")["kill_timeout"], self.env_of("a")["args"]), (2500, ["x"]))

    def test_files(self):
        self.home.start("a", self.home.file("a.sh", "#!/bin/sh\necho hello\nexec sleep 1000\n"))
        old = os.path.join(self.home.path, "pids", "a-0.pid")
        wait_until(lambda: os.path.exists(old), what="the pid file")
        self.home.ok("restart", "a", "--name", "b", "-o", "new.log", "--log", cwd=self.home.work)
        wait_until(lambda: "hello" in read_file(os.path.join(self.home.work, "new.log")), what="the new log file")
        wait_until(lambda: "hello" in read_file(os.path.join(self.home.path, "logs", "b.log")), what="the file of both")
        wait_until(lambda: not os.path.exists(old), what="the end of the old pid file")
        path = os.path.join(self.home.path, "pids", "b-0.pid")
        wait_until(lambda: read_file(path).strip() == str(self.home.pid("b")), what="the new pid file")

    def test_mistakes_change_nothing(self):
        self.home.start("a", child("silent"))
        self.home.start("b", child("silent"), "--namespace", "other")
        pids = [p["pid"] for p in self.home.jlist()]
        self.assertIn("--kill-timeout", self.home.fails(2, "restart", "a", "--kill-timeout", "soon").err)
        self.assertIn("no folder", self.home.fails(2, "restart", "a", "--cwd", "/nowhere").err)
        self.assertIn("one name for 2 apps", self.home.fails(1, "restart", "a", "b", "--name", "c").err)
        self.assertIn("--log", self.home.fails(2, "restart", "a", "b", "--log").err)
        with self.home.client() as client:
            for wrong, words in (({"kill_timeout": -1}, "kill_timeout"), ({"kill_timeout": "3s"}, "kill_timeout"), ({"env": {}}, "env"),
                                 ({"instances": 2}, "scale"), ({"colour": 1}, "colour"), ({"script": "x"}, "script"),
                                 ({"force": True}, "force"), ({"name": None}, "name")):
                with self.assertRaises(RpcError) as caught:
                    client.call("process.restart", {"selectors": ["all"], "set": wrong})
                self.assertEqual(caught.exception.code, -32602)
                self.assertIn(words, str(caught.exception))
        self.assertEqual([p["pid"] for p in self.home.jlist()], pids)
        self.assertEqual([p["name"] for p in self.home.jlist()], ["a", "b"])

    def test_instances_are_for_scale(self):
        self.home.start("a", child("silent"))
        self.assertIn("pm scale a N", self.home.ok("restart", "a", "-i", "3").err)
        self.assertEqual(len(self.home.procs("a")), 1)

    def test_only_update(self):
        self.home.start("a", child("silent"))
        before = self.home.pid("a")
        with self.home.client() as client:
            client.call("process.restart", {"selectors": ["a"], "set": {"kill_timeout": 4000}, "only_update": True})
        self.assertEqual((self.home.pid("a"), self.env_of("a")["kill_timeout"]), (before, 4000))


class AtATime(PmTest):
    """How many are down at once, and in which order."""

    def setUp(self):
        super().setUp()
        self.gate = os.path.join(self.home.work, "gate")
        self.script = self.home.file("holds.sh", HOLDS % self.gate)

    def begin(self, n, *args):
        self.home.start("w", [self.script], "-i", str(n), "-k", "60s")
        return self.home.popen(*args)

    def statuses(self):
        return [p["pm2_env"]["status"] for p in self.home.jlist()]

    def held(self, n, of):
        want = ["stopping"] * n + ["online"] * (of - n)
        wait_until(lambda: self.statuses() == want, what="%d of %d in the order of their ids" % (n, of))

    def release(self, process):
        with open(self.gate, "w"):
            pass
        return self.home.finish(process)

    def test_restart_two_at_a_time(self):
        p = self.begin(5, "restart", "all")
        pids = [q["pid"] for q in self.home.jlist()]
        self.held(2, 5)
        for _ in range(10):
            self.assertEqual(self.statuses().count("online"), 3)
        result = self.release(p)
        self.assertEqual(result.code, 0, result.err)
        self.assertEqual(re.findall(r"restarted w \(id (\d)", result.out), list("01234"))
        self.assertEqual(self.statuses(), ["online"] * 5)
        self.assertFalse(set(pids) & {q["pid"] for q in self.home.jlist()})

    def test_of_two_one(self):
        p = self.begin(2, "stop", "w")
        self.held(1, 2)
        self.assertEqual(self.release(p).code, 0)

    def test_parallel(self):
        p = self.begin(4, "reload", "w", "--parallel", "3")
        self.held(3, 4)
        self.assertEqual(self.release(p).code, 0)

    def test_delete(self):
        p = self.begin(12, "delete", "all")
        self.held(10, 12)
        self.assertEqual(self.release(p).code, 0)
        self.assertEqual(self.home.jlist(), [])

    def test_a_restart_of_a_config(self):
        self.home.start_apps([{"name": "c", "script": self.script, "instances": 3, "kill_timeout": "60s"}])
        p = self.home.popen("restart", self.home.config([{"name": "c", "script": self.script, "instances": 3, "kill_timeout": "50s"}]))
        self.held(2, 3)
        self.assertEqual(self.release(p).code, 0)

    def test_a_later_stop_wins(self):
        p = self.begin(4, "restart", "all")
        self.held(2, 4)
        stop = self.home.popen("stop", "all")
        wait_until(lambda: all(q["pm2_env"]["status"] != "online" or q["pm_id"] > 1 for q in self.home.jlist()), what="the stop")
        restart = self.home.finish(p)
        self.assertEqual((restart.code, restart.err.count("was not restarted: overtaken by")), (1, 4))
        self.assertEqual(self.release(stop).code, 0)
        self.assertEqual(self.statuses(), ["stopped"] * 4)

    def test_the_end_of_the_daemon_does_not_wait_for_the_rest(self):
        p = self.begin(4, "restart", "all")
        self.held(2, 4)
        kill = self.home.popen("kill")
        self.assertEqual(self.release(kill).code, 0)
        self.assertEqual(self.home.finish(p).code, 1)
        self.home.wait_no_daemon()

    def test_wrong_numbers(self):
        self.home.start("w", child("silent"))
        for n in ("0", "-1", "many", "10001"):
            self.assertIn("--parallel", self.home.fails(2, "restart", "w", "--parallel", n).err)
        self.assertIn("--parallel has no effect", self.home.ok("reset", "w", "--parallel", "2").err)


class Progress(PmTest):
    def test_notifications(self):
        apps = [{"name": n, "script": child("silent")[0], "cwd": self.home.work} for n in "abc"]
        apps.append({"name": "d", "script": self.home.file("crash.sh", CRASHES), "cwd": self.home.work, "autorestart": False})
        self.home.start("first", child("silent"))
        with self.home.client() as client:
            ident = client.send("start", {"apps": apps, "progress": True})
            outcomes = client.reply(ident)["result"]["processes"]
            told = [m["params"] for m in client.notifications if m["method"] == "progress"]
            self.assertEqual({t["request"] for t in told}, {ident})
            self.assertEqual([t["done"] for t in told], [0, 1, 2, 3, 4])
            self.assertEqual({t["total"] for t in told}, {4})
            self.assertEqual(told[-1]["failed"], 1)
            self.assertNotIn("outcome", told[0])
            self.assertEqual(sorted(t["outcome"]["name"] for t in told[1:]), [o["name"] for o in outcomes])
            client.notifications.clear()
            client.call("process.stop", {"selectors": ["a"]})
            self.assertFalse(client.notifications)

    def test_who_leaves_is_no_trouble(self):
        self.home.start("a", child("ready_notify", 500), "--wait-ready")
        with self.home.client() as client:
            client.send("process.restart", {"selectors": ["a"], "progress": True})
            wait_until(lambda: self.home.status("a") == "launching", what="the restart")
        self.home.wait_status("a", "online")


class OnTerminal(PmTest):
    def test_progress_and_table(self):
        t = Terminal(self.home, "start", child("ready_notify")[0], "--name", "api", "-i", "5", "--wait-ready", "--", "200")
        self.assertEqual(t.finish(), 0, t.seen)
        self.assertRegex(t.seen, r"starting \S*: 0/5 up\033\[K")
        self.assertRegex(t.seen, r"starting \S+: [1-5]/5 up; last: api \d\033\[K")
        # Gone before the messages, which are followed by the table.
        after = t.seen[t.seen.rindex("\r\033[K"):]
        self.assertNotIn("/5 up", after)
        self.assertEqual(after.count("started"), 5)
        self.assertIn("│ id", re.sub(r"\033\[[\d;]*m", "", after[after.rindex("started"):]))

    def test_restart_stop_and_delete(self):
        self.home.start("api", child("silent"), "-i", "3")
        for command, doing in (("restart", "restarting api: 0/3 up"), ("stop", "stopping api: 0/3 stopped"),
                               ("delete", "deleting api: 0/3 deleted")):
            t = Terminal(self.home, command, "api")
            self.assertEqual(t.finish(), 0, t.seen)
            self.assertIn(doing, t.seen)

    def test_the_line_fits(self):
        self.home.start("a-rather-long-name-for-an-app", child("silent"), "-i", "3")
        t = Terminal(self.home, "restart", "a-rather-long-name-for-an-app", columns=40)
        self.assertEqual(t.finish(), 0)
        for line in re.findall(r"\r(restarting [^\r\033]*)\033\[K", t.seen):
            self.assertLess(len(line), 40)

    def test_silent_and_json(self):
        t = Terminal(self.home, "start", child("silent")[0], "--name", "api", "--silent")
        self.assertEqual((t.finish(), t.seen), (0, ""))
        t = Terminal(self.home, "restart", "api", "--json")
        self.assertEqual(t.finish(), 0)
        self.assertEqual([o["name"] for o in json.loads(t.seen)], ["api"])

    def test_pipes_get_messages_only(self):
        self.home.start("other", child("silent"))
        result = self.home.start("api", child("silent"), "-i", "3")
        self.assertNotIn("\r", result.out)
        self.assertEqual(result.err, "")
        self.assertEqual(len(result.out.splitlines()), 3)

    def test_interrupt(self):
        t = Terminal(self.home, "start", child("slow_start", 60000)[0], "--name", "api", "--wait-ready", "--listen-timeout", "2m",
                     "--", "60000")
        t.wait("0/1 up")
        os.write(t.master, b"\x03")
        self.assertEqual(t.finish(), 130, t.seen)
        self.assertIn("the daemon goes on with it", t.seen)
        self.assertEqual(self.home.status("api"), "launching")

    def test_interrupt_by_signal_without_a_terminal(self):
        p = self.home.popen("start", *child("slow_start")[:1], "--name", "api", "--wait-ready", "--listen-timeout", "2m", "--", "60000")
        wait_until(lambda: self.home.jlist() and self.home.status("api") == "launching", what="the start")
        p.send_signal(signal.SIGTERM)
        result = self.home.finish(p)
        self.assertEqual(result.code, 143)
        self.assertIn("the daemon goes on with it", result.err)


class Json(PmTest):
    def outcomes(self, *args):
        result = self.home.ok(*args, "--json")
        self.assertEqual(result.err, "", args)
        return [(o["name"], o["ok"], o["status"]) for o in json.loads(result.out)]

    def test_every_action(self):
        path = self.home.config([{"name": "b", "script": child("silent")[0]}], "eco.json")
        up = ("a", True, "online")
        self.assertEqual(self.outcomes("start", child("silent")[0], "--name", "a"), [up])
        self.assertEqual(self.outcomes("restart", "a"), [up])
        self.assertEqual(json.loads(self.home.ok("reload", "a", "--json").out)[0]["status"], "online")
        self.assertEqual(self.outcomes("startOrRestart", path), [("b", True, "online")])
        self.assertEqual(self.outcomes("start", "a", path), [up, ("b", True, "online")])
        self.assertEqual(self.outcomes("scale", "a", "2"), [up])
        self.assertEqual(self.outcomes("scale", "a", "1"), [("a", True, "deleted")])
        self.assertEqual(self.outcomes("reset", "b"), [("b", True, "online")])
        self.assertEqual(self.outcomes("sendSignal", "WINCH", "b"), [("b", True, "online")])
        self.assertEqual(self.outcomes("flush", "b"), [("b", True, "online")])
        self.assertEqual(self.outcomes("stop", "b"), [("b", True, "stopped")])
        self.assertEqual(json.loads(self.home.ok("save", "--json").out), {"processes": 2})
        self.assertEqual(sorted(self.outcomes("delete", "all")), [("a", True, "deleted"), ("b", True, "deleted")])
        self.assertEqual(sorted(o[0] for o in self.outcomes("resurrect")), ["a", "b"])
        self.assertEqual(self.outcomes("resurrect"), [])
        self.assertEqual(json.loads(self.home.ok("ping", "--json").out), {"msg": "pong"})
        self.assertEqual(json.loads(self.home.ok("kill", "--json").out), {"processes": 2})

    def test_failures(self):
        result = self.home.fails(1, "start", self.home.file("bad.sh", CRASHES), "--name", "bad", "--no-autorestart", "--json")
        outcome = json.loads(result.out)[0]
        self.assertEqual((outcome["name"], outcome["ok"], outcome["stderr"]), ("bad", False, ["no database at db:5432"]))
        self.assertEqual(len(result.err.splitlines()), 1, result.err)
        result = self.home.fails(1, "restart", "nobody", "--json")
        self.assertEqual((json.loads(result.out), len(result.err.splitlines())), ([], 1))


class Failures(PmTest):
    def test_what_failed_and_what_next(self):
        result = self.home.fails(1, "start", self.home.file("bad.sh", CRASHES), "--name", "bad", "--no-autorestart")
        self.assertRegex(result.err, r"error: bad \(id 0\) was not started: exited with code 7 after \d+ ms")
        self.assertIn("no database at db:5432", result.err)
        self.assertIn("next: pm logs bad --err, pm why bad", result.err)
        result = self.home.fails(1, "restart", "bad")
        self.assertIn("was not restarted: exited with code 7", result.err)

    def test_given_up(self):
        result = self.home.fails(1, "start", self.home.file("bad.sh", CRASHES), "--name", "bad", "--max-restarts", "0")
        self.assertIn("pm has given it up", result.err)


if __name__ == "__main__":
    main()
