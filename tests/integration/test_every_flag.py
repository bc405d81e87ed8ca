"""Every command and flag: what PM2's list has is taken, taken with a warning, or refused with a reason; what pm has is tested.

docs/commands.md is made from the command table, so it tells which commands and flags there are.
"""

import ast
import glob
import json
import os
import pty
import re
import signal
import subprocess
import unittest

from harness import IS_ROOT, PmTest, child, main, read_file, wait_until

HERE = os.path.dirname(os.path.abspath(__file__))
SILENT = child("silent")[0]
SCRIPT = "#!/bin/sh\necho begin\necho trouble >&2\nexec sleep 1000\n"

# PM2's commands. Each has help here, or is refused with one line that says what to use instead.
PM2_COMMANDS = """start restart stop delete del reload startOrRestart startOrReload startOrGracefulReload scale list ls l ps status jlist
prettylist describe desc info show env pid id logs log flush reloadLogs monit dashboard dash imonit save dump resurrect cleardump update
updatePM2 deepUpdate kill ping reset sendSignal send attach trigger inspect set get unset conf config multiset startup unstartup logrotate
serve expose ecosystem init deploy install uninstall module:update module:generate publish package report completion examples slist
sysinfos create autoinstall pull forward backward link unlink plus login logout monitor unmonitor open profile:cpu profile:mem
install-otel uninstall-otel web""".split()

# PM2's options that set something of the app: how they are given, the field of jlist, and what it is then.
KEYED = [
    (["--namespace", "shop"], "namespace", "shop"),
    (["--cwd", "/usr"], "pm_cwd", "/usr"),
    (["--interpreter", "sh"], "exec_interpreter", "sh"),
    (["--interpreter-args", "-e"], "node_args", ["-e"]),
    (["--node-args=-e"], "node_args", ["-e"]),
    (["-o", "WORK/o.log"], "pm_out_log_path", "WORK/o.log"),
    (["--output=WORK/o.log"], "pm_out_log_path", "WORK/o.log"),
    (["-e", "WORK/e.log"], "pm_err_log_path", "WORK/e.log"),
    (["--error", "WORK/e.log"], "pm_err_log_path", "WORK/e.log"),
    (["--log=WORK/l.log"], "pm_log_path", "WORK/l.log"),
    (["-l", "WORK/l.log"], "pm_log_path", "WORK/l.log"),
    (["--log", "WORK/l.log"], "pm_log_path", "WORK/l.log"),
    (["--log-type", "json"], "log_type", "json"),
    (["--time"], "log_date_format", "YYYY-MM-DDTHH:mm:ss"),
    (["--log-date-format", "HH:mm"], "log_date_format", "HH:mm"),
    (["--merge-logs"], "merge_logs", True),
    (["--no-autorestart"], "autorestart", False),
    (["--max-restarts", "5"], "max_restarts", 5),
    (["--min-uptime", "2s"], "min_uptime", 2000),
    (["--max-memory-restart", "100M"], "max_memory_restart", 100 << 20),
    (["-c", "0 4 * * *"], "cron_restart", "0 4 * * *"),
    (["--cron", "0 4 * * *"], "cron_restart", "0 4 * * *"),
    (["--cron-restart", "0 4 * * *"], "cron_restart", "0 4 * * *"),
    (["--restart-delay", "30"], "restart_delay", 30),
    (["--exp-backoff-restart-delay", "1m"], "exp_backoff_restart_delay", 60000),
    (["--stop-exit-codes", "3", "4"], "stop_exit_codes", [3, 4]),
    (["--stop-exit-codes", "3,4"], "stop_exit_codes", [3, 4]),
    (["--listen-timeout", "500ms"], "listen_timeout", 500),
    (["--kill-timeout", "2s"], "kill_timeout", 2000),
    (["-k", "700"], "kill_timeout", 700),
    (["--shutdown-with-message"], "shutdown_with_message", True),
    (["--no-treekill"], "treekill", False),
    (["--watch"], "watch", True),
    (["-w"], "watch", True),
    (["--watch", "src"], "watch", True),
    (["--watch=src", "--watch=lib"], "watch", True),
    (["--ignore-watch", "tmp"], "ignore_watch", ["tmp"]),
    (["--watch-delay", "4000ms", "--watch=src"], "watch_delay", 4000),
    (["--watch-delay", "4", "--watch=src"], "watch_delay", 4000),
    (["--ext", "js,json"], "ext", ["js,json"]),
    (["-p", "WORK/a.pid"], "pm_pid_path", "WORK/a.pid"),
    (["--pid", "WORK/a.pid"], "pm_pid_path", "WORK/a.pid"),
] + ([
    (["-u", "nobody"], "uid", "nobody"),
    (["--user", "nobody"], "uid", "nobody"),
    (["--uid", "65534"], "uid", "65534"),
    (["--gid", "nogroup"], "gid", "nogroup"),
] if IS_ROOT else [])

