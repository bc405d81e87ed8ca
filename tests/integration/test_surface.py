"""The everyday commands and flags beside start, stop and list: effect, message, exit code."""

import json
import os
import re
import signal
import subprocess

from harness import PmTest, alive, child, main, read_file, wait_until

ECHO = "#!/bin/sh\nwhile read -r line; do echo \"got $line\"; done\nsleep 1000\n"
HOSTED = ("link", "unlink", "plus", "login", "logout", "monitor", "unmonitor", "open", "install", "uninstall", "module:update",
          "publish", "package", "deploy", "profile:cpu", "install-otel", "autoinstall", "create")
LATER = ("startup", "unstartup", "serve", "inspect", "pull", "forward", "backward")
COMMANDS = ("start", "stop", "restart", "reload", "startOrRestart", "startOrReload", "startOrGracefulReload", "delete", "scale", "reset",
            "sendSignal", "list", "jlist", "prettylist", "monit", "id", "pid", "env", "describe", "why", "logs", "send", "attach", "flush",
            "reloadLogs", "save", "dump", "resurrect", "cleardump", "set", "get", "unset", "conf", "config", "multiset", "ping",
            "update", "updatePM2", "kill", "report", "examples", "help", "version")


class Words(PmTest):
    """What needs no daemon."""

    def test_every_command_has_help_with_an_example(self):
        for command in COMMANDS:
            out = self.home.ok(command, "--help").out
            self.assertIn("Examples\n", out, command)
            self.assertRegex(out, r"usage: pm \w+", command)
        self.assertEqual(self.home.daemons(), [])

    def test_what_is_not_here_is_refused_by_name(self):
        for command in HOSTED + LATER:
            result = self.home.fails(2, command, "x")
            self.assertIn('pm has no command "%s": ' % command, result.err)
            self.assertEqual(len(result.err.splitlines()), 1, command)
        self.assertEqual(self.home.daemons(), [])

    def test_flags_that_are_not_here_are_refused_by_name(self):
        for flags in (["--hp", "/x"], ["--no-daemon"], ["--write"], ["--service-name", "x"], ["--deep-monitoring"], ["--trace"]):
            result = self.home.fails(2, "start", child("silent")[0], *flags)
            self.assertRegex(result.err, r"pm has no %s: \w+" % flags[0])
        self.assertEqual(self.home.daemons(), [])

    def test_typos(self):
        self.assertIn('did you mean "reload"?', self.home.fails(2, "relaod", "x").err)
        self.assertIn("did you mean --update-env?", self.home.fails(2, "restart", "x", "--update-evn").err)
        self.assertIn("did you mean --highlight?", self.home.fails(2, "logs", "--higlight", "x").err)

    def test_wrong_usage(self):
        for words in (["scale", "x"], ["sendSignal", "x"], ["id"], ["env"], ["unset"],
                      ["startOrRestart", "x"], ["list", "--sort", "colour"], ["list", "--sort", "cpu:up"]):
            self.assertEqual(self.home.pm(*words).code, 2, words)
        self.assertIn("memory", self.home.fails(2, "list", "--sort", "colour").err)

    def test_examples(self):
        out = self.home.ok("examples").out
        for words in ("pm start", "pm reload", "pm scale", "pm logs"):
            self.assertIn(words, out)

    def test_answers_without_a_daemon(self):
        self.assertEqual(self.home.ok("id", "x").out, "[]\n")
        self.assertEqual(self.home.ok("pid", "x").out, "\n")
        self.assertEqual(self.home.ok("prettylist").out, "[]\n")
        self.assertIsNone(json.loads(self.home.ok("report", "--json").out)["daemon"])
        for words in (["reset", "x"], ["scale", "x", "2"], ["env", "0"], ["save"], ["update"], ["flush"], ["reload", "x"]):
            self.home.fails(1, *words)
        self.assertEqual(self.home.daemons(), [])


