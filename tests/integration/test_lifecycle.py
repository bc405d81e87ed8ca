"""Restart rules, readiness, stopping, and what a run's end is recorded as."""

import os
import signal
import time

from harness import PmTest, SLOW, alive, child, main, read_file, send_signal, wait_until

NODE_READY = """
setTimeout(() => process.send('ready'), +process.argv[2]);
setInterval(() => {}, 1000);
"""
NODE_MESSAGE = """
process.on('message', m => { console.log('message', JSON.stringify(m)); if (m === 'shutdown') process.exit(0); });
process.on('SIGINT', () => console.log('got SIGINT'));
console.log('connected', process.connected);
setInterval(() => {}, 1000);
"""


class Reasons(PmTest):
    def test_five_different_reasons(self):
        exec_failure = self.home.file("garbage", b"\x7fELF garbage", 0o755)
        apps = [("exit0", child("exit_code", 0)), ("exit7", child("exit_code", 7)), ("killed", child("silent")),
                ("segv", child("crash_after", 0, "signal", int(signal.SIGSEGV))), ("noexec", [exec_failure])]
        self.home.start_apps([{"name": n, "script": c[0], "args": c[1:], "interpreter": "none", "autorestart": False} for n, c in apps],
                             expect=1)
        os.kill(self.home.pid("killed"), signal.SIGKILL)
        ends = {}
        for name, _ in apps:
            wait_until(lambda: self.home.status(name) in ("stopped", "errored"), what=name + " ended")
            run = self.home.why(name)["runs"][0]
            ends[name] = (run["reason"], run.get("exit_code"), run.get("signal"))
        self.assertEqual(ends["exit0"][:2], ("exit", 0))
        self.assertEqual(ends["exit7"][:2], ("exit", 7))
        self.assertEqual(ends["killed"][0], "signal")
        self.assertIn(ends["killed"][2], (9, "SIGKILL"))
        self.assertEqual(ends["segv"][0], "signal")
        self.assertIn(ends["segv"][2], (11, "SIGSEGV"))
        self.assertEqual(ends["noexec"][0], "exec-failed")
        self.assertEqual(len(set(ends.values())), 5)
        words = {name: self.home.ok("why", name).out for name, _ in apps}
        self.assertIn("SIGKILL", words["killed"])
        self.assertIn("SIGSEGV", words["segv"])
        self.assertIn("xec", words["noexec"])


