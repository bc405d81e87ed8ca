"""What happens to the daemon and to single workers is not seen by those who send requests."""

import os
import signal

from harness import alive, main, scaled, wait_until
from webload import Load, LoadCase, Updatable

TIMES = scaled(5, 2)


class Daemon(Updatable):
    """The workers stay, and no request fails, whatever happens to the engine."""

    limit = 90

    def under_load(self, app, disturb):
        self.start(app)
        before = self.pids()
        loads = self.loads(rate=400)
        for i in range(TIMES):
            disturb()
            for load in loads:
                load.wait_more()
        self.assertEqual(self.pids(), before)
        # And all is as it was: what was there before the last engine can be replaced.
        self.version("v1")
        self.home.ok("reload", "web")
        for load in loads:
            load.wait_more()
        for counts in self.assertNoneLost(loads):
            self.assertIn("v1", counts["words"])
        self.assertFalse(set(before) & set(self.pids()))

    def update(self):
        engine = self.home.engine_pid()
        self.install()
        self.home.ok("update")
        self.assertNotEqual(self.home.engine_pid(), engine)

    def test_update_with_node(self):
        self.under_load(self.node(2), self.update)

    def test_update_with_python(self):
        self.under_load(self.python(2), self.update)

    def test_engine_killed_with_node(self):
        self.under_load(self.node(2), self.home.replace_engine)

    def test_engine_killed_with_slots(self):
        self.under_load(self.node(2, cluster_schedule="slots"), self.home.replace_engine)

    def test_engine_killed_with_python(self):
        self.under_load(self.python(2), self.home.replace_engine)


class AllWorkersKilled(LoadCase):
    """The daemon holds the socket: who connects meanwhile waits."""

    def killed(self, app):
        self.start(dict(app, restart_delay=700))
        before = self.pids()
        running = Load(self, self.port, "close", rate=300).wait_flowing()
        for pid in before:
            os.kill(pid, signal.SIGKILL)
        wait_until(lambda: not any(map(alive, before)), what="all workers are dead")
        late = Load(self, self.port, "close", connections=20).wait_flowing()
        self.assertFalse(set(before) & set(self.pids()))
        late.wait_more()
        counts = late.assertNoneLost()
        self.assertGreater(counts["latency_us"]["max"], 100000, "nobody had to wait")
        # Those that were being served were lost with their workers, and no others.
        counts = running.end()
        self.assertEqual(counts["failed"], counts["failures"]["reset"] + counts["failures"]["eof"], counts)
        self.assertLessEqual(counts["failed"], 8, counts)
        self.assertEqual({p["pm2_env"]["status"] for p in self.home.procs("web")}, {"online"})

    def test_node(self):
        self.killed(self.node(2))

    def test_node_slots(self):
        self.killed(self.node(2, cluster_schedule="slots"))

    def test_python(self):
        self.killed(self.python(2))


class StoppedWorker(LoadCase):
    """A worker that is stopped answers nothing; the others go on, and it can be replaced."""

    def stopped(self, app):
        self.start(app)
        frozen, *others = self.pids()
        os.kill(frozen, signal.SIGSTOP)
        self.addCleanup(lambda: alive(frozen) and os.kill(frozen, signal.SIGCONT))
        load = Load(self, self.port, "close", connections=8).wait_flowing()
        load.wait_more(500)
        self.assertEqual(self.pids(), [frozen, *others])
        self.assertEqual({p["pm2_env"]["status"] for p in self.home.procs("web")}, {"online"})
        os.kill(frozen, signal.SIGCONT)
        load.wait_more(100)
        load.assertNoneLost()

    def test_shared(self):
        self.stopped(self.node(2))

    def test_round_robin(self):
        self.stopped(self.node(2, cluster_schedule="round_robin"))

    def test_python(self):
        self.stopped(self.python(2))

    def test_a_reload_replaces_it(self):
        self.start(self.node(2, kill_timeout=500))
        frozen = self.pids()[0]
        load = Load(self, self.port, "close", connections=4, rate=200).wait_flowing()
        os.kill(frozen, signal.SIGSTOP)
        load.wait_more(20)
        self.version("v1")
        self.home.ok("reload", "web")
        self.assertFalse(alive(frozen))
        load.wait_more(20)
        counts = load.end()
        self.assertIn("v1", counts["words"])
        # What the stopped one was in the middle of is lost with it.
        self.assertLessEqual(counts["failed"], 4, counts)
        self.assertEqual(counts["failures"]["refused"], 0, counts)


if __name__ == "__main__":
    main()