class Small(PmTest):
    """Small answers for scripts."""

    def setUp(self):
        super().setUp()
        self.home.start("api", child("silent"), "-i", "2", "--namespace", "shop")
        self.home.start("web-1", child("silent"))

    def test_id(self):
        self.assertEqual(self.home.ok("id", "api").out, "[ 0, 1 ]\n")
        self.assertEqual(self.home.ok("id", "nobody").out, "[]\n")
        self.assertEqual(json.loads(self.home.ok("id", "api", "--json").out), [0, 1])

    def test_pid(self):
        pids = [p["pid"] for p in self.home.procs("api")]
        self.assertEqual([int(l) for l in self.home.ok("pid", "api").out.split()], pids)
        self.assertEqual(self.home.ok("pid", "nobody").out, "\n")
        self.assertEqual(len(self.home.ok("pid").out.split()), 3)
        self.home.ok("stop", "api")
        self.assertEqual(self.home.ok("pid", "api").out, "0\n0\n")

    def test_env(self):
        self.home.start("secret", child("silent"), env={"MY_TOKEN": "abc"})
        self.assertIn("\nMY_TOKEN: abc\n", "\n" + self.home.ok("env", "3").out)
        self.assertEqual(json.loads(self.home.ok("env", "secret", "--json").out)["MY_TOKEN"], "abc")
        self.home.fails(1, "env", "77")
        self.assertNotIn("abc", self.home.ok("describe", "secret").out)
        self.assertNotIn('"abc"', self.home.ok("jlist").out)

    def test_prettylist(self):
        out = self.home.ok("prettylist").out
        self.assertIn("name: 'web-1'", out)
        self.assertIn("pm_id: 2", out)

    def test_report(self):
        report = json.loads(self.home.ok("report", "--json").out)
        self.assertEqual(report["home"], self.home.path)
        self.assertEqual(report["daemon"]["keeper_pid"], self.home.keeper_pid())
        self.assertEqual(len(report["processes"]), 3)
        out = self.home.ok("report").out
        for word in ("open files", "engine's pid", "web-1"):
            self.assertIn(word, out)

    def test_selectors(self):
        self.home.ok("stop", "shop")
        self.assertEqual([p["pm2_env"]["status"] for p in self.home.jlist()], ["stopped", "stopped", "online"])
        self.home.ok("restart", "/^(api|web)/")
        self.assertEqual({p["pm2_env"]["status"] for p in self.home.jlist()}, {"online"})
        self.home.ok("stop", child("silent")[0])
        self.assertEqual({p["pm2_env"]["status"] for p in self.home.jlist()}, {"stopped"})
        self.home.fails(1, "restart", "/^nothing/")
        self.home.fails(1, "reload", "nobody")

    def test_reload_says_what_it_does(self):
        before = self.home.pid("web-1")
        self.assertIn("cannot be reloaded without a gap", self.home.ok("reload", "web-1").err)
        self.assertNotEqual(self.home.pid("web-1"), before)

    def test_reset(self):
        self.home.ok("restart", "web-1")
        self.assertEqual(self.home.restarts("web-1"), 1)
        self.assertIn("reset web-1 (id 2", self.home.ok("reset", "web-1").out)
        self.assertEqual(self.home.restarts("web-1"), 0)
        self.home.fails(1, "reset", "nobody")

    def test_scale(self):
        self.assertIn("started api (id 3", self.home.ok("scale", "api", "+1").out)
        self.assertEqual(len(self.home.procs("api")), 3)
        out = self.home.ok("scale", "api", "1").out
        self.assertIn("deleted api (id 0)", out)
        self.assertEqual([p["pm_id"] for p in self.home.procs("api")], [3])
        self.assertIn("nothing to do", self.home.fails(1, "scale", "api", "1").err)
        self.home.ok("scale", "api", "3")
        self.home.ok("scale", "api", "-1")
        self.assertEqual(len(self.home.procs("api")), 2)
        self.home.fails(1, "scale", "nobody", "2")
        self.home.fails(1, "scale", "api", "0")
        self.home.fails(2, "scale", "api", "many")
        self.home.fails(2, "scale", "api", "+0")

    def test_json_of_actions(self):
        outcomes = json.loads(self.home.ok("stop", "api", "--json").out)
        self.assertEqual([(o["id"], o["ok"], o["status"]) for o in outcomes], [(0, True, "stopped"), (1, True, "stopped")])


class Signals(PmTest):
    def test_send_signal(self):
        script = self.home.file("hup.sh", "#!/bin/bash\ntrap 'echo usr2' USR2\nwhile :; do sleep 0.05; done\n")
        self.home.start("hup", script)
        for word in ("SIGUSR2", "usr2", str(int(signal.SIGUSR2))):
            self.home.ok("sendSignal", word, "hup")
        self.home.wait_log("hup", "usr2")
        self.assertIn("is no signal", self.home.fails(1, "sendSignal", "SIGNONE", "hup").err)
        self.home.fails(1, "sendSignal", "SIGUSR2", "nobody")