class Restarts(PmTest):
    def test_sixteen_quick_exits(self):
        self.home.pm("start", child("exit_code")[0], "--name", "a", "--", "1")
        record = self.home.wait_status("a", "errored", 40)
        self.assertEqual(record["pm2_env"]["restart_time"], 15)
        self.assertEqual(len(self.home.why("a", runs=100)["runs"]), 16)

    def test_budget_works_at_any_time_of_life(self):
        """Healthy first, for longer than min_uptime x max_restarts; then a crash loop."""
        marker = os.path.join(self.home.work, "broken")
        self.home.start_apps([{"name": "a", "script": "/bin/sh", "interpreter": "none", "min_uptime": 200, "max_restarts": 4,
                               "args": ["-c", "[ -e %s ] && exit 1; exec sleep 1000" % marker]}])
        first = self.home.proc("a")
        wait_until(lambda: time.time() * 1000 - first["pm2_env"]["pm_uptime"] > 1500, what="the app is old")
        self.home.file("broken", "")
        os.kill(first["pid"], signal.SIGKILL)
        record = self.home.wait_status("a", "errored", 40)
        # The healthy run and four unstable ones.
        self.assertEqual(len(self.home.why("a", runs=100)["runs"]), 5)
        self.assertEqual(record["pm2_env"]["restart_time"], 4)

    def test_a_stable_run_resets_the_budget(self):
        self.home.start_apps([{"name": "a", "script": child("crash_after")[0], "args": ["400", "code", "1"], "min_uptime": 150,
                               "max_restarts": 2}], expect=None)
        self.home.wait_restarts("a", 5)
        self.assertNotEqual(self.home.status("a"), "errored")

    def test_max_restarts(self):
        self.home.start_apps([{"name": "a", "script": child("exit_code")[0], "args": ["1"], "max_restarts": 3}], expect=1)
        self.home.wait_status("a", "errored")
        self.assertEqual(len(self.home.why("a", runs=100)["runs"]), 3)

    def test_an_errored_app_can_be_started_again(self):
        self.home.start_apps([{"name": "a", "script": child("exit_code")[0], "args": ["1"], "max_restarts": 2}], expect=1)
        self.home.wait_status("a", "errored")
        self.home.fails(1, "restart", "a")
        self.home.wait_status("a", "errored")
        self.assertEqual(len(self.home.why("a", runs=100)["runs"]), 4)

    def test_exit_0_restarts_too(self):
        self.home.start("a", child("crash_after", 300, "code", 0))
        self.home.wait_restarts("a", 2)

    def test_autorestart_false(self):
        self.home.start("a", child("crash_after", 300, "code", 3), "--no-autorestart")
        record = self.home.wait_status("a", "stopped")
        self.assertEqual((record["pm2_env"]["restart_time"], record["pm2_env"]["exit_code"]), (0, 3))

    def test_stop_exit_codes(self):
        self.home.start_apps([{"name": "a", "script": child("crash_after")[0], "args": ["300", "code", "5"], "stop_exit_codes": [4, 5]},
                              {"name": "b", "script": child("crash_after")[0], "args": ["300", "code", "6"], "stop_exit_codes": [4, 5]}])
        self.home.wait_status("a", "stopped")
        self.home.wait_restarts("b", 1)
        self.assertEqual(self.home.restarts("a"), 0)

    def test_restart_delay(self):
        self.home.start_apps([{"name": "a", "script": child("crash_after")[0], "args": ["200", "code", "1"], "restart_delay": 1500}])
        self.home.wait_status("a", "waiting restart")
        runs = self.home.two_runs("a")
        gap = runs[0]["started_at"] - runs[1]["ended_at"]
        self.assertGreaterEqual(gap, 1400)

    def test_backoff_grows(self):
        self.home.start_apps([{"name": "a", "script": child("exit_code")[0], "args": ["1"], "exp_backoff_restart_delay": 100,
                               "max_restarts": 100}], expect=1)
        wait_until(lambda: len(self.home.why("a", runs=100)["runs"]) >= 6, 30, "six runs")
        runs = self.home.why("a", runs=100)["runs"][::-1]
        gaps = [b["started_at"] - a["ended_at"] for a, b in zip(runs, runs[1:])]
        for gap, wanted in zip(gaps, (100, 150, 225, 337, 505)):
            self.assertGreaterEqual(gap, wanted - 10, gaps)

    def test_stop_while_waiting(self):
        self.home.start_apps([{"name": "a", "script": child("crash_after")[0], "args": ["200", "code", "1"], "restart_delay": 60000}])
        self.home.wait_status("a", "waiting restart")
        self.home.ok("stop", "a")
        self.assertEqual(self.home.status("a"), "stopped")

    def test_restart_while_waiting(self):
        self.home.start_apps([{"name": "a", "script": child("crash_after")[0], "args": ["1500", "code", "1"], "restart_delay": 60000}])
        self.home.wait_status("a", "waiting restart")
        self.home.ok("restart", "a")
        self.assertEqual(self.home.status("a"), "online")

    def test_leftovers_do_not_hold_up_the_restart(self):
        script = self.home.file("a.sh", "echo run\n(sleep 3; echo late output) & exit 7\n")
        self.home.start_apps([{"name": "a", "script": script, "max_restarts": 3, "treekill": False}], expect=1)
        # All three runs are over long before the first helper ends.
        record = self.home.wait_status("a", "errored", 2.5)
        self.assertEqual(record["pm2_env"]["exit_code"], 7)
        wait_until(lambda: self.home.app_log("a").count("late output") == 3, what="the late output is logged")
        run = [l["run"] for l in self.home.history("a") if l.get("text") == "late output"]
        self.assertEqual(sorted(run), sorted({r["run"] for r in self.home.why("a", runs=10)["runs"]}))

    def test_leftovers_are_logged_until_they_are_ended(self):
        """What ignores the polite signal lives until kill_timeout."""
        script = self.home.file("a.sh", "trap '' INT\n(sleep 0.5; echo late output) & exit 7\n")
        self.home.start_apps([{"name": "a", "script": script, "max_restarts": 3, "kill_timeout": 20000}], expect=1)
        wait_until(lambda: self.home.app_log("a").count("late output") == 3, what="the late output is logged")
        self.home.wait_status("a", "errored")
        runs = self.home.why("a")["runs"]
        self.assertTrue(all(b["started_at"] - a["ended_at"] < 450 * SLOW for b, a in zip(runs, runs[1:])), runs)

    def test_leftovers_are_ended_with_the_run(self):
        script = self.home.file("a.sh", "sleep 1000 & exit 7\n")
        self.home.start_apps([{"name": "a", "script": script, "max_restarts": 3}], expect=1)
        self.home.wait_status("a", "errored")
        wait_until(lambda: not self.home.app_pids(), what="no sleep is left")


