"""kill -9 of the engine: no app notices, nothing is forgotten."""

import os
import signal
import time

from harness import PmTest, SLOW, alive, child, is_zombie, main, start_ticks, wait_until


def identity(records):
    return [(p["pm_id"], p["name"], p["pid"], p["pm2_env"]["restart_time"], p["pm2_env"]["unstable_restarts"],
             p["pm2_env"]["pm_uptime"], p["pm2_env"]["created_at"], p["pm2_env"]["status"], p["pm2_env"]["NODE_APP_INSTANCE"])
            for p in records]


class EngineKill(PmTest):
    limit = 90

    def stop_the_world(self):
        """Keeper stopped and engine dead; nothing is reaped until go_on()."""
        engine, keeper = self.home.engine_pid(), self.home.keeper_pid()
        self.home.engine_may_die = True
        os.kill(keeper, signal.SIGSTOP)
        os.kill(engine, signal.SIGKILL)
        wait_until(lambda: not alive(engine), what="no engine")
        return engine

    def go_on(self, old):
        os.kill(self.home.keeper_pid(), signal.SIGCONT)
        return self.home.wait_new_engine(old)

    def test_under_50_apps(self):
        self.home.start_apps([{"name": "many", "script": child("silent")[0], "instances": 46},
                              {"name": "stopped", "script": child("silent")[0]},
                              {"name": "crashed", "script": child("silent")[0]},
                              {"name": "bash", "script": self.home.file("w.sh", "while :; do sleep 1; done")},
                              {"name": "done", "script": child("exit_code")[0], "autorestart": False}], expect=None)
        self.home.ok("stop", "stopped")
        os.kill(self.home.pid("crashed"), signal.SIGKILL)
        self.home.wait_restarts("crashed", 1)
        self.home.ok("restart", "bash")
        before = self.home.jlist()
        ticks = {p["pid"]: start_ticks(p["pid"]) for p in before if p["pid"]}
        keeper = self.home.keeper_pid()
        for _ in range(3):
            killed = time.monotonic()
            self.home.replace_engine()
            took = time.monotonic() - killed
            self.assertLess(took, 5 * SLOW, "the CLI answers again")
            after = self.home.jlist()
            self.assertEqual(identity(after), identity(before))
            self.assertEqual({p["pid"]: start_ticks(p["pid"]) for p in after if p["pid"]}, ticks)
            wait_until(self.home.one_daemon, what="one keeper and one engine")
            self.assertEqual(self.home.keeper_pid(), keeper)
        self.home.ok("restart", "all", timeout=80)
        self.assertTrue(all(p["pm2_env"]["status"] == "online" for p in self.home.jlist() if p["name"] != "done"))

    def test_what_died_in_between_has_its_true_end(self):
        script = self.home.file("code.sh", "trap 'echo my last line >&2; exit 7' USR1\necho up\nwhile :; do sleep 0.02; done\n")
        self.home.start_apps([{"name": "code", "script": script, "autorestart": False},
                              {"name": "sig", "script": child("silent")[0], "autorestart": False},
                              {"name": "again", "script": child("silent")[0]}])
        self.home.wait_log("code", "up")
        pids = {name: self.home.pid(name) for name in ("code", "sig", "again")}
        old = self.stop_the_world()
        os.kill(pids["code"], signal.SIGUSR1)
        os.kill(pids["sig"], signal.SIGSEGV)
        os.kill(pids["again"], signal.SIGTERM)
        wait_until(lambda: all(is_zombie(p) for p in pids.values()), what="all three have ended")
        self.go_on(old)
        run = self.home.why("code")["runs"][0]
        self.assertEqual((run["pid"], run["reason"], run["exit_code"]), (pids["code"], "exit", 7))
        self.assertIn("my last line", run["stderr"])
        run = self.home.why("sig")["runs"][0]
        self.assertEqual(run["reason"], "signal")
        self.assertIn(run["signal"], (int(signal.SIGSEGV), "SIGSEGV"))
        self.assertEqual(self.home.status("code"), "stopped")
        self.home.wait_status("again", "online")
        self.assertEqual(self.home.restarts("again"), 1)
        self.assertEqual(self.home.app_log("code", "error"), "my last line\n")

    def test_a_restart_that_waits_goes_on_waiting(self):
        self.home.start_apps([{"name": "a", "script": child("crash_after")[0], "args": ["300", "code", "1"], "restart_delay": 4000}])
        self.home.wait_status("a", "waiting restart")
        self.home.replace_engine()
        self.assertEqual(self.home.status("a"), "waiting restart")
        runs = self.home.two_runs("a")
        self.assertGreaterEqual(runs[0]["started_at"] - runs[1]["ended_at"], 3900)

    def test_a_stop_goes_on(self):
        self.home.start_apps([{"name": "a", "script": child("stubborn")[0], "kill_timeout": 3000}])
        pid = self.home.pid("a")
        command = self.home.popen("stop", "a")
        wait_until(lambda: self.home.status("a") == "stopping", what="stopping")
        self.home.replace_engine()
        self.assertIn(self.home.status("a"), ("stopping", "stopped"))
        self.home.wait_status("a", "stopped")
        self.assertFalse(alive(pid))
        self.home.finish(command)

    def test_counters_survive(self):
        self.home.start_apps([{"name": "a", "script": child("crash_after")[0], "args": ["200", "code", "1"], "max_restarts": 6,
                               "restart_delay": 300}])
        self.home.wait_restarts("a", 2)
        self.home.replace_engine()
        self.home.wait_status("a", "errored", 40)
        self.assertEqual(len(self.home.why("a", runs=100)["runs"]), 6)
        self.assertEqual(self.home.restarts("a"), 5)

    def test_a_readiness_wait_goes_on(self):
        path = self.home.config([{"name": "a", "script": child("ready_notify")[0], "args": ["3000"], "wait_ready": True, "listen_timeout": 60000}])
        command = self.home.popen("start", path)
        wait_until(lambda: [p for p in self.home.jlist() if p["pm2_env"]["status"] == "launching" and p["pid"]], what="launching")
        pid = self.home.pid("a")
        self.home.replace_engine()
        self.home.wait_status("a", "online")
        self.assertEqual(self.home.pid("a"), pid)
        self.home.finish(command)

    def test_what_list_has_shown_survives(self):
        """A start that is not stored yet goes on; so does a new process of an app that is."""
        self.home.start("first", child("silent"))
        for i in range(10):
            name = "a%d" % i
            command = self.home.popen("start", child("silent")[0], "--name", name)
            with self.home.client() as c:
                pid = wait_until(lambda: [p["pid"] for p in c.call("list") if p["name"] == name and p["pid"]],
                                 what="it is listed", step=0.001)[0]
            ticks = start_ticks(pid)
            self.home.replace_engine()
            self.home.finish(command)
            self.assertEqual((self.home.pid(name), start_ticks(pid)), (pid, ticks))
            self.assertEqual(self.home.status(name), "online")
            self.assertEqual(self.home.restarts(name), 0)
        self.home.ok("restart", "all")
        self.home.replace_engine()
        self.assertEqual(len(self.home.jlist()), 11)
        self.assertEqual(sorted(self.home.app_pids()), sorted(p["pid"] for p in self.home.jlist()))

    def test_a_new_instance_survives(self):
        self.home.start("a", child("silent"))
        for n in range(2, 5):
            command = self.home.popen("scale", "a", str(n))
            with self.home.client() as c:
                def new():
                    pids = [p["pid"] for p in c.call("list") if p["pid"]]
                    return pids if len(pids) == n else None
                pids = wait_until(new, what="the instance is listed", step=0.001)
            self.home.replace_engine()
            self.home.finish(command)
            self.assertEqual([p["pid"] for p in self.home.procs("a")], pids)

    def test_what_was_deleted_at_once_stays_away(self):
        """Deleted in the moment of its start: confirmed or under way, it does not come back."""
        self.home.start("first", child("silent"))
        self.home.ok("delete", "first")
        for i, confirmed in enumerate((True, False) * 3):
            name = "a%d" % i
            command = self.home.popen("start", child("silent")[0], "--name", name)
            with self.home.client() as c:
                found = wait_until(lambda: [p for p in c.call("list") if p["name"] == name and p["pid"]],
                                   what="it is listed", step=0.001)[0]
            deletion = self.home.popen("delete", name)
            if confirmed:
                self.assertEqual(self.home.finish(deletion).code, 0)
            else:
                with self.home.client() as c:
                    wait_until(lambda: not [p for p in c.call("list") if p["name"] == name and p["status"] in ("launching", "online")],
                               what="its end begins", step=0.001)
            self.home.replace_engine()
            self.home.finish(command)
            if confirmed:
                self.assertEqual(self.home.jlist(), [])
            else:
                self.home.finish(deletion)
                wait_until(lambda: not self.home.jlist(), what="the deletion ends")
            self.assertFalse(alive(found["pid"]))
            self.assertEqual(self.home.app_pids(), [])
        self.home.replace_engine()
        self.assertEqual(self.home.jlist(), [])

    def test_stdin_and_logs_still_work(self):
        self.home.start("e", child("echo_stdin"))
        for i in range(4):
            self.home.replace_engine()
            self.home.ok("send", "e", "turn %d" % i)
            self.home.wait_log("e", "got: turn %d" % i)
        self.assertNotIn("end of input", self.home.app_log("e"))

    def test_commands_under_way_end(self):
        """A command whose engine dies ends, done or failed; it does not hang."""
        self.home.start("a", child("silent"), "-i", "5")
        for i in range(6):
            command = self.home.popen(("restart", "stop", "jlist")[i % 3], *(["all"] if i % 3 != 2 else []))
            old = self.home.kill_engine()
            self.assertIn(self.home.finish(command, 40).code, (0, 1))
            self.home.wait_new_engine(old)
        self.home.ok("restart", "all")
        self.assertEqual(sorted(self.home.app_pids()), sorted(p["pid"] for p in self.home.jlist()))

    def test_killed_at_every_moment_of_a_start(self):
        """Whenever the engine dies during a start, no child is doubled or lost sight of."""
        path = self.home.config([{"name": "a", "script": child("silent")[0], "instances": 10}])
        self.home.start("first", child("silent"))
        for delay in (0, 0.005, 0.01, 0.02, 0.04, 0.08):
            command = self.home.popen("start", path)
            time.sleep(delay)
            old = self.home.kill_engine()
            self.home.finish(command, 40)
            self.home.wait_new_engine(old)
            def agreed():
                listed = [p["pid"] for p in self.home.jlist() if p["pid"]]
                return sorted(listed) == sorted(self.home.app_pids())
            wait_until(agreed, what=lambda: "list %s = running %s" % ([p["pid"] for p in self.home.jlist()], self.home.app_pids()))
            if self.home.procs("a"):
                self.home.ok("delete", "a")
        self.assertEqual(len(self.home.app_pids()), 1)

    def test_repeated_at_once(self):
        """The backoff between engines that die young is short at first, and ends."""
        self.home.start("a", child("silent"))
        pid = self.home.pid("a")
        for _ in range(5):
            old = self.home.kill_engine()
            wait_until(lambda: self.home.engine_pid() not in (None, old), what="the next engine")
        self.home.client_when_ready().close()
        self.assertEqual(self.home.pid("a"), pid)


class HungEngine(PmTest):
    def test_sigstop_of_the_engine(self):
        self.home.env["PM_HEARTBEAT_LIMIT"] = str(int(1500 * SLOW))
        self.home.engine_may_die = True
        self.home.start("a", child("silent"), "-i", "3")
        before = identity(self.home.jlist())
        old = self.home.engine_pid()
        os.kill(old, signal.SIGSTOP)
        self.home.wait_new_engine(old, 30)
        self.assertEqual(identity(self.home.jlist()), before)
        self.assertFalse(alive(old))
        wait_until(self.home.one_daemon, what="one keeper and one engine")


if __name__ == "__main__":
    main()