class Configs(PmTest):
    def eco(self, *names, **more):
        return self.home.config([dict({"name": n, "script": child("silent")[0]}, **more) for n in names], "eco.json")

    def pm_stdin(self, text, *args):
        p = self.home.popen(*args, stdin=subprocess.PIPE)
        p.stdin.write(text.encode())
        p.stdin.close()
        p.stdin = None
        return self.home.finish(p)

    def test_actions_take_a_config(self):
        path = self.eco("a", "b")
        self.home.start("other", child("silent"))
        self.home.ok("start", path)
        self.home.ok("stop", path)
        self.assertEqual([self.home.status(n) for n in ("other", "a", "b")], ["online", "stopped", "stopped"])
        self.home.ok("restart", path, "--only", "a")
        self.assertEqual([self.home.status(n) for n in ("a", "b")], ["online", "stopped"])
        self.home.ok("reload", path)
        self.assertEqual(self.home.status("b"), "online")
        self.home.ok("delete", path)
        self.assertEqual([p["name"] for p in self.home.jlist()], ["other"])
        self.home.fails(1, "stop", path)

    def test_a_config_on_standard_input(self):
        text = json.dumps({"apps": [{"name": "in", "script": child("silent")[0], "env": {"PAD%d" % i: "x" * 90000 for i in range(3)}}]})
        self.assertEqual(self.pm_stdin(text, "start", "-").code, 0)
        self.assertEqual(self.home.status("in"), "online")
        self.assertEqual(self.pm_stdin(text, "stop", "-").code, 0)
        self.assertEqual(self.home.status("in"), "stopped")
        self.assertEqual(self.pm_stdin(text, "delete", "-").code, 0)
        self.assertEqual(self.pm_stdin("apps:\n  - script: %s\n    name: yaml\n" % child("silent")[0], "startOrRestart", "-").code, 0)
        self.assertEqual(self.home.status("yaml"), "online")

    def test_start_or(self):
        path = self.eco("a", "b")
        self.home.ok("startOrRestart", path, "--only", "a")
        before = self.home.pid("a")
        self.home.ok("startOrRestart", path)
        self.assertNotEqual(self.home.pid("a"), before)
        self.assertEqual(self.home.status("b"), "online")
        self.assertIn("cannot be reloaded without a gap", self.home.ok("startOrReload", path).err)
        self.home.ok("startOrGracefulReload", path)

    def test_restart_of_a_config_takes_what_it_says_now(self):
        self.home.ok("start", self.eco("a", env={"COLOR": "red"}))
        self.home.ok("restart", self.eco("a", env={"COLOR": "blue"}))
        self.assertEqual(json.loads(self.home.ok("env", "a", "--json").out)["COLOR"], "blue")
        self.assertIn("does not run yet", self.home.fails(1, "restart", self.eco("a", "new")).err)


