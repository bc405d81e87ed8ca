"""Reloads, bad versions, kills and updates under load: no request may fail."""

import os
import shutil
import signal
import socket
import sys
import time
import unittest
import urllib.request

from harness import PmTest, SLOW, alive, free_port, main, scaled, send_signal, wait_until
from load_client import Load, both

APPS = os.path.join(os.path.dirname(os.path.abspath(__file__)), "apps")
RELOADS = scaled(20, 3)
# Requests a second of each client: the programs that are started need the processors too. 0 = as fast as they can.
RATE = float(os.environ.get("PM_TEST_RATE", "150" if SLOW == 1 else "40"))


class LoadTest(PmTest):
    """The servers of apps/, in the work folder, so that there can be a new version of each."""

    limit = 120

    def setUp(self):
        super().setUp()
        for name in os.listdir(APPS):
            if os.path.isfile(os.path.join(APPS, name)):
                shutil.copy(os.path.join(APPS, name), self.home.work)
        self.port = free_port()
        self.write("v0")

    def write(self, version, mode="good"):
        self.home.file("version", version)
        self.home.file("mode", mode)

    def node_app(self, workers, **keys):
        return {"name": "web", "script": "cluster.js", "exec_mode": "cluster", "instances": workers,
                "env": {"PORT": str(self.port), "OTHER_PORT": str(free_port())}, **keys}

    def python_app(self, workers, **keys):
        return {"name": "web", "script": "threaded.py", "interpreter": sys.executable, "instances": workers,
                "listen": "127.0.0.1:%d" % self.port, "wait_ready": True, "kill_timeout": 8000, **keys}

    def gunicorn_app(self, workers):
        """Of two workers each is a process of pm's; four are one process of pm's, as gunicorn has workers of its own."""
        each = 1 if workers == 2 else workers
        return {"name": "web", "script": shutil.which("gunicorn", path="/usr/bin:" + os.environ["PATH"]), "interpreter": "none",
                "args": ["--workers", str(each), "wsgi:app"], "cwd": self.home.work, "instances": workers // each,
                "listen": "127.0.0.1:%d" % self.port, "stop_signal": "SIGTERM", "wait_ready": True, "kill_timeout": 8000}

    def up(self, app):
        self.home.start_apps([app])
        wait_until(lambda: self.get().endswith("v0"), 30, "the app answers")

    def get(self, timeout=20):
        """One request: "PID VERSION", or "" when it fails."""
        try:
            with urllib.request.urlopen("http://127.0.0.1:%d/" % self.port, timeout=timeout * SLOW) as answer:
                return answer.read().decode().strip()
        except OSError:
            return ""

    def pids(self):
        return sorted(p["pid"] for p in self.home.procs("web"))

    def all_online(self):
        return all(p["pm2_env"]["status"] == "online" for p in self.home.procs("web"))

    def loads(self, **kw):
        return both(self, self.port, rate=RATE, **kw)


class Reloads(LoadTest):
    limit = 240

    def reload_under_load(self, app, rate=RATE):
        self.up(app)
        loads = both(self, self.port, rate=rate)
        for i in range(1, RELOADS + 1):
            self.write("v%d" % i)
            old = self.pids()
            self.home.ok("reload", "web", timeout=60)
            self.assertFalse(set(old) & set(self.pids()), "reload %d left processes" % i)
            self.assertTrue(self.get().endswith(" v%d" % i), "after reload %d an old one answers" % i)
        for load in loads:
            load.wait_more()
        for load in loads:
            result = load.none_failed()
            self.assertTrue(any(b.endswith(" v%d" % RELOADS) for b in result["bodies"]), result["bodies"])
        self.assertEqual({p["pm2_env"]["restart_time"] for p in self.home.procs("web")}, {RELOADS})

    def test_node_2(self):
        self.reload_under_load(self.node_app(2))

    def test_node_4(self):
        self.reload_under_load(self.node_app(4))

    def test_node_round_robin(self):
        self.reload_under_load(self.node_app(2, cluster_schedule="round_robin"))

    def test_node_slots(self):
        self.reload_under_load(self.node_app(2, cluster_schedule="slots"))

    def test_node_as_fast_as_they_can(self):
        self.reload_under_load(self.node_app(2), rate=0)

    def test_python_2(self):
        self.reload_under_load(self.python_app(2))

    def test_python_4(self):
        self.reload_under_load(self.python_app(4))

    @unittest.skipUnless(shutil.which("gunicorn", path="/usr/bin:" + os.environ["PATH"]), "gunicorn is not installed")
    def test_gunicorn_2(self):
        self.reload_under_load(self.gunicorn_app(2))

    @unittest.skipUnless(shutil.which("gunicorn", path="/usr/bin:" + os.environ["PATH"]), "gunicorn is not installed")
    def test_gunicorn_4(self):
        self.reload_under_load(self.gunicorn_app(4))