IDLE = [["-x"],
        ["--execute-command"], ["--disable-source-map-support"], ["--no-vizion"], ["--no-pmx"], ["--no-automation"]]

REFUSED = [["--no-daemon"], ["--write"], ["--hp", "/x"], ["--service-name", "x"], ["--wait-ip"], ["--trace"], ["--v8"],
           ["--event-loop-inspector"], ["--deep-monitoring"]]

# Of PM2's list, those with a test of their own below or elsewhere.
ELSEWHERE = ["--version", "--silent", "--name", "--mini-list", "--filter-env", "--disable-logs", "--env", "--update-env", "--force", "--instances",
             "--parallel", "--only", "--wait-ready", "--no-color", "--no-autostart", "--sort", "--attach", "--source-map-support"]

PM2_OPTIONS = """--version --silent --ext --name --mini-list --interpreter --interpreter-args --node-args --output --error --log --filter-env
--log-type --log-date-format --time --disable-logs --env --update-env --force --instances --parallel --shutdown-with-message --pid
--kill-timeout --listen-timeout --max-memory-restart --restart-delay --exp-backoff-restart-delay --execute-command --max-restarts --user --uid
--gid --namespace --cwd --hp --wait-ip --service-name --cron --cron-restart --write --no-daemon --only --wait-ready --merge-logs --watch
--ignore-watch --watch-delay --no-color --no-autostart --no-autorestart --stop-exit-codes --no-treekill --no-pmx --no-automation --no-vizion
--trace --v8 --deep-monitoring --sort --attach --source-map-support --disable-source-map-support""".split()


def documented():
    """{command: its flags} of docs/commands.md; the flags of every command are those of ""."""
    found, command = {"": set()}, ""
    for line in read_file(os.path.join(HERE, "..", "..", "docs", "commands.md")).splitlines():
        heading, same = re.match(r"### (\w+)$", line), re.match(r"Options: those of `(\w+)`", line)
        if heading:
            command = heading.group(1)
            found[command] = set()
        elif same:
            found[command] = found[same.group(1)]
        elif line.startswith("| `-"):
            found[command] |= set(re.findall(r"--[\w-]+", line.split(" | ")[0]))
    return found


class Uses(ast.NodeVisitor):
    """Which texts stand together in one test: its own, those of the helpers of its class, and of the tables that it names."""

    def __init__(self, tree):
        self.tables = {t.id: texts_of(n.value) for n in tree.body if isinstance(n, ast.Assign) for t in n.targets if isinstance(t, ast.Name)}
        self.together = []
        self.visit(tree)

    def visit_ClassDef(self, node):
        methods = {n.name: n for n in node.body if isinstance(n, ast.FunctionDef)}
        parts = {t.id: n for n in node.body if isinstance(n, ast.Assign) for t in n.targets}
        parts.update(methods)
        for method in methods.values():
            texts = texts_of(method)
            for n in ast.walk(method):
                if isinstance(n, ast.Attribute) and n.attr in parts:
                    texts |= texts_of(parts[n.attr])
            # self.home.start(...) and self.start(...) are pm start.
            texts |= {n.func.attr for n in ast.walk(method) if isinstance(n, ast.Call) and isinstance(n.func, ast.Attribute)}
            for n in ast.walk(method):
                if isinstance(n, ast.Name):
                    texts |= self.tables.get(n.id, set())
            self.together.append(texts)


