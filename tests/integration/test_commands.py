"""The commands: output, selectors, exit codes."""

import json
import os
import re
import signal
import time

from harness import PmTest, alive, child, main, send_signal, wait_until

COMMANDS = ("start", "stop", "restart", "delete", "list", "jlist", "describe", "logs", "why", "ping", "kill", "send")


class WithoutDaemon(PmTest):
    def test_read_only_commands_start_no_daemon(self):
        self.assertEqual(json.loads(self.home.ok("jlist").out), [])
        self.home.ok("list")
        for command in (["ping"], ["describe", "x"], ["why", "x"], ["logs", "x", "--nostream"], ["stop", "x"], ["restart", "x"],
                        ["delete", "x"], ["send", "x", "y"]):
            self.home.fails(1, *command)
        self.assertEqual(self.home.daemons(), [])

    def test_kill_without_a_daemon(self):
        self.home.ok("kill")
        self.assertEqual(self.home.daemons(), [])

    def test_help_and_version(self):
        self.assertRegex(self.home.ok("--version").out, r"\d+\.\d+")
        out = self.home.ok("--help").out
        for command in COMMANDS:
            self.assertRegex(out, r"\b%s\b" % command)
            self.assertIn(command, self.home.ok(command, "--help").out)
        self.assertEqual(self.home.daemons(), [])


class Usage(PmTest):
    def test_exit_code_2(self):
        for words in (["strat"], ["start", "x", "--no-such-flag"], ["stop"], ["restart"], ["delete"], ["describe"],
                      ["send", "a"], ["logs", "--lines", "many"], ["start", "x", "-i"]):
            result = self.home.pm(*words)
            self.assertEqual(result.code, 2, "pm %s: %s%s" % (words, result.out, result.err))
            self.assertTrue(result.err.strip(), words)
        self.assertEqual(self.home.daemons(), [])

    def test_start_without_a_word_takes_the_ecosystem_file(self):
        self.assertNotEqual(self.home.pm("start").code, 0)
        self.home.config([{"name": "eco", "script": child("silent")[0]}], "ecosystem.json")
        self.home.ok("start")
        self.assertEqual(self.home.status("eco"), "online")

    def test_only(self):
        path = self.home.config([{"name": n, "script": child("silent")[0]} for n in "abc"])
        self.home.ok("start", path, "--only", "a,c")
        self.assertEqual([p["name"] for p in self.home.jlist()], ["a", "c"])

    def test_silent(self):
        result = self.home.ok("start", child("silent")[0], "--silent")
        self.assertEqual(result.out, "")
        self.assertEqual(len(json.loads(self.home.ok("jlist", "--silent").out)), 1)

    def test_home_flag(self):
        self.home.ok("start", child("silent")[0], "--home", self.home.path, env={"PM_HOME": "/no/such/place"})
        self.assertEqual(self.home.status("silent"), "online")

    def test_a_typo_gets_a_hint(self):
        self.assertIn("start", self.home.fails(2, "strat").err)

    def test_nothing_matched_is_1(self):
        self.home.start("a", child("silent"))
        for command in ("stop", "restart", "delete", "describe", "why"):
            self.assertIn("nosuch", self.home.fails(1, command, "nosuch").err)
            self.home.fails(1, command, "77")
        self.home.fails(1, "logs", "nosuch", "--nostream")
        self.home.fails(1, "send", "nosuch", "text")
        # One unknown word, and nothing is done.
        self.home.fails(1, "stop", "a", "nosuch")
        self.assertEqual(self.home.status("a"), "online")