class Changes(LoadTest):
    """Other ways to come to new processes, which must not be noticed either."""

    def end_well(self, loads):
        for load in loads:
            load.wait_more()
        for load in loads:
            load.none_failed()

    def test_scale(self):
        self.up(self.node_app(1))
        loads = self.loads()
        for n in ("4", "-2", "+1", "1", "3", "1"):
            self.home.ok("scale", "web", n)
        self.assertEqual(len(self.home.app_pids()), 1)
        self.end_well(loads)

    def test_changed_config(self):
        """startOrReload with another environment and another number of instances."""
        app = self.node_app(2)
        self.up(app)
        loads = self.loads()
        for n in (3, 1, 2):
            self.write("v%d" % n)
            self.home.ok("startOrReload", self.home.config([dict(app, instances=n, env=dict(app["env"], NUMBER=str(n)))]))
            self.assertEqual(len(self.pids()), n)
            self.assertEqual({p["pm2_env"]["env"]["NUMBER"] for p in self.home.procs("web")}, {str(n)})
            self.assertTrue(self.get().endswith(" v%d" % n))
        self.end_well(loads)

    @staticmethod
    def connects(path):
        with socket.socket(socket.AF_UNIX) as s:
            return s.connect_ex(path) == 0

    def test_unix_socket(self):
        path = os.path.join(self.home.work, "web.sock")
        self.home.start_apps([self.node_app(2, env={"SOCKET": path})])
        wait_until(lambda: self.connects(path), 30, "somebody listens")
        loads = both(self, "unix:" + path, rate=RATE)
        for _ in range(5):
            self.home.ok("reload", "web")
        self.end_well(loads)

    def test_several_at_once(self):
        """Reloads at the same time: some are refused, one at least is done, and none does harm."""
        self.up(self.node_app(2))
        loads = self.loads()
        for _ in range(4):
            commands = [self.home.popen("reload", "web", "--force") for _ in range(3)]
            results = [self.home.finish(c) for c in commands]
            self.assertIn(0, [r.code for r in results], results)
        self.end_well(loads)


class BadVersions(LoadTest):
    """The old workers serve on, the command exits with 1 and says why."""

    def bad(self, mode, *words, may_serve=False, app=None, **keys):
        self.up((app or self.node_app)(2, listen_timeout=1000, **keys))
        old, loads = self.pids(), self.loads()
        self.write("v1", mode)
        result = self.home.fails(1, "reload", "web", timeout=60)
        for word in words:
            self.assertIn(word, result.out + result.err)
        for load in loads:
            load.wait_more()
        self.assertEqual(self.pids(), old)
        for load in loads:
            bodies = load.none_failed()["bodies"]
            self.assertLessEqual({b.split()[1] for b in bodies}, {"v0", "v1"} if may_serve else {"v0"})
        self.assertEqual(len(self.home.app_pids()), 2, "the new one is gone")
        self.write("v2")
        self.home.ok("reload", "web", timeout=60)
        self.assertTrue(self.get().endswith(" v2"))

    def test_throws(self):
        self.bad("throw", "cannot find the new library")

    def test_never_listens(self):
        self.bad("silent", "was not listening within 1 s")

    def test_listens_elsewhere(self):
        self.bad("port", "did not listen where the old one does within 1 s")

    def test_never_ready(self):
        self.bad("unready", "was not ready within 1 s", wait_ready=True, may_serve=True)  # it listens, and so gets connections, until it is given up

    def test_round_robin_listens_elsewhere(self):
        self.bad("port", "did not listen where the old one does within 1 s", cluster_schedule="round_robin")

    def test_python_throws(self):
        self.bad("throw", "cannot find the new library", app=self.python_app)

    def test_python_never_ready(self):
        self.bad("unready", "was not ready within 1 s", app=self.python_app, may_serve=True)