def texts_of(node):
    words = {n.value for n in ast.walk(node) if isinstance(n, ast.Constant) and isinstance(n.value, str)}
    return words | {w.split("=")[0] for w in words if w.startswith("--")}


class Complete(unittest.TestCase):
    def test_every_flag_of_every_command_is_used_by_a_test(self):
        together = []
        for path in glob.glob(os.path.join(HERE, "test_*.py")):
            together += Uses(ast.parse(read_file(path))).together
        table = documented()
        self.assertGreater(len(table), 30)
        self.assertGreater(len(table["start"]), 40)
        missing = ["pm %s %s" % (command, flag) for command, flags in table.items() for flag in sorted(flags)
                   if not any((not command or command in texts) and flag in texts for texts in together)]
        missing += ["pm " + command for command in table if command and not any(command in texts for texts in together)]
        self.assertEqual(missing, [])

    def test_every_option_of_pm2_is_in_a_table(self):
        known = {w.split("=")[0] for words in [k[0] for k in KEYED] + IDLE + REFUSED for w in words if w.startswith("--")} | set(ELSEWHERE)
        if not IS_ROOT:
            known |= {"--user", "--uid", "--gid"}
        self.assertEqual([o for o in PM2_OPTIONS if o not in known], [])

    def test_every_option_of_pm2_is_an_option(self):
        flags = set().union(*documented().values())
        self.assertEqual([o for o in PM2_OPTIONS if o not in flags], [])


class Commands(PmTest):
    def test_every_command_of_pm2(self):
        for command in PM2_COMMANDS:
            result = self.home.pm(command, "--help")
            if result.code == 0:
                self.assertIn("usage: pm ", result.out)
                continue
            result = self.home.fails(2, command, "x")
            self.assertRegex(result.err, r'^\[pm\] error: pm has no command "%s": .{20,}\n$' % re.escape(command))
            self.assertEqual(result.out, "")
        self.assertEqual(self.home.daemons(), [])

    def test_options_of_every_command(self):
        for command in documented():
            if command:
                self.assertIn("usage: pm %s" % command, self.home.ok(command, "-h").out)
                self.assertIn("usage: pm %s" % command, self.home.ok("--help", command).out)
                self.assertRegex(self.home.ok(command, "-v").out, r"^\d+\.\d+\.\d+")
                self.assertIn("%s has no option --nonsense" % command, self.home.fails(2, command, "--nonsense").err)
        for flag in ("-v", "-V", "--version"):
            self.assertRegex(self.home.ok(flag).out, r"^\d+\.\d+\.\d+\S*\n$")
        self.assertEqual(self.home.daemons(), [])

    def test_options_of_other_commands(self):
        self.assertIn("pm stop has no option --watch, which belongs to pm start", self.home.fails(2, "stop", "x", "--watch").err)
        self.assertIn("pm has no --no-daemon: run pmd --no-daemon", self.home.fails(2, "list", "--no-daemon").err)