class Readiness(PmTest):
    def test_sd_notify(self):
        begin = time.monotonic()
        self.home.start_apps([{"name": "a", "script": child("ready_notify")[0], "args": ["700"], "wait_ready": True, "listen_timeout": 30000}])
        self.assertGreaterEqual(time.monotonic() - begin, 0.7)
        self.assertEqual(self.home.status("a"), "online")

    def test_launching_until_ready(self):
        path = self.home.config([{"name": "a", "script": child("ready_notify")[0], "args": ["2500"], "wait_ready": True, "listen_timeout": 30000}])
        command = self.home.popen("start", path)
        wait_until(lambda: [p for p in self.home.jlist() if p["pm2_env"]["status"] == "launching" and p["pid"]], what="launching")
        self.assertEqual(self.home.finish(command).code, 0)
        self.assertEqual(self.home.status("a"), "online")

    def test_node_ready(self):
        script = self.home.file("ready.js", NODE_READY, 0o644)
        self.home.start_apps([{"name": "a", "script": script, "args": ["300"], "wait_ready": True, "listen_timeout": 30000}])
        self.assertEqual(self.home.status("a"), "online")

    def test_timeout_is_a_failure(self):
        result = self.home.start_apps([{"name": "a", "script": child("ready_notify")[0], "args": ["-1"], "wait_ready": True,
                                        "listen_timeout": 500, "autorestart": False}], expect=1)
        self.assertIn("ready", (result.err + result.out).lower())
        wait_until(lambda: self.home.status("a") in ("stopped", "errored"), what="the app is down")
        self.assertEqual(self.home.why("a")["runs"][0]["reason"], "ready-timeout")

    def test_stop_during_start(self):
        path = self.home.config([{"name": "a", "script": child("ready_notify")[0], "args": ["-1"], "wait_ready": True, "listen_timeout": 60000}])
        command = self.home.popen("start", path)
        wait_until(lambda: [p for p in self.home.jlist() if p["pm2_env"]["status"] == "launching" and p["pid"]], what="launching")
        self.home.ok("stop", "a")
        self.assertEqual(self.home.status("a"), "stopped")
        result = self.home.finish(command)
        self.assertEqual(result.code, 1)

    def test_restart_during_start(self):
        path = self.home.config([{"name": "a", "script": child("ready_notify")[0], "args": ["1500"], "wait_ready": True, "listen_timeout": 60000}])
        command = self.home.popen("start", path)
        wait_until(lambda: [p for p in self.home.jlist() if p["pm2_env"]["status"] == "launching" and p["pid"]], what="launching")
        first = self.home.pid("a")
        self.home.ok("restart", "a")
        self.assertEqual(self.home.status("a"), "online")
        self.assertNotEqual(self.home.pid("a"), first)
        self.assertFalse(alive(first))
        self.home.finish(command)

    def test_slow_start_without_wait_ready_is_online_at_once(self):
        self.home.start("a", child("slow_start", 60000))
        self.assertEqual(self.home.status("a"), "online")


class PidFile(PmTest):
    def test_written_at_start_and_removed_at_the_end(self):
        own = os.path.join(self.home.work, "run", "own.pid")
        self.home.start_apps([{"name": "a", "script": child("silent")[0]},
                              {"name": "b", "script": child("silent")[0], "pid_file": own}])
        default = os.path.join(self.home.path, "pids", "a-0.pid")
        for path, name in ((default, "a"), (own, "b")):
            wait_until(lambda: read_file(path) == "%d\n" % self.home.pid(name), what=path)
        self.home.ok("restart", "a")
        wait_until(lambda: read_file(default) == "%d\n" % self.home.pid("a"), what="the new pid")
        self.home.ok("stop", "all")
        wait_until(lambda: not os.path.exists(default) and not os.path.exists(own), what="both are gone")


