"""Limits of memory, CPU and run time: what the whole tree of a process uses is judged, and what is done is told with figures."""

import json
import os
import re
import signal
import sys

from harness import SLOW, PmTest, child, main, send_signal, wait_until

# Its first run wants much and does not end when it is asked to.
STUBBORN = r'''
import os, signal, time

if not os.path.exists("was-here"):
    open("was-here", "w").close()
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    x = b"x" * (60 << 20)
time.sleep(1000)
'''


def limits(home, name):
    """The stored events of limits, oldest first."""
    lines = home.ok("events", "--json", "--nostream", "--lines", "1000").out.splitlines()
    return [e for e in map(json.loads, lines) if e.get("event") == "limit" and e.get("name") == name]


class LimitsTest(PmTest):
    def app(self, command, **keys):
        self.home.start_apps([{"name": "a", "script": command[0], "args": command[1:], **keys}])
        return self.home.proc("a") if keys.get("instances", 1) == 1 else None

    def pids(self):
        return {p["pm_id"]: p["pid"] for p in self.home.procs("a")}

    def wait_replaced(self, pid, ident=None):
        def replaced():
            now = self.home.proc("a") if ident is None else [p for p in self.home.procs("a") if p["pm_id"] == ident][0]
            return now["pm2_env"]["status"] == "online" and now["pid"] not in (0, pid)
        wait_until(replaced, 30 * SLOW, "the process that has passed its limit is replaced", step=0.1)

    def ended(self, name="a"):
        """The newest run that has ended."""
        return next(r for r in self.home.why(name)["runs"] if r.get("ended_at"))


class Memory(LimitsTest):
    def test_leak_in_a_child(self):
        before = self.app(child("leak", 20, 300), max_memory_restart="40M")
        send_signal(before["pid"], signal.SIGUSR1)
        self.wait_replaced(before["pid"])
        event = limits(self.home, "a")[0]
        found = re.fullmatch(r"memory ([0-9.]+) MB of 40 MB in 2 processes", event["text"])
        self.assertTrue(found, event)
        self.assertGreater(float(found[1]), 40)
        self.assertIn(event["text"], self.home.ok("why", "a").out)
        self.assertIn("pm: memory limit", json.dumps(self.home.why("a")))
        # The run after it has done nothing.
        self.assertEqual(self.home.restarts("a"), 1)
        self.assertEqual(len(limits(self.home, "a")), 1)

    def test_other_instances_are_untouched(self):
        self.app(child("leak", 100, 300), instances=3, exec_mode="fork", max_memory_restart="40M")
        before = self.pids()
        self.assertEqual(len(before), 3)
        send_signal(before[1], signal.SIGUSR1)
        self.wait_replaced(before[1], 1)
        now = self.pids()
        self.assertEqual((now[0], now[2]), (before[0], before[2]))

    def test_shared_pages_count_once(self):
        """Six processes with the same 40 MB use 40 MB, not 240; a limit of 20 MB is passed all the same."""
        self.app(child("leak", "share", 40, 5), max_memory_restart="100M", max_uptime="3s")
        # Its end comes by the run time, and not before: by then its memory was judged more than once.
        wait_until(lambda: limits(self.home, "a"), 30 * SLOW, "an end by the run time", step=0.1)
        self.assertRegex(limits(self.home, "a")[0]["text"], r"^up for [0-9.]+ s of 3 s$")
        self.home.ok("delete", "a")
        self.app(child("leak", "share", 40, 5), max_memory_restart="20M")
        wait_until(lambda: any("memory" in e["text"] for e in limits(self.home, "a")), 30 * SLOW, "an end by memory", step=0.1)
        text = [e["text"] for e in limits(self.home, "a") if "memory" in e["text"]][0]
        self.assertLess(float(re.match(r"memory ([0-9.]+) MB of 20 MB in 6 processes", text)[1]), 100, text)

    def test_soft_after_its_window(self):
        before = self.app(child("leak", 200, 60), max_memory={"soft": "40M", "hard": "2G", "window": "2s"})
        send_signal(before["pid"], signal.SIGUSR1)
        self.wait_replaced(before["pid"])
        self.assertRegex(limits(self.home, "a")[0]["text"], r"^memory [0-9.]+ MB of 40 MB \(soft, for 2 s\) in 2 processes$")

    def test_hard_kills(self):
        """Who does not end by the stop signal has kill_timeout; above the hard limit it has no time at all."""
        script = self.home.file("stubborn.py", STUBBORN)
        before = self.app([script], interpreter=sys.executable, max_memory={"hard": "40M"}, kill_timeout="10m")
        self.wait_replaced(before["pid"])
        run = self.ended()
        self.assertEqual(run.get("signal"), signal.SIGKILL, run)
        self.assertRegex(limits(self.home, "a")[0]["text"], r"^memory [0-9.]+ MB of 40 MB \(hard\) in 1 process$")

    def test_reload_where_the_app_can(self):
        before = self.app(child("leak", 100, 300), max_memory_restart="40M", listen=["unix:%s" % os.path.join(self.home.work, "s")])
        send_signal(before["pid"], signal.SIGUSR1)
        self.wait_replaced(before["pid"])
        wait_until(lambda: self.home.why("a")["runs"][1].get("ended_at"), 20 * SLOW, "the old run ends")
        first = self.home.why("a")["runs"][1]
        self.assertEqual(first["reason"], "reloaded", first)
        self.assertIn("memory", json.dumps(first))

    def test_limit_for_a_known_app(self):
        self.app(child("leak", 200, 60))
        self.app(child("leak", 200, 60), max_memory_restart="40M")
        pid = self.home.pid("a")
        send_signal(pid, signal.SIGUSR1)
        self.wait_replaced(pid)

    def test_after_an_engine(self):
        before = self.app(child("leak", 100, 300), max_memory_restart="40M")
        self.home.replace_engine()
        self.assertEqual(self.home.pid("a"), before["pid"])
        send_signal(before["pid"], signal.SIGUSR1)
        self.wait_replaced(before["pid"])