class StartOptions(PmTest):
    """Options of start, beside the same ones on what else takes a config file."""

    limit = 180

    def filled(self, value):
        if isinstance(value, list):
            return [self.filled(v) for v in value]
        return value.replace("WORK", self.home.work) if isinstance(value, str) else value

    def file(self, name):
        return self.home.config([{"name": name, "namespace": "shop", "script": self.home.file("app.sh", SCRIPT), "interpreter": "bash"}], name + ".json")

    def check(self, name, key, value, *words):
        self.assertEqual(self.home.proc(name)["pm2_env"].get(key), self.filled(value), "%s: %s" % (words, key))

    def test_each_before_the_script(self):
        script = self.home.file("app.sh", SCRIPT)
        for i, (words, key, value) in enumerate(KEYED):
            name = "k%d" % i
            result = self.home.ok(*self.filled(words), "--name", name, "start", script) if i % 2 and words[0] not in ("-l", "--log", "--watch") else \
                self.home.ok("start", script, "-n", name, *self.filled(words), "--no-wait")
            self.assertNotIn("warning", result.err)
            self.check(name, key, value, *words)
        for name, text in (("o.log", "begin"), ("e.log", "trouble"), ("l.log", "begin")):
            wait_until(lambda name=name, text=text: text in read_file(os.path.join(self.home.work, name)), what=text + " in " + name)

    def all_words(self):
        last = {key: (words, value) for words, key, value in KEYED if words != ["--time"]}
        return [w for words, _ in last.values() for w in self.filled(words)]

    def test_all_over_a_config(self):
        def apply(command, *more):
            self.home.ok(command, path, *self.all_words(), *more)
            for words, key, value in KEYED:
                if words != ["--time"] and words[0] != "--kill-timeout":
                    self.check("a", key, value if words[0] not in ("-u", "--user") else "65534", command)
        path = self.file("a")
        apply("start")
        for command in ("restart", "reload", "startOrRestart", "startOrReload"):
            before = self.home.pid("a")
            # The file as it is: every option is gone again.
            self.home.ok("start", path)
            self.check("a", "max_restarts", 16)
            self.check("a", "exec_interpreter", "bash")
            apply(command)
            self.assertNotEqual(self.home.pid("a"), before)
        self.home.ok("delete", path)
        apply("startOrRestart")

    def test_what_has_no_effect_warns(self):
        script = self.home.file("app.sh", SCRIPT)
        path = self.file("known")
        self.home.ok("start", path)
        for i, words in enumerate(IDLE):
            result = self.home.ok("start", script, "--name", "i%d" % i, "--no-wait", *words)
            self.assertRegex(result.err, r"\[pm\] warning: --[\w-]+ has no effect: .{10,}\n")
            self.assertEqual(result.err.count("has no effect"), 1)
        together = [w for words in IDLE for w in words]
        for command in ("restart", "reload", "startOrRestart", "startOrReload"):
            result = self.home.ok(command, path, *together)
            names = {w.split("=")[0] for w in together if w.startswith("--")}
            self.assertEqual(set(re.findall(r"(--[\w-]+) has no effect", result.err)), names)

    def test_what_is_not_here_is_refused(self):
        self.home.ok("start", self.file("known"))
        before = self.home.pid("known")
        for words in REFUSED:
            for command in ("start", "restart", "reload", "startOrRestart", "startOrReload"):
                result = self.home.fails(2, command, self.file("known"), *words)
                self.assertRegex(result.err, r"^\[pm\] error: pm has no %s: .{10,}\n$" % words[0])
            self.home.fails(2, *words, "start", SILENT)
        self.assertEqual(self.home.pid("known"), before)

    def test_wrong_values(self):
        for words, message in ((["--max-restarts", "-1"], "--max-restarts: must be at least 0"), (["--max-restarts=-1"], "must be at least 0"),
                               (["-k", "soon"], "--kill-timeout: expected a duration"), (["--min-uptime", "1"], "--min-uptime: must be at least 100"),
                               (["-i", "-5000"], "--instances: must be at least -4096"), (["-i", "many"], "expected a whole number or \"max\""),
                               (["--log-type", "xml"], '"json"'), (["--stop-signal", "SIGNONE"], "--stop-signal: expected a signal"),
                               (["--stop-exit-codes", "256"], "must be at most 255"), (["--name", ""], "--name: must not be empty"),
                               (["--name"], "--name needs a value: --name NAME"), (["--force=1"], "--force takes no value"),
                               (["-f1"], "pm start has no option -1"), (["--nmae", "x"], "did you mean --name?")):
            for target in (SILENT, self.file("a")):
                self.assertIn(message, self.home.fails(2, "start", target, *words).err, words)
        self.assertEqual(self.home.daemons(), [])

    def test_short_ones_combine(self):
        self.home.ok("start", SILENT, "-fi", "2", "-nx", "-k=700")
        self.assertEqual([(p["name"], p["pm2_env"]["kill_timeout"]) for p in self.home.jlist()], [("x", 700)] * 2)
        self.home.ok("start", SILENT, "-fsi2", "-n", "x")
        self.assertEqual(len(self.home.procs("x")), 4)

    def test_instances(self):
        path = self.file("a")
        self.home.ok("start", SILENT, "-i", "max", "--name", "all")
        cpus = len(self.home.procs("all"))
        self.assertIn(cpus, range(1, len(os.sched_getaffinity(0)) + 1))  # a quota of the cgroup may bound it
        for i, (given, count) in enumerate((("max", cpus), ("0", cpus), ("-1", max(1, cpus - 1)), ("3", 3))):
            self.home.ok("start", SILENT, "--instances", given, "--name", "s%d" % i)
            self.assertEqual(len(self.home.procs("s%d" % i)), count, given)
            self.home.ok("start", path, "-i", given)
            self.assertEqual(len(self.home.procs("a")), count, given)
            # As with the key: the files of several processes end in their ids.
            self.assertRegex(self.home.procs("a")[0]["pm2_env"]["pm_out_log_path"], r"-\d+\.log$")
            self.home.ok("delete", "a")
        self.home.ok("startOrRestart", path, "--instances", "2")
        for command in ("start", "restart", "reload", "startOrRestart", "startOrReload"):
            for n in (4, 3):
                self.home.ok(command, path, "-i", str(n))
                self.assertEqual(len(self.home.procs("a")), n, command)
        self.assertIn("pm scale a N", self.home.ok("restart", "a", "-i", "5").err)
        self.assertEqual(len(self.home.procs("a")), 3)

    def test_name_of_an_app_of_a_config(self):
        path = self.home.config([{"name": n, "script": SILENT} for n in "ab"])
        self.assertIn("of", self.home.fails(2, "start", path, "--name", "c").err)
        self.home.ok("start", path, "--name", "c", "--only", "a")
        self.assertEqual([p["name"] for p in self.home.jlist()], ["c"])
        for command in ("restart", "reload", "startOrRestart", "startOrReload"):
            self.home.ok(command, path, "--name", "c", "--only", "a")
        self.assertEqual(len(self.home.jlist()), 1)

    def test_options_over_a_config_are_looked_at(self):
        path = self.file("a")
        self.assertIn("interpreter \"no-such\" not found", self.home.fails(1, "start", path, "--interpreter", "no-such").err)
        self.assertIn("/no/such", self.home.fails(1, "start", path, "--cwd", "/no/such").err)
        self.assertIn("no user \"nobody-here\"", self.home.fails(1, "start", path, "-u", "nobody-here").err)
        self.assertEqual(self.home.daemons(), [])

    def test_source_map_support(self):
        script = self.home.file("a.js", "console.log(process.execArgv.join()); setInterval(() => {}, 1000);\n")
        self.home.ok("start", script, "--source-map-support")
        self.home.wait_log("a", "--enable-source-maps")
        path = self.home.config([{"name": "b", "script": script}])
        for command in ("start", "restart", "reload", "startOrRestart", "startOrReload"):
            self.home.ok(command, path, "--source-map-support")
            self.assertEqual(self.home.proc("b")["pm2_env"]["node_args"], ["--enable-source-maps"], command)
        self.assertIn("--node-args=--enable-source-maps", self.home.ok("restart", "b", "--source-map-support").err)

    def test_stop_signal(self):
        path = self.home.config([{"name": "a", "script": self.home.file("t.sh", "trap 'echo got USR1; exit' USR1\nwhile :; do sleep 0.05; done\n")}])
        for command in ("start", "restart", "reload", "startOrRestart", "startOrReload"):
            self.home.ok(command, path, "--stop-signal", "usr1")
            self.home.ok("flush", "a")
            self.home.ok("stop", "a")
            self.home.wait_log("a", "got USR1")

    def test_disable_logs(self):
        path = self.file("a")
        for command in ("start", "restart", "reload", "startOrRestart", "startOrReload"):
            self.home.ok(command, path, "--disable-logs")
        self.assertEqual(self.home.app_log("a"), "")
        self.home.ok("restart", path)
        self.home.wait_log("a", "begin")

    def test_wait_ready(self):
        ready = self.home.config([{"name": "r", "script": child("ready_notify")[0]}])
        for command in ("start", "restart", "reload", "startOrRestart", "startOrReload"):
            self.home.ok(command, ready, "--wait-ready", "--wait")
            self.assertTrue(self.home.proc("r")["pm2_env"]["wait_ready"])
        never = self.home.file("never.sh", SCRIPT)
        result = self.home.fails(1, "start", never, "--wait-ready", "--listen-timeout", "300", "--no-autorestart")
        self.assertIn("never", result.err)

    def test_no_wait(self):
        path = self.home.config([{"name": "slow", "script": child("slow_start")[0], "args": ["60000"], "wait_ready": True, "listen_timeout": "1m"}])
        for command in ("start", "restart", "reload", "startOrRestart", "startOrReload"):
            self.home.ok(command, path, "--no-wait")
            self.home.wait_status("slow", "launching")

    def test_autostart_and_force(self):
        path = self.file("a")
        self.home.ok("start", path, "--no-autostart")
        self.assertEqual(self.home.status("a"), "stopped")
        for command in ("startOrRestart", "startOrReload"):
            self.home.ok("delete", path)
            self.home.ok(command, path, "--no-autostart")
            self.assertEqual(self.home.status("a"), "stopped")
        self.home.ok("delete", path)
        self.home.ok("start", path)
        for n, command in enumerate(("start", "startOrRestart", "startOrReload"), 2):
            self.home.ok(command, path, "--force")
            self.assertEqual(len(self.home.procs("a")), n)
        for command in ("restart", "reload"):
            self.assertEqual(self.home.pm(command, "a", "--no-autostart", "--force").code in (0, 2), True)

    def test_env(self):
        path = self.home.config([{"name": "a", "script": SILENT, "append_env_to_name": True, "env": {"M": "0"}, "env_x": {"M": "1"}}])
        shell = {"KEPT": "1", "CI_TOKEN_X": "2"}
        for command in ("start", "restart", "reload", "startOrRestart", "startOrReload"):
            self.home.ok(command, path, "--env", "x", "--filter-env", "CI_", "--update-env", env=shell)
            env = json.loads(self.home.ok("env", "a-x", "--json").out)
            self.assertEqual((env["M"], env.get("KEPT"), env.get("CI_TOKEN_X")), ("1", "1", None), command)
        for command in ("stop", "reset", "flush", "delete"):
            self.home.ok(command, path, "--only", "a", "--env", "x")
        self.assertEqual(self.home.jlist(), [])

    def test_attach(self):
        path = self.file("a")
        for command in ("start", "restart", "reload", "startOrRestart", "startOrReload"):
            p = self.home.popen(command, path, "--attach", "--silent")
            seen = b""
            while b"0|a | begin" not in seen:
                data = os.read(p.stdout.fileno(), 4096)
                self.assertTrue(data, seen)
                seen += data
            p.send_signal(signal.SIGINT)
            self.assertEqual(self.home.finish(p).code, 0)
            self.assertEqual(self.home.status("a"), "online")