class Selectors(PmTest):
    def setUp(self):
        super().setUp()
        self.home.start_apps([{"name": "a", "script": child("silent")[0], "instances": 2}, {"name": "b", "script": child("silent")[0]},
                              {"name": "7", "script": child("silent")[0]}])

    def states(self):
        return {p["pm_id"]: p["pm2_env"]["status"] for p in self.home.jlist()}

    def test_by_id(self):
        self.home.ok("stop", "1")
        self.assertEqual(self.states(), {0: "online", 1: "stopped", 2: "online", 3: "online"})

    def test_by_name(self):
        self.home.ok("stop", "a")
        self.assertEqual(self.states(), {0: "stopped", 1: "stopped", 2: "online", 3: "online"})

    def test_several(self):
        self.home.ok("stop", "b", "0")
        self.assertEqual(self.states(), {0: "stopped", 1: "online", 2: "stopped", 3: "online"})

    def test_a_number_is_a_name_first(self):
        self.home.ok("stop", "7")
        self.assertEqual(self.states()[3], "stopped")

    def test_all(self):
        self.home.ok("stop", "all")
        self.assertEqual(set(self.states().values()), {"stopped"})
        self.home.ok("restart", "all")
        self.assertEqual(set(self.states().values()), {"online"})
        self.home.ok("delete", "all")
        self.assertEqual(self.home.jlist(), [])
        self.assertEqual(self.home.app_pids(), [])
        self.home.fails(1, "stop", "all")


class Control(PmTest):
    def test_stop_start_restart_delete(self):
        self.home.start("a", child("silent"))
        first = self.home.pid("a")
        self.home.ok("stop", "a")
        self.assertFalse(alive(first))
        record = self.home.proc("a")
        self.assertEqual((record["pid"], record["pm2_env"]["status"], record["pm2_env"]["restart_time"]), (0, "stopped", 0))
        self.home.ok("stop", "a")
        self.home.ok("start", "a")
        second = self.home.pid("a")
        self.home.ok("restart", "a")
        third = self.home.pid("a")
        self.assertFalse(alive(second))
        self.assertEqual(len({first, second, third}), 3)
        self.assertEqual(self.home.restarts("a"), 1)
        self.home.ok("stop", "a")
        self.home.ok("restart", "a")
        self.assertEqual(self.home.status("a"), "online")
        self.home.ok("delete", "a")
        self.assertEqual(self.home.jlist(), [])
        self.assertEqual(self.home.app_pids(), [])

    def test_restart_of_a_failing_app_fails(self):
        marker = os.path.join(self.home.work, "fail")
        self.home.ok("start", "if [ -e %s ]; then echo no luck >&2; exit 4; fi; exec sleep 1000" % marker, "--name", "a")
        self.home.file("fail", "")
        result = self.home.fails(1, "restart", "a")
        self.assertIn("no luck", result.err + result.out)

    def test_ping(self):
        self.home.start("a", child("silent"))
        self.assertIn("pong", self.home.ok("ping").out)

    def test_send(self):
        self.home.start("a", child("echo_stdin"))
        self.home.ok("send", "a", "hello there")
        self.home.ok("send", "0", "again")
        self.home.wait_log("a", "got: hello there\ngot: again\n")
        self.assertNotIn("end of input", self.home.app_log("a"))
        self.home.ok("stop", "a")
        self.home.fails(1, "send", "a", "nobody there")

    def test_kill_forgets(self):
        self.home.start("a", child("silent"))
        self.home.start("b", child("stubborn"))
        pids = self.home.app_pids()
        self.home.ok("kill")
        self.home.wait_no_daemon()
        self.assertEqual([p for p in pids if alive(p)], [])
        self.assertEqual(json.loads(self.home.ok("jlist").out), [])
        self.home.first_engine = None
        self.home.start("c", child("silent"))
        self.assertEqual([p["name"] for p in self.home.jlist()], ["c"])