class Survival(LoadTest):
    def test_engine_dies(self):
        """Killed five times, updated five times, while an app of each schedule is loaded."""
        self.home.engine_may_die = True
        apps, loads = [], []
        for schedule in ("shared", "round_robin", "slots"):
            apps.append(self.node_app(2, name=schedule, cluster_schedule=schedule, env={"PORT": str(free_port())}))
        self.home.start_apps(apps)
        for app in apps:
            self.port = int(app["env"]["PORT"])
            wait_until(self.get, 30, "%s answers" % app["name"])
            loads += both(self, self.port, rate=RATE / 2)
        old = self.home.app_pids()
        for disturb in [self.home.replace_engine, lambda: self.home.ok("update")] * 5:
            disturb()
            for load in loads:
                load.wait_more(10)
        self.assertEqual(sorted(self.home.app_pids()), sorted(old))
        for load in loads:
            load.none_failed()
        self.home.ok("reload", "all")  # the channels are whole
        self.assertFalse(set(old) & set(self.home.app_pids()))

    def test_engine_dies_in_reloads(self):
        """Whatever the reload's fate: no request fails, and both slots are served in the end."""
        self.home.engine_may_die = True
        self.up(self.node_app(2))
        loads = self.loads()
        for i in range(5):
            command = self.home.popen("reload", "web")
            time.sleep(0.05 + 0.06 * i)  # somewhere within the reload: any moment must do
            self.home.replace_engine()
            self.home.finish(command)
            wait_until(lambda: self.all_online() and len(self.home.app_pids()) == 2, 30, "two workers are online")
        for load in loads:
            load.wait_more().none_failed()

    def test_keeper_dies(self):
        """The engine has the sockets too, and gives them to the next keeper."""
        self.home.engine_may_die = True
        self.up(self.node_app(2))
        old, loads = self.pids(), self.loads()
        for _ in range(2):
            keeper = self.home.keeper_pid()
            os.kill(keeper, signal.SIGKILL)
            wait_until(lambda: self.home.keeper_pid() not in (None, keeper) and self.home.one_daemon(), 30, "a new keeper")
            for load in loads:
                load.wait_more()
        self.home.client_when_ready().close()
        self.assertEqual(self.pids(), old)
        self.home.ok("reload", "web")
        self.assertFalse(set(old) & set(self.pids()))
        for load in loads:
            load.wait_more().none_failed()

    def test_all_workers_killed(self):
        """For the half second without a worker, connections wait in the daemon's socket."""
        for schedule in ("shared", "round_robin", "slots"):
            with self.subTest(schedule):
                self.port = free_port()
                self.up(self.node_app(2, cluster_schedule=schedule, restart_delay=500))
                old = self.pids()
                for pid in old:
                    os.kill(pid, signal.SIGKILL)
                wait_until(lambda: not any(alive(p) for p in old), what="the workers are dead")
                load = Load(self, self.port, connections=20)
                load.wait_more(200)
                self.assertFalse(set(self.pids()) & set(old))
                self.assertGreater(load.none_failed()["max_ms"], 50)  # the first ones have waited
                self.home.ok("delete", "web")

    def test_killed_again_and_again(self):
        """What a worker had accepted dies with it; nothing is refused, and nobody waits for ever."""
        self.up(self.node_app(2))
        loads = self.loads()
        for _ in range(5):
            old = self.pids()
            for pid in old:
                send_signal(pid, signal.SIGKILL)
            wait_until(lambda: not set(self.pids()) & set(old) and self.all_online(), 30, "new workers are online")
            for load in loads:
                load.wait_more()
        for load in loads:
            failures = load.finish()["failures"]
            self.assertEqual({k: v for k, v in failures.items() if v and k not in ("reset", "eof")}, {})

    def test_stopped_worker(self):
        """A worker that does nothing holds what it has, and not more; the other one serves."""
        for schedule in ("shared", "round_robin"):
            with self.subTest(schedule):
                self.port = free_port()
                self.up(self.node_app(2, cluster_schedule=schedule))
                stopped = self.pids()[0]
                os.kill(stopped, signal.SIGSTOP)
                self.addCleanup(send_signal, stopped, signal.SIGCONT)
                load = Load(self, self.port, connections=10, timeout_ms=60000)
                load.wait_more(300)
                self.assertLessEqual(sum(1 for b in load.now()["bodies"] if b.startswith("%d " % stopped)), 0)
                os.kill(stopped, signal.SIGCONT)
                load.wait_more()
                load.none_failed()
                self.home.ok("delete", "web")


if __name__ == "__main__":
    main()
