"""Under load: another pmd is installed, servers with LISTEN_FDS lose daemon and workers, and stopped workers are replaced."""

import os
import shutil
import signal

from harness import BIN, alive, main, scaled, send_signal, wait_until
from load_client import Load
from test_cluster_load import LoadTest

TIMES = scaled(5, 2)


class Survivors(LoadTest):
    """No request fails, neither meanwhile nor in a reload afterwards, for which the engine must know all that it knew."""

    def setUp(self):
        super().setUp()
        self.home.engine_may_die = True

    def survives(self, app, disturb):
        self.up(app)
        old, loads = self.pids(), self.loads()
        for _ in range(TIMES):
            disturb()
            for load in loads:
                load.wait_more()
        self.assertEqual(self.pids(), old)
        self.write("v1")
        self.home.ok("reload", "web")
        self.assertFalse(set(old) & set(self.pids()))
        self.assertTrue(self.get().endswith(" v1"))
        for load in loads:
            load.wait_more()
        for load in loads:
            load.none_failed()


class EngineDies(Survivors):
    def test_shared(self):
        self.survives(self.node_app(2), self.home.replace_engine)

    def test_slots(self):
        self.survives(self.node_app(2, cluster_schedule="slots"), self.home.replace_engine)

    def test_python(self):
        self.survives(self.python_app(2), self.home.replace_engine)


class Update(Survivors):
    """To a pmd that is another file each time."""

    def setUp(self):
        super().setUp()
        self.home.bin_dir = os.path.join(self.home.tmp, "bin")
        os.mkdir(self.home.bin_dir)
        for name in ("pm", "pmd"):
            shutil.copy(os.path.join(BIN, name), self.home.bin_dir)
        # Without graceful_http.js, which is found beside the program, a reload closes connections of keep-alive clients.
        shutil.copytree(os.path.join(os.path.dirname(BIN), "lib"), os.path.join(self.home.tmp, "lib"))

    def update(self):
        path, engine = os.path.join(self.home.bin_dir, "pmd"), self.home.engine_pid()
        shutil.copy(path, path + ".new")
        os.rename(path + ".new", path)
        self.home.ok("update")
        self.assertNotEqual(self.home.engine_pid(), engine)

    def test_node(self):
        self.survives(self.node_app(2), self.update)

    def test_python(self):
        self.survives(self.python_app(2), self.update)


class Workers(LoadTest):
    def test_all_killed_python(self):
        self.up(self.python_app(2, restart_delay=500))
        old = self.pids()
        for pid in old:
            os.kill(pid, signal.SIGKILL)
        wait_until(lambda: not any(map(alive, old)), what="the workers are dead")
        load = Load(self, self.port, connections=20)
        load.wait_more(200)
        self.assertFalse(set(self.pids()) & set(old))
        self.assertGreater(load.none_failed()["max_ms"], 50)  # the first ones have waited

    def stop_one(self):
        frozen = self.pids()[0]
        os.kill(frozen, signal.SIGSTOP)
        self.addCleanup(send_signal, frozen, signal.SIGCONT)
        return frozen

    def test_one_stopped_python(self):
        self.up(self.python_app(2))
        frozen = self.stop_one()
        load = Load(self, self.port, connections=10, timeout_ms=60000)
        load.wait_more(300)
        os.kill(frozen, signal.SIGCONT)
        load.wait_more()
        load.none_failed()

    def test_a_reload_replaces_a_stopped_one(self):
        for schedule in ("shared", "round_robin"):
            with self.subTest(schedule):
                self.write("v0")
                self.up(self.node_app(2, kill_timeout=500, cluster_schedule=schedule))
                frozen = self.stop_one()
                load = Load(self, self.port, connections=10, rate=100).wait_more()
                self.write("v1")
                self.home.ok("reload", "web")
                self.assertFalse(alive(frozen))
                load.wait_more()
                self.assertTrue(self.get().endswith(" v1"))
                # With round robin a connection or two may be on their way to it; they are lost with it.
                failures = load.finish()["failures"]
                self.assertEqual({k: v for k, v in failures.items() if v and k not in ("reset", "eof")}, {})
                self.assertLessEqual(failures["reset"] + failures["eof"], 0 if schedule == "shared" else 2)
                self.home.ok("delete", "web")


if __name__ == "__main__":
    main()