class NodeChannel(PmTest):
    def test_shutdown_with_message(self):
        script = self.home.file("m.js", NODE_MESSAGE, 0o644)
        self.home.start_apps([{"name": "m", "script": script, "shutdown_with_message": True, "kill_timeout": 20000}])
        self.home.wait_log("m", "connected true")
        self.home.ok("stop", "m")
        log = self.home.app_log("m")
        self.assertIn('message "shutdown"', log)
        self.assertNotIn("SIGINT", log)
        run = self.home.why("m")["runs"][0]
        self.assertEqual((run["reason"], run["exit_code"]), ("stopped", 0))

    def test_the_channel_survives_the_engine(self):
        script = self.home.file("m.js", NODE_MESSAGE, 0o644)
        self.home.start_apps([{"name": "m", "script": script, "shutdown_with_message": True, "kill_timeout": 20000}])
        self.home.wait_log("m", "connected true")
        pid = self.home.pid("m")
        self.home.replace_engine()
        self.assertEqual(self.home.pid("m"), pid)
        self.home.ok("stop", "m")
        self.assertIn('message "shutdown"', self.home.app_log("m"))

    def test_messages_of_the_app_do_no_harm(self):
        script = self.home.file("chatty.js", """
            for (let i = 0; i < 2000; i++) process.send({ type: 'process:msg', data: 'x'.repeat(i) });
            process.send('é\\u2028'.repeat(100000), () => console.log('sent all'));
            setInterval(() => {}, 1000);""", 0o644)
        self.home.ok("start", script)
        self.home.wait_log("chatty", "sent all")
        self.assertEqual(self.home.status("chatty"), "online")


class Stopping(PmTest):
    def test_killed_at_kill_timeout_and_never_shown_stopped_while_alive(self):
        self.home.start_apps([{"name": "a", "script": child("stubborn")[0], "kill_timeout": 1200}])
        pid = self.home.pid("a")
        begin = time.monotonic()
        command = self.home.popen("stop", "a")
        seen = set()
        while command.poll() is None:
            status = self.home.status("a")
            running = alive(pid)
            seen.add(status)
            self.assertFalse(status == "stopped" and running)
        took = time.monotonic() - begin
        self.assertEqual(self.home.finish(command).code, 0)
        self.assertIn("stopping", seen)
        self.assertFalse(alive(pid))
        self.assertGreaterEqual(took, 1.1)
        self.assertEqual(self.home.status("a"), "stopped")

    def test_default_kill_timeout(self):
        self.home.start("a", child("stubborn"))
        begin = time.monotonic()
        self.home.ok("stop", "a")
        self.assertGreaterEqual(time.monotonic() - begin, 1.5)

    def test_stop_signal(self):
        script = self.home.file("a.sh", "trap 'echo hup; exit 0' HUP\ntrap 'echo int' INT\nwhile :; do sleep 0.05; done\n")
        self.home.start_apps([{"name": "a", "script": script, "stop_signal": "SIGHUP", "kill_timeout": 20000, "treekill": False}])
        self.home.ok("stop", "a")
        self.home.wait_log("a", "hup")
        self.assertNotIn("int", self.home.app_log("a"))

    def test_default_stop_signal_is_sigint(self):
        script = self.home.file("a.js", "process.on('SIGINT', () => { console.log('got SIGINT'); process.exit(0) }); setInterval(() => {}, 1e3);"
                                "console.log('up')", 0o644)
        self.home.ok("start", script)
        self.home.wait_log("a", "up")
        self.home.ok("stop", "a")
        self.assertIn("got SIGINT", self.home.app_log("a"))

    def tree(self, name, count):
        return wait_until(lambda: (lambda p: p if len(p) >= count else None)(self.home.app_pids()), what="%s has %d processes" % (name, count))

    def test_tree_with_a_double_forked_grandchild(self):
        self.home.start("a", child("fork_setsid"))
        pids = self.tree("a", 3)
        self.home.ok("stop", "a")
        self.assertEqual([p for p in pids if alive(p)], [])
        self.assertEqual(self.home.app_pids(), [])

    def test_stubborn_tree_with_a_double_forked_grandchild(self):
        self.home.start("a", child("fork_setsid", "stubborn"))
        pids = self.tree("a", 3)
        self.home.ok("stop", "a")
        self.assertEqual([p for p in pids if alive(p)], [])
        self.assertEqual(self.home.app_pids(), [])

    def test_tree_that_respawns_its_children(self):
        for turn in range(5):
            self.home.start("a%d" % turn, child("fork_respawn", 4))
            self.tree("a%d" % turn, 10)
            self.home.ok("delete", "a%d" % turn)
            self.assertEqual(self.home.app_pids(), [])

    def test_stop_leaves_the_trees_of_others_alone(self):
        self.home.start("a", child("fork_setsid"))
        self.home.start("b", child("fork_setsid"))
        self.tree("both", 6)
        self.home.ok("stop", "a")
        self.assertEqual(len(self.home.app_pids()), 3)

    def test_treekill_false(self):
        self.home.start_apps([{"name": "a", "script": child("fork_setsid")[0], "treekill": False}])
        pids = self.tree("a", 3)
        root = self.home.pid("a")
        self.home.ok("stop", "a")
        self.assertEqual(self.home.status("a"), "stopped")
        self.assertEqual(sorted(p for p in pids if alive(p)), sorted(p for p in pids if p != root))
        for pid in pids:
            send_signal(pid, signal.SIGKILL)
        wait_until(lambda: not self.home.app_pids(), what="the rest is gone")

    def test_a_stopped_child_is_not_spared(self):
        """SIGSTOPped processes take SIGKILL, but not SIGINT."""
        self.home.start("a", child("silent"))
        os.kill(self.home.pid("a"), signal.SIGSTOP)
        self.home.ok("stop", "a")
        self.assertEqual(self.home.app_pids(), [])