class StartFlags(PmTest):
    def test_no_autostart(self):
        self.assertIn("added idle (id 0)", self.home.start("idle", child("silent"), "--no-autostart").out)
        self.assertEqual(self.home.status("idle"), "stopped")
        self.home.ok("start", "idle")
        self.assertEqual(self.home.status("idle"), "online")

    def test_pid_file(self):
        path = os.path.join(self.home.work, "a.pid")
        self.home.start("a", child("silent"), "--pid", path)
        wait_until(lambda: read_file(path).strip() == str(self.home.pid("a")), what="the pid file")

    def test_update_env(self):
        self.home.start("a", child("silent"), env={"COLOR": "red"})
        self.home.ok("restart", "a", env={"COLOR": "blue"})
        self.assertEqual(json.loads(self.home.ok("env", "a", "--json").out)["COLOR"], "red")
        self.home.ok("restart", "a", "--update-env", env={"COLOR": "blue"})
        self.assertEqual(json.loads(self.home.ok("env", "a", "--json").out)["COLOR"], "blue")
        self.home.ok("start", "a", "-a", env={"COLOR": "green"})
        self.assertEqual(json.loads(self.home.ok("env", "a", "--json").out)["COLOR"], "green")

    def test_filter_env(self):
        mine = {"CI_JOB": "1", "MY_CI": "2", "KEPT": "3"}
        self.home.start("a", child("silent"), "--filter-env", "CI", env=mine)
        env = json.loads(self.home.ok("env", "a", "--json").out)
        self.assertEqual((env.get("CI_JOB"), env.get("MY_CI"), env.get("KEPT")), (None, None, "3"))
        self.home.start("b", child("silent"), "--filter-env", "true", env=mine)
        self.assertNotIn("KEPT", json.loads(self.home.ok("env", "b", "--json").out))

    def test_flags_without_effect_warn(self):
        result = self.home.start("a", child("silent"), "--no-vizion", "-x")
        for flag in ("--no-vizion", "--execute-command"):
            self.assertIn("%s has no effect" % flag, result.err)
        self.assertEqual(self.home.status("a"), "online")

    def test_no_wait(self):
        self.home.start("slow", child("slow_start", 2000), "--wait-ready", "--no-wait", "--listen-timeout", "20s")
        self.assertEqual(self.home.status("slow"), "launching")

    def test_attach(self):
        p = self.home.popen("start", self.home.file("e.sh", "#!/bin/sh\necho hello\nexec sleep 1000\n"), "--name", "e", "--attach")
        seen = b""
        while b"0|e | hello" not in seen:
            data = os.read(p.stdout.fileno(), 4096)
            self.assertTrue(data, seen)
            seen += data
        p.send_signal(signal.SIGINT)
        self.assertEqual(self.home.finish(p).code, 0)
        self.assertEqual(self.home.status("e"), "online")


class ListForms(PmTest):
    def setUp(self):
        super().setUp()
        for name in ("b", "a", "c"):
            self.home.start(name, child("silent"))

    def order(self, *flags):
        return re.findall(r"(?m)^ *\d+ +(\w+)", self.home.ok("list", *flags).out)

    def test_sort(self):
        self.assertEqual(self.order(), ["a", "b", "c"])
        self.assertEqual(self.order("--sort", "id"), ["b", "a", "c"])
        self.assertEqual(self.order("--sort", "id:desc"), ["c", "a", "b"])
        self.assertEqual(self.order("--sort=name:desc"), ["c", "b", "a"])

    def test_mini_list(self):
        out = self.home.ok("ls", "-m").out
        self.assertEqual(re.findall(r"\+--- (\w)", out), ["a", "b", "c"])
        self.assertRegex(out, r"status +: online")

    def test_options_before_the_command(self):
        self.assertIn("+--- a", self.home.ok("-m", "--sort", "id", "ls").out)

    def test_colours(self):
        self.assertNotIn("\033", self.home.ok("ls").out)
        self.assertIn("\033[32monline", self.home.ok("ls", env={"FORCE_COLOR": "1"}).out)
        self.assertNotIn("\033", self.home.ok("ls", "--no-color", env={"FORCE_COLOR": "1"}).out)
        self.assertNotIn("\033", self.home.ok("ls", env={"FORCE_COLOR": "1", "NO_COLOR": "1"}).out)

    def test_watch_wants_a_terminal(self):
        self.assertIn("terminal", self.home.fails(1, "ls", "--watch").err)


