"""Many processes, many crashes: the daemon stays quick and small. Exact figures are taken by bench/."""

import statistics
import time

from harness import PmTest, SLOW, child, cpu_seconds, main, open_files, wait_until


class CrashLoops(PmTest):
    limit = 120

    def watch(self, seconds):
        """Median time of an answer in ms, and the share of a core that the engine used."""
        engine = self.home.engine_pid()
        times = []
        cpu, begin = cpu_seconds(engine), time.monotonic()
        while time.monotonic() - begin < seconds:
            t = time.monotonic()
            self.home.ok("list")
            times.append((time.monotonic() - t) * 1000)
            wait_until(lambda: time.monotonic() - t > 0.25, what="a pause")
        share = (cpu_seconds(engine) - cpu) / (time.monotonic() - begin)
        self.assertEqual(self.home.engine_pid(), engine)
        return statistics.median(times), share

    def test_200_apps_that_crash_at_once(self):
        apps = [{"name": "crash%03d" % i, "script": child("exit_code")[0], "args": ["1"]} for i in range(200)]
        command = self.home.popen("start", self.home.config(apps))
        self.home.client_when_ready().close()
        wait_until(lambda: self.home.jlist(), what="the first app")
        median, share = self.watch(12)
        self.assertEqual(self.home.finish(command, 80).code, 1)
        self.assertLess(median, 500 * SLOW, "ms for an answer")
        self.assertLess(share, 0.6 * SLOW, "share of a core")
        wait_until(lambda: {p["pm2_env"]["status"] for p in self.home.jlist()} == {"errored"}, 60, "all are errored", step=0.5)
        self.assertEqual({p["pm2_env"]["restart_time"] for p in self.home.jlist()}, {15})

    def test_200_apps_that_crash_for_ever(self):
        apps = [{"name": "crash%03d" % i, "script": child("exit_code")[0], "args": ["1"], "max_restarts": 1000000, "restart_delay": 1000}
                for i in range(200)]
        self.home.start_apps(apps, expect=1)
        median, share = self.watch(10)
        self.assertLess(median, 500 * SLOW, "ms for an answer")
        self.assertLess(share, 0.6 * SLOW, "share of a core")


class Many(PmTest):
    limit = 180

    def test_500_processes(self):
        self.home.start("a", child("silent"), "-i", "500", timeout=120)
        records = self.home.jlist()
        self.assertEqual([p["pm_id"] for p in records], list(range(500)))
        self.assertTrue(all(p["pm2_env"]["status"] == "online" for p in records))
        pids = [p["pid"] for p in records]
        self.home.replace_engine()
        self.assertEqual([p["pid"] for p in self.home.jlist()], pids)
        self.home.ok("delete", "all", timeout=120)
        self.assertEqual(self.home.app_pids(), [])

    def test_nothing_leaks_over_many_runs(self):
        """Descriptors of keeper and engine after 300 runs are those of before."""
        import os
        self.home.start("a", child("silent"), "-i", "3")
        def count():
            return [open_files(p) for p in (self.home.keeper_pid(), self.home.engine_pid())]
        self.home.ok("restart", "all")
        before = count()
        with self.home.client() as c:
            for _ in range(100):
                c.call("process.restart", {"selectors": ["all"]})
        wait_until(lambda: all(now <= was + 1 for now, was in zip(count(), before)), 30,
                   lambda: "descriptors %s, before %s" % (count(), before), step=0.2)

    def test_a_big_config(self):
        """More than one request's worth of apps and environment."""
        apps = [{"name": "big%02d" % i, "script": child("silent")[0], "env": {"V%d" % j: "x" * 1000 for j in range(60)}} for i in range(40)]
        self.home.start_apps(apps)
        self.assertEqual(len(self.home.jlist()), 40)

    def test_a_big_environment(self):
        self.home.start("a", child("silent"), env={"BIG%d" % i: "y" * 100000 for i in range(8)})
        self.assertEqual(self.home.status("a"), "online")


if __name__ == "__main__":
    main()