class Together(PmTest):
    def test_two_restarts_at_once(self):
        self.home.start("a", child("stubborn"))
        commands = [self.home.popen("restart", "a") for _ in range(4)]
        for command in commands:
            self.home.finish(command)
        self.home.wait_status("a", "online")
        self.assertEqual(len(self.home.app_pids()), 1)

    def test_stop_during_restart_wins(self):
        self.home.start("a", child("stubborn"))
        restart = self.home.popen("restart", "a")
        wait_until(lambda: self.home.status("a") == "stopping", what="stopping")
        self.home.ok("stop", "a")
        self.assertEqual(self.home.finish(restart).code, 1)
        self.assertEqual(self.home.status("a"), "stopped")
        self.assertEqual(self.home.app_pids(), [])

    def test_restart_during_stop(self):
        self.home.start("a", child("stubborn"))
        stop = self.home.popen("stop", "a")
        wait_until(lambda: self.home.status("a") == "stopping", what="stopping")
        self.home.ok("restart", "a")
        self.assertEqual(self.home.finish(stop).code, 1)
        self.assertEqual(self.home.status("a"), "online")
        self.assertEqual(len(self.home.app_pids()), 1)

    def test_delete_during_stop(self):
        self.home.start("a", child("stubborn"))
        stop = self.home.popen("stop", "a")
        wait_until(lambda: self.home.status("a") == "stopping", what="stopping")
        self.home.ok("delete", "a")
        self.home.finish(stop)
        self.assertEqual(self.home.jlist(), [])

    def test_storm_of_commands(self):
        """Whatever the order, there is one process or none, and the daemon agrees."""
        self.home.start("a", child("silent"))
        commands = []
        for i in range(24):
            commands.append(self.home.popen(("restart", "stop", "start", "restart")[i % 4], "a"))
        for command in commands:
            self.assertIn(self.home.finish(command).code, (0, 1))
        self.home.ok("restart", "a")
        self.assertEqual(self.home.app_pids(), [self.home.pid("a")])


class RecycledPid(PmTest):
    def test_a_dead_pid_is_not_signalled(self):
        """A process that waits for its restart has no pid of its own any more: stopping it signals nobody."""
        self.home.start_apps([{"name": "a", "script": child("crash_after")[0], "args": ["200", "code", "1"], "restart_delay": 60000}])
        self.home.wait_status("a", "waiting restart")
        old = self.home.why("a")["runs"][0]["pid"]
        impostor = self.impostor(old)
        self.home.ok("stop", "a")
        self.home.ok("delete", "a")
        if impostor:
            self.assertIsNone(impostor.poll())
            impostor.kill()
            impostor.wait()

    def impostor(self, pid):
        """A process of ours with that pid, where the kernel lets us choose (root)."""
        import subprocess
        try:
            with open("/proc/sys/kernel/ns_last_pid", "w") as f:
                f.write(str(pid - 1))
            process = subprocess.Popen(["sleep", "1000"])
        except OSError:
            return None
        if process.pid != pid:
            process.kill()
            process.wait()
            return None
        return process


if __name__ == "__main__":
    main()