class Screen(PmTest):
    """Forms of log lines, and talking to a process."""

    def setUp(self):
        super().setUp()
        self.home.start("echo", self.home.file("echo.sh", ECHO), "--namespace", "talk")
        self.home.ok("send", "echo", "GET /")
        self.home.wait_log("echo", "got GET /")

    def logs(self, *flags, **kw):
        return self.home.ok("logs", "--nostream", *flags, **kw).out

    def test_json(self):
        line = json.loads(self.logs("echo", "--json"))
        self.assertEqual((line["message"], line["type"], line["process_id"], line["app_name"]), ("got GET /", "out", 0, "echo"))
        self.assertRegex(line["timestamp"], r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$")

    def test_format(self):
        self.assertRegex(self.logs("--format"), r"^timestamp=\S+ app=echo id=0 type=out message=got GET /\n$")

    def test_timestamp(self):
        self.assertRegex(self.logs("--timestamp"), r"^0\|echo \| \d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d{3} got GET /\n$")
        self.assertRegex(self.logs("--timestamp", "HH:mm"), r"^0\|echo \| \d\d:\d\d got GET /\n$")

    def test_highlight(self):
        self.assertIn("got \033[7mGET\033[27m /", self.logs("--highlight", "GET", env={"FORCE_COLOR": "1"}))
        self.assertNotIn("\033", self.logs("--highlight", "GET"))

    def test_selectors(self):
        for word in ("talk", "/^ec/", "0", "echo", "all"):
            self.assertIn("got GET /", self.logs(word), word)
        self.assertEqual(self.logs("--err"), "")
        self.home.fails(1, "logs", "nobody", "--nostream")

    def test_attach(self):
        p = self.home.popen("attach", "echo", stdin=subprocess.PIPE)
        p.stdin.write(b"one\ntwo\n")
        p.stdin.flush()
        seen = b""
        while b"got two" not in seen:
            data = os.read(p.stdout.fileno(), 4096)
            self.assertTrue(data, seen)
            seen += data
        p.stdin.close()
        p.stdin = None
        self.assertEqual(self.home.finish(p).code, 0)
        self.assertIn(b"0|echo | got one\n0|echo | got two\n", seen)
        self.home.fails(1, "attach", "nobody")

    def test_flush(self):
        self.home.ok("flush", "echo")
        self.assertEqual(self.logs(), "")
        self.assertEqual(self.home.app_log("echo"), "")
        self.home.ok("flush")
        self.home.fails(1, "flush", "nobody")


class Saved(PmTest):
    def test_save_and_resurrect(self):
        self.home.start("a", child("silent"))
        self.home.start("b", child("silent"))
        self.home.ok("stop", "b")
        self.assertIn("saved 2 processes", self.home.ok("save").out)
        self.home.ok("delete", "all")
        self.assertIn("was not saved", self.home.ok("save").err)
        self.home.ok("resurrect")
        self.assertEqual({p["name"]: p["pm2_env"]["status"] for p in self.home.jlist()}, {"a": "online", "b": "stopped"})
        before = self.home.pid("a")
        self.assertIn("left a as it is", self.home.ok("resurrect").out)
        self.assertEqual(self.home.pid("a"), before)

    def test_an_empty_list(self):
        self.home.start("a", child("silent"))
        self.home.ok("dump")
        self.home.ok("delete", "a")
        self.home.ok("save", "--force")
        self.home.ok("resurrect")
        self.assertEqual(self.home.jlist(), [])

    def test_cleardump(self):
        self.home.start("a", child("silent"))
        self.home.ok("save")
        self.home.ok("cleardump")
        self.assertEqual(self.home.status("a"), "online")
        self.home.ok("delete", "a")
        self.assertIn("no saved list", self.home.pm("resurrect").err)
        self.assertEqual(self.home.jlist(), [])


class Settings(PmTest):
    def test_set_get_unset(self):
        self.home.ok("set", "shop:mode", "dark")
        self.assertEqual(self.home.ok("get", "shop.mode").out, "dark\n")
        self.assertEqual(self.home.ok("config", "shop.mode").out, "dark\n")
        self.home.ok("config", "shop.mode", "light")
        self.assertEqual(json.loads(self.home.ok("get", "shop.mode", "--json").out), "light")
        self.home.ok("multiset", "a 1 b 2")
        self.assertEqual(json.loads(self.home.ok("conf", "--json").out), {"a": "1", "b": "2", "shop:mode": "light"})
        self.home.ok("unset", "a")
        self.home.fails(1, "get", "a")
        self.home.ok("unset", "all")
        self.assertEqual(json.loads(self.home.ok("conf", "--json").out), {})

    def test_a_key_without_a_value_sets_nothing(self):
        self.home.fails(2, "multiset", "a 1 b")
        self.home.fails(1, "get", "a")

    def test_secrets_are_masked_in_the_overview(self):
        self.home.ok("set", "API_TOKEN", "abc")
        self.assertNotIn("abc", self.home.ok("conf").out)
        self.assertEqual(self.home.ok("get", "API_TOKEN").out, "abc\n")


class Update(PmTest):
    def test_update_touches_no_process(self):
        self.home.start("a", child("silent"))
        pid, engine = self.home.pid("a"), self.home.engine_pid()
        self.home.engine_may_die = True
        self.assertIn("no process was touched", self.home.ok("update").out)
        self.assertNotEqual(self.home.engine_pid(), engine)
        self.assertEqual(self.home.pid("a"), pid)
        self.assertTrue(alive(pid))


if __name__ == "__main__":
    main()