class Tables(PmTest):
    """--mini-list and --sort where an action prints the list after it, and the options that act on a config."""

    ACTIONS = (["start", "b"], ["restart", "a"], ["reload", "a"], ["startOrRestart", "FILE"], ["startOrReload", "FILE"], ["reset", "a"],
               ["sendSignal", "SIGCONT", "a"], ["stop", "a"], ["scale", "a", "2"], ["flush", "a"], ["delete", "b"])

    def setUp(self):
        super().setUp()
        self.path = self.home.config([{"name": n, "script": SILENT} for n in "ab"])
        self.home.ok("start", self.path)

    def on_terminal(self, *words):
        """What pm prints on a terminal of 80 columns."""
        ours, theirs = pty.openpty()
        p = self.home.popen(*words, stdout=theirs, stderr=subprocess.PIPE, env={"COLUMNS": "80", "TERM": "xterm"})
        os.close(theirs)
        seen = b""
        while True:
            try:
                data = os.read(ours, 65536)
            except OSError:
                break
            if not data:
                break
            seen += data
        os.close(ours)
        self.assertEqual(self.home.finish(p).code, 0, words)
        return re.sub(r"\033\[[\d;]*m", "", seen.decode())

    def words(self, words):
        return [self.path if w == "FILE" else w for w in words]

    def test_view(self):
        for words in self.ACTIONS:
            out = self.on_terminal(*self.words(words), "--mini-list", "--sort", "name:desc")
            if words[0] not in ("flush", "reset", "sendSignal"):
                self.assertIn("+--- a", out, words)
            if words[0] not in ("flush", "reset", "sendSignal", "delete"):
                self.assertGreater(out.rindex("+--- a"), out.rindex("+--- b"), words)

    def test_list(self):
        self.assertIn("+--- a", self.home.ok("list", "--mini-list").out)

    def test_resurrect(self):
        self.home.ok("save")
        self.home.ok("delete", "all")
        out = self.on_terminal("resurrect", "--mini-list", "--sort", "name:desc")
        self.assertGreater(out.index("+--- a"), out.index("+--- b"))

    def test_wrong_order(self):
        for words in self.ACTIONS:
            result = self.home.fails(2, *self.words(words), "--sort", "colour")
            self.assertIn("name, namespace, id", result.err)
        self.assertEqual(len(self.home.jlist()), 2)

    def test_only(self):
        for command in ("restart", "reload", "startOrRestart", "startOrReload", "start", "reset", "flush", "stop"):
            self.home.ok(command, self.path, "--only", "b")
            self.assertIn('has no app "c"', self.home.fails(1, command, self.path, "--only", "c").err)
        self.assertEqual((self.home.status("a"), self.home.status("b")), ("online", "stopped"))
        self.assertEqual(self.home.restarts("a"), 0)
        self.home.ok("delete", self.path, "--only", "b")
        self.assertEqual([p["name"] for p in self.home.jlist()], ["a"])

    def test_parallel(self):
        for words in self.ACTIONS:
            self.home.ok(*self.words(words), "--parallel", "1")

    def test_json(self):
        for words in (["reset", "a"], ["sendSignal", "SIGCONT", "a"], ["stop", "a"], ["delete", "b"]):
            self.assertEqual(json.loads(self.home.ok(*words, "--json").out)[0]["ok"], True, words)
        self.assertIsInstance(json.loads(self.home.ok("scale", "a", "3", "--json").out), (list, dict))
        self.home.ok("flush", "a", "--json")
        for command in ("list", "why", "describe", "env", "id", "pid"):
            json.loads(self.home.ok(command, *([] if command == "list" else ["a" if command != "env" else "0"]), "--json").out)
        self.home.ok("set", "shop.mode", "dark")
        for command, *words in (["set"], ["get", "shop.mode"], ["conf"], ["config", "shop.mode"], ["report"]):
            json.loads(self.home.ok(command, *words, "--json").out)


if __name__ == "__main__":
    main()