class Shown(PmTest):
    def test_jlist_fields(self):
        before = time.time() * 1000
        script = self.home.file("worker.sh", "while :; do sleep 1; done")
        self.home.start_apps([{"name": "api", "script": script, "args": ["x"], "max_restarts": 5, "min_uptime": 1500, "kill_timeout": 2500,
                               "wait_ready": False, "restart_delay": 10, "stop_exit_codes": [3], "env": {"COLOUR": "red"}}])
        record = self.home.proc("api")
        self.assertEqual(sorted(record), ["monit", "name", "pid", "pm2_env", "pm_id"])
        self.assertEqual(sorted(record["monit"]), ["cpu", "memory"])
        env = record["pm2_env"]
        for key, value in {"name": "api", "namespace": "default", "pm_id": 0, "status": "online", "restart_time": 0,
                           "unstable_restarts": 0, "exec_mode": "fork_mode", "NODE_APP_INSTANCE": 0, "pm_exec_path": script,
                           "pm_cwd": self.home.work, "exec_interpreter": "bash", "args": ["x"], "node_args": [],
                           "pm_out_log_path": self.home.log_path("api"), "pm_err_log_path": self.home.log_path("api", "error"),
                           "autorestart": True, "autostart": True, "watch": False, "treekill": True, "max_restarts": 5,
                           "min_uptime": 1500, "kill_timeout": 2500, "restart_delay": 10, "stop_exit_codes": [3],
                           "merge_logs": True, "instances": 1, "axm_actions": [], "axm_monitor": {}}.items():
            self.assertIn(key, env)
            self.assertEqual(env[key], value, key)
        for key in ("unique_id", "created_at", "pm_uptime", "username", "node_version", "version", "axm_options", "axm_dynamic",
                    "pm_pid_path", "env"):
            self.assertIn(key, env)
        self.assertEqual(env["COLOUR"], "red")
        self.assertEqual(env["env"]["COLOUR"], "red")
        self.assertTrue(before - 2000 <= env["pm_uptime"] <= time.time() * 1000 + 2000, env["pm_uptime"])
        self.assertGreater(record["monit"]["memory"], 100000)

    def test_jlist_follows_a_new_configuration(self):
        app = {"name": "a", "script": child("silent")[0], "instances": 2, "exec_mode": "fork", "env": {"COLOUR": "red"}}

        def shown():
            return [(p["pm2_env"]["COLOUR"], p["pm2_env"]["pm_out_log_path"], p["pm2_env"]["merge_logs"]) for p in self.home.procs("a")]

        self.home.start_apps([app])
        self.assertEqual(shown(), [("red", self.home.log_path("a", ident=i), False) for i in (0, 1)])
        other = os.path.join(self.home.work, "other.log")
        self.home.ok("restart", self.home.config([dict(app, out_file=other, merge_logs=True, env={"COLOUR": "blue"})]))
        self.assertEqual(shown(), [("blue", other, True)] * 2)

    def test_jlist_is_plain_json_also_for_odd_text(self):
        name = 'quote" back\\slash ünïcode \u2028 @scope/x'
        self.home.start(name, child("silent"), env={"ODD": 'a"b\\c\nd\x01é'})
        record = self.home.jlist()[0]
        self.assertEqual(record["name"], name)
        self.assertEqual(record["pm2_env"]["env"]["ODD"], 'a"b\\c\nd\x01é')

    def test_exit_code_after_the_first_end(self):
        self.home.pm("start", child("exit_code")[0], "--name", "a", "--no-autorestart", "--", "7")
        self.assertEqual(self.home.wait_status("a", "stopped")["pm2_env"]["exit_code"], 7)

    def test_list(self):
        self.home.start("short", child("silent"))
        self.home.start("another-app", child("silent"), "-i", "2")
        self.home.ok("stop", "short")
        out = self.home.ok("list").out
        for word in ("id", "name", "pid", "uptime", "status", "cpu", "mem", "short", "another-app", "stopped", "online"):
            self.assertIn(word, out)
        self.assertEqual(len(re.findall("another-app", out)), 2)
        for alias in ("ls", "ps", "status"):
            self.assertIn("another-app", self.home.ok(alias).out)

    def test_list_has_no_colour_in_a_pipe(self):
        self.home.start("a", child("silent"))
        self.assertNotIn("\x1b", self.home.ok("list").out)

    def test_describe(self):
        self.home.start("a", child("silent"), "--cwd", "/usr")
        out = self.home.ok("describe", "a").out
        for word in ("online", "/usr", child("silent")[0], self.home.log_path("a"), self.home.log_path("a", "error"), str(self.home.pid("a"))):
            self.assertIn(word, out)

    def test_describe_of_several_with_their_last_runs(self):
        self.home.start("two", child("silent"), "-i", "2")
        self.home.ok("restart", "0")
        out = self.home.ok("describe", "two").out
        self.assertEqual(re.findall(r"(?m)^two \(id (\d)\)$", out), ["0", "1"])
        self.assertEqual(len(re.findall("Last runs", out)), 1)
        self.assertIn("was stopped for a restart on request", out)
        self.assertRegex(out, r"stop signal +SIGINT")