class Others(LimitsTest):
    def test_cpu(self):
        before = self.app(["/bin/sh", "-c", "while :; do :; done & wait"], max_cpu_restart={"percent": 5, "for": "2s"})
        self.wait_replaced(before["pid"])
        self.assertRegex(limits(self.home, "a")[0]["text"], r"^cpu [0-9.]+ %, above 5 % for 2 s$")

    def test_uptime_one_at_a_time(self):
        self.app(child("silent"), instances=3, exec_mode="fork", max_uptime="2s", min_uptime="100ms")
        wait_until(lambda: all(p["pm2_env"]["restart_time"] >= 1 for p in self.home.procs("a")), 60 * SLOW, "each has had its time", step=0.1)
        self.assertRegex(limits(self.home, "a")[0]["text"], r"^up for [0-9.]+ s of 2 s$")

    def test_shown(self):
        self.app(child("silent"), max_memory_restart="1G", max_memory={"soft": "500M", "hard": "2G"}, max_cpu_restart=90, max_uptime="1d")
        env = self.home.proc("a")["pm2_env"]
        self.assertEqual(env["max_memory_restart"], 1 << 30)
        self.assertEqual((env["max_memory"]["soft"], env["max_memory"]["hard"]), (500 << 20, 2 << 30))
        self.assertEqual(env["max_cpu_restart"]["percent"], 90)
        self.assertEqual(env["max_uptime"], 86400000)
        text = self.home.ok("describe", "a").out
        for line in (r"memory limit +1\.0gb", r"memory limit, soft +500\.0mb", r"for more than +10 s", r"memory limit, hard +2\.0gb",
                     r"cpu limit +90%", r"for more than +1 min", r"uptime limit +1 d"):
            self.assertRegex(text, line)


if __name__ == "__main__":
    main()
