"""Metrics: what a child of the app uses is counted, kept, and shown."""

import csv
import io
import json
import os
import stat
import sys

import harness
from harness import PmTest, child, wait_until

MIB = 1 << 20
# The app itself does nothing; its child holds memory, opens files and takes what CPU it gets.
BURN = r"""
import os, time
if os.fork() == 0:
    held = bytearray(b"x" * (80 << 20))
    files = [open("/dev/null") for _ in range(50)]
    while True:
        held[0] ^= 1
while True:
    time.sleep(60)
"""


class Metrics(PmTest):
    def burn(self, name="burn"):
        path = self.home.file("burn.py", BURN)
        self.home.start(name, [sys.executable, path])

    def series(self, *selectors, **params):
        with self.home.client() as c:
            return c.call("metrics", dict(params, selectors=list(selectors)))

    def now(self, name):
        return self.series(name)["processes"][0].get("now", {})

    def test_a_child_that_burns_is_counted(self):
        self.burn()
        self.home.start("calm", child("silent"))
        wait_until(lambda: self.now("burn").get("processes") == 2 and self.now("burn")["memory"] > 80 * MIB,
                   what=lambda: "the child's memory: %s" % self.now("burn"))
        wait_until(lambda: self.now("burn")["cpu"] > 5, what="the child's CPU")
        wait_until(lambda: self.now("burn")["fds"] > 50, what="the child's descriptors")
        wait_until(lambda: self.now("calm").get("processes") == 1, what="the other app")
        calm = self.now("calm")
        self.assertLess(calm["memory"], 40 * MIB)
        self.assertLess(calm["cpu"], 5)
        record = self.home.proc("burn")
        self.assertGreater(record["monit"]["memory"], 80 * MIB)
        self.assertGreater(record["monit"]["cpu"], 5)
        with_pss = self.series("burn", pss=True)["processes"][0]
        self.assertGreater(with_pss["pss"], 80 * MIB)
        host = self.series("burn")["host"]
        self.assertEqual(host["cpus"], os.cpu_count())
        self.assertGreater(host["memory_total"], host["memory_available"])

    def test_nothing_of_an_ended_run_is_shown(self):
        self.burn()
        wait_until(lambda: self.now("burn").get("processes") == 2)
        self.home.ok("stop", "burn")
        self.assertEqual(self.home.proc("burn")["monit"], {"memory": 0, "cpu": 0})
        self.assertNotIn("now", self.series("burn")["processes"][0])
        self.home.ok("start", "burn")
        self.assertGreater(self.home.proc("burn")["monit"]["memory"], 0)

    def test_history_outlives_the_engine(self):
        self.burn()

        def points():
            return self.series("burn")["processes"][0]["points"]
        wait_until(lambda: len(points()) > 2, what="points of single seconds")
        path = os.path.join(self.home.path, "metrics.db")

        def stored():
            return os.path.exists(path) and len(points()) > 12
        wait_until(stored, timeout=60, what="points in metrics.db")
        self.assertEqual(stat.S_IMODE(os.stat(path).st_mode), 0o600)
        before = points()[0]
        self.home.replace_engine()
        self.assertEqual(points()[0], before)
        wait_until(lambda: self.now("burn").get("processes") == 2, what="samples of the new engine")
        seconds, n, cpu_min, cpu_avg, cpu_max, mem_min, mem_avg, mem_max = before
        self.assertEqual(n, 1)
        self.assertTrue(cpu_min <= cpu_avg <= cpu_max and mem_min <= mem_avg <= mem_max)

    def test_command_and_describe(self):
        self.burn()
        wait_until(lambda: self.series("burn")["processes"][0]["points"], what="a point")
        wait_until(lambda: self.now("burn").get("fds", 0) > 50, what="descriptors")
        shown = self.home.ok("describe", "burn").out
        for word in ("processes", "threads", "descriptors", "disk read", "context switches", "memory (PSS)", "cpu, 10 min"):
            self.assertIn(word, shown)
        # Single seconds until what is kept of them is older than the range.
        wait_until(lambda: json.loads(self.home.ok("metrics", "burn", "--since", "5min", "--json").out)["processes"][0]["points"],
                   what="points with --json")
        rows = list(csv.DictReader(io.StringIO(self.home.ok("metrics", "burn", "--since", "5min", "--csv").out)))
        burn = [r for r in rows if r["name"] == "burn"]
        self.assertTrue(burn)
        self.assertGreaterEqual(float(burn[-1]["cpu_max"]), float(burn[-1]["cpu_min"]))
        self.assertTrue(all(r["id"] == "" for r in rows if r["name"] == "(host)"))
        table = self.home.ok("metrics").out
        self.assertIn("burn", table)
        self.assertIn("(host)", table)
        self.assertIn("load", table)
        self.assertIn("--since", self.home.fails(2, "metrics", "--since", "soon").err)
        self.assertIn("cannot go together", self.home.fails(2, "metrics", "--csv", "--json").err)
        self.assertIn("nosuch", self.home.fails(1, "metrics", "nosuch").err)

    def test_damaged_history_begins_anew(self):
        os.makedirs(self.home.path, mode=0o700, exist_ok=True)
        with open(os.path.join(self.home.path, "metrics.db"), "w") as f:
            f.write("not a database, not even a short one of any kind" * 50)
        self.burn()
        wait_until(lambda: self.series("burn")["processes"][0]["points"], what="a point")
        self.assertIn("begins anew", self.home.log())


if __name__ == "__main__":
    harness.main()