class Why(PmTest):
    def test_in_words(self):
        script = self.home.file("api.sh", "echo line one >&2\necho the disk is on fire >&2\nsleep 0.3\nexit 7\n")
        self.home.pm("start", script, "--no-autorestart")
        self.home.wait_status("api", "stopped")
        out = self.home.ok("why", "api").out
        self.assertRegex(out, r"\b7\b")
        self.assertIn("the disk is on fire", out)

    def test_signal_by_name(self):
        self.home.start("a", child("silent"))
        first = self.home.pid("a")
        os.kill(first, signal.SIGKILL)
        wait_until(lambda: self.home.pid("a") not in (0, first), what="restarted")
        self.assertIn("SIGKILL", self.home.ok("why", "a").out)

    def test_who_asked(self):
        self.home.start("a", child("silent"))
        self.home.ok("restart", "a")
        self.home.ok("stop", "a")
        runs = self.home.why("a")["runs"]
        self.assertEqual([r["reason"] for r in runs], ["stopped", "restarted"])
        self.assertIn("stop", runs[0]["by"])
        self.assertIn("restart", runs[1]["by"])

    def test_flags(self):
        self.home.pm("start", child("crash_after")[0], "--name", "a", "--max-restarts", "4", "--", "20", "code", "5")
        self.home.wait_status("a", "errored")
        record = json.loads(self.home.ok("why", "a", "--json", "--runs", "3", "--lines", "0").out)
        self.assertEqual([(r["exit_code"], r.get("stderr", [])) for r in record[0]["runs"]], [(5, [])] * 3)

    def test_json_fields(self):
        self.home.pm("start", child("crash_after")[0], "--name", "a", "--no-autorestart", "--", "200", "code", "5")
        self.home.wait_status("a", "stopped")
        why = self.home.why("a")
        run = why["runs"][0]
        self.assertEqual((run["exit_code"], run["reason"], run["core"]), (5, "exit", False))
        self.assertTrue(150 <= run["uptime"] <= 30000, run["uptime"])
        self.assertGreater(run["max_rss"], 10000)
        self.assertIn("cpu_time", run)
        self.assertEqual(run["stderr"], ["last words of %d" % run["pid"]])
        self.assertGreater(run["ended_at"], run["started_at"])

    def test_many_runs_newest_first(self):
        self.home.pm("start", child("exit_code")[0], "--name", "a", "--", "3")
        self.home.wait_status("a", "errored", 40)
        runs = self.home.why("a", runs=100)["runs"]
        self.assertEqual(len(runs), 16)
        self.assertEqual([r["run"] for r in runs], sorted((r["run"] for r in runs), reverse=True))
        self.assertEqual(len(self.home.why("a")["runs"]), 5)


class Interrupted(PmTest):
    def test_a_command_that_is_interrupted_leaves_the_daemon_alone(self):
        self.home.start("a", child("stubborn"))
        command = self.home.popen("stop", "a")
        wait_until(lambda: self.home.status("a") == "stopping", what="stopping")
        send_signal(command.pid, signal.SIGINT)
        self.home.finish(command)
        self.home.wait_status("a", "stopped")


if __name__ == "__main__":
    main()
