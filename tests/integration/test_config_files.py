"""Config files: the ecosystem file that most people have, forms of files, odd files, and mistakes that must do nothing."""

import contextlib
import glob
import json
import os
import re
import shutil
import subprocess
import unittest

from harness import PmTest, alive, child, main, proc_environ, read_file, wait_until

CONFIGS = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "configs")
SILENT = child("silent")[0]
NODE = shutil.which("node")
STARTED = r"^\[pm\] started (\S+) \(id \d+, pid \d+\)$"
SAYS_ITS_ENVIRONMENT = """
console.log('out', process.env.NODE_ENV, process.env.PORT);
console.error('err', process.env.NODE_ENV, process.env.PORT);
setInterval(() => {}, 1000);
"""


class ConfigTest(PmTest):
    def pm_stdin(self, text, *args, **kw):
        p = self.home.popen(*args, stdin=subprocess.PIPE, **kw)
        with contextlib.suppress(BrokenPipeError), p.stdin as pipe:
            pipe.write(text if isinstance(text, bytes) else text.encode())
        p.stdin = None
        return self.home.finish(p)

    def start(self, name, text, *flags, code=0, **kw):
        return self.home.fails(code, "start", self.home.file(name, text, 0o644), *flags, **kw)

    def names(self):
        return [p["name"] for p in self.home.jlist()]


@unittest.skipUnless(NODE, "needs node")
class Ecosystem(ConfigTest):
    """name, script, instances: max, exec_mode, watch, a limit of memory, env, env_production, log files and their times."""

    def check(self, file, flags, node_env, port):
        for name in ("ecosystem.config.js", "ecosystem.yaml"):
            shutil.copy(os.path.join(CONFIGS, "good", name), self.home.work)
        self.home.file("server.js", SAYS_ITS_ENVIRONMENT, 0o644)
        result = self.home.ok("start", file, *flags, env={"NODE_ENV": "shell"})
        self.assertEqual(len(result.err.strip().splitlines()), result.err.count("started the daemon"), result.err)
        processes = self.home.procs("web")
        self.assertEqual([p["pm_id"] for p in processes], list(range(processes[0]["pm2_env"]["instances"])))
        self.assertEqual({p["pm2_env"]["exec_mode"] for p in processes}, {"cluster_mode"})
        for p in processes:
            environ = proc_environ(p["pid"])
            self.assertIn(("NODE_ENV=" + node_env).encode(), environ)
            self.assertIn(("PORT=" + port).encode(), environ)
            self.assertEqual(os.readlink("/proc/%d/cwd" % p["pid"]), self.home.work)
            self.assertEqual(p["pm2_env"]["exec_interpreter"], "node")
            for stream, word in (("out", "out"), ("err", "err")):
                path = os.path.join(self.home.work, "logs", "%s-%d.log" % (stream, p["pm_id"]))
                self.assertEqual(p["pm2_env"]["pm_%s_log_path" % stream], path)
                wait_until(lambda path=path: "\n" in read_file(path), what="a line in " + path)
                self.assertRegex(read_file(path), r"^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d [+-]\d\d:\d\d: %s %s %s\n$" % (word, node_env, port))

    def test_javascript(self):
        self.check("ecosystem.config.js", [], "development", "3000")

    def test_javascript_in_production(self):
        self.check("ecosystem.config.js", ["--env", "production"], "production", "8080")

    def test_yaml(self):
        self.check("ecosystem.yaml", [], "development", "3000")

    def test_yaml_in_production(self):
        self.check("ecosystem.yaml", ["--env", "production"], "production", "8080")


class Mistakes(ConfigTest):
    limit = 180

    def test_every_bad_config_says_where_and_does_nothing(self):
        self.home.start("kept", child("silent"))
        before, files = self.home.pid("kept"), sorted(glob.glob(os.path.join(CONFIGS, "bad", "*.*")))
        self.assertGreaterEqual(len(files), 60)
        for path in files:
            expected = re.search(r"expect: (.*)", read_file(path)).group(1).split(" | ")
            result = self.home.fails(1, "start", path, env={"HOME": "/root"})
            self.assertEqual(result.out, "", path)
            # What a config prints itself goes to stderr too.
            errors = [l for l in result.err.splitlines() if l.startswith("[pm] error: ")]
            self.assertEqual(len(errors), len(expected), "%s: %s" % (path, result.err))
            for line, want in zip(errors, expected):
                place, message = re.match(r"(\d+:\d+: )?(.*)", want).groups("")
                self.assertTrue(line.startswith("[pm] error: %s:%s" % (path, place)), "%s, not %s" % (line, want))
                self.assertIn(message, line)
        self.assertEqual(self.names(), ["kept"])
        self.assertEqual(self.home.pid("kept"), before)
        self.assertTrue(alive(before))

    def test_no_daemon_is_started_for_a_bad_config(self):
        for name in ("unknown_key.yaml", "unclosed.json", "throws.config.js", "no_script.yaml"):
            self.home.fails(1, "start", os.path.join(CONFIGS, "bad", name))
        self.assertEqual(self.home.daemons(), [])

    def test_one_bad_file_of_two_starts_nothing(self):
        good = self.home.config([{"name": "good", "script": SILENT}])
        self.home.fails(1, "start", good, os.path.join(CONFIGS, "bad", "no_script.yaml"))
        self.assertEqual(self.home.daemons(), [])

    def test_a_bad_file_stops_nothing(self):
        path = self.home.config([{"name": "a", "script": SILENT}], "a.json")
        self.home.ok("start", path)
        before = self.home.pid("a")
        self.home.file("a.json", '{"apps": [{"name": "a", "script": "%s", "kill_timeout": -1}]}' % SILENT)
        for command in ("restart", "reload", "startOrRestart", "startOrReload", "stop", "delete", "reset", "flush"):
            self.assertIn("a.json:1:", self.home.fails(1, command, path).err)
        self.assertEqual(self.home.pid("a"), before)


class OddFiles(ConfigTest):
    def refuse(self, name, *parts):
        result = self.home.fails(1, "start", name)
        self.assertEqual(len(result.err.strip().splitlines()), 1, result.err)
        for part in parts:
            self.assertIn(part, result.err)
        self.assertEqual(self.home.daemons(), [])

    def test_bytes_that_are_no_text(self):
        self.home.file("nul.yaml", b"apps:\0\n")
        self.refuse("nul.yaml", "nul.yaml:1:6: a NUL byte")
        self.home.file("nul.json", b'{"apps":\0[]}')
        self.refuse("nul.json", "nul.json:1:9: a NUL byte")
        self.home.file("latin.yaml", b"apps:\n  - name: caf\xe9\n")
        self.refuse("latin.yaml", "latin.yaml:2:")

    def test_tabs(self):
        self.home.file("tab.yaml", "apps:\n\t- script: x\n")
        self.refuse("tab.yaml", "tab.yaml:2:1: a tab; YAML is indented by spaces")

    def test_too_large(self):
        for name in ("big.yaml", "big.json", "big.config.js"):
            os.truncate(self.home.file(name, ""), 100 << 20)
            self.refuse(name, "%s: " % name, "larger than 16777216 bytes")

    def test_no_files(self):
        os.mkdir(os.path.join(self.home.work, "dir.yaml"))
        os.mkfifo(os.path.join(self.home.work, "fifo.yaml"))
        os.symlink("loop.yaml", os.path.join(self.home.work, "loop.yaml"))
        self.refuse("dir.yaml", "dir.yaml: is a folder")
        self.refuse("fifo.yaml", "fifo.yaml: is not a regular file; hand it over on standard input: pm start - < FILE")
        self.refuse("gone.yaml", "gone.yaml: cannot read", "No such file")
        self.refuse("loop.yaml", "loop.yaml: cannot read", "Too many levels")
        self.refuse("/dev/stdin", "is not a file; a config on standard input is \"-\"")

    def test_unreadable(self):
        home = self.new_home(user=65534) if os.geteuid() == 0 else self.home
        path = home.file("secret.yaml", "apps: []\n", 0o000)
        self.assertIn("secret.yaml: cannot read %s: Permission denied" % path, home.fails(1, "start", "secret.yaml").err)

    def test_mark_at_the_begin_and_line_ends_of_windows(self):
        self.home.file("e.env", b"\xef\xbb\xbfexport A=\"x y\" # why\r\nB=2\r\n\r\n  # none\r\nC='q\\n'\r\nD= two words  # cut\r\nE=\"a\\nb\"\r\n")
        yaml = "\ufeffapps:\r\n  - name: bom\r\n    script: %s\r\n    env_file: e.env\r\n    env:\r\n      B: over\r\n" % SILENT
        self.start("bom.yaml", yaml)
        env = json.loads(self.home.ok("env", "bom", "--json").out)
        self.assertEqual([env[k] for k in "ABCDE"], ["x y", "over", "q\\n", "two words", "a\nb"])
        self.start("bom.json", "\ufeff{\"name\": \"json\", \"script\": \"%s\"}\r\n" % SILENT)
        self.assertEqual(self.names(), ["bom", "json"])

    def test_bad_env_files(self):
        self.home.file("app.yaml", "{script: %s, name: a, env_file: e.env}\n" % SILENT)
        for text, message in (("A=1\nB=\"two\nlines\"\n", "line 2: the closing quote is missing (a value ends in its line"), ("nonsense\n", "line 1: expected NAME=value"),
                              ("A B=1\n", 'line 1: the name "A B" has a blank in it'), ("=1\n", "line 1: the name: must not be empty"), ("A=\0\n", "a NUL byte")):
            self.home.file("e.env", text)
            self.refuse("app.yaml", "app.yaml:1:", "e.env", message)
        os.unlink(os.path.join(self.home.work, "e.env"))
        self.refuse("app.yaml", "env_file: cannot read", "No such file")


class Forms(ConfigTest):
    def test_anchors_and_merge_keys(self):
        self.start("m.yaml", """
x-a: &a {kill_timeout: 1s, max_restarts: 3, env: {A: 1}}
x-b: &b {kill_timeout: 2s, min_uptime: 5s, env: {B: 2}}
base: &base
  <<: *a
  max_restarts: 7
apps:
  - {name: one, script: %(s)s, <<: [*a, *b], max_restarts: 9}
  - {name: two, script: %(s)s, <<: *base, args: &args [x, y]}
  - {name: three, args: *args, <<: [*b, *a], script: %(s)s}
""" % {"s": SILENT})
        got = [(e["kill_timeout"], e["max_restarts"], e["min_uptime"], e.get("args"), e["env"].get("A"), e["env"].get("B"))
               for e in (p["pm2_env"] for p in self.home.jlist())]
        self.assertEqual(got, [(1000, 9, 5000, None, "1", None), (1000, 7, 1000, ["x", "y"], "1", None), (2000, 3, 5000, ["x", "y"], None, "2")])

    def test_lenient_json(self):
        self.start("c.json", '// apps\n{"apps": [ /* one */ {"name": "a", "script": "%s",}, ],}\n' % SILENT)
        self.assertEqual(self.names(), ["a"])

    def test_shapes(self):
        app = "{name: %s, script: " + SILENT + "}"
        for name, text in (("bare", app), ("list", "[" + app + "]"), ("apps", "{apps: [" + app + "]}"), ("one", "{apps: " + app + "}"), ("pm2", "{pm2: [" + app + "]}")):
            self.start(name + ".yaml", text % name)
        self.assertEqual(self.names(), ["bare", "list", "apps", "one", "pm2"])

    @unittest.skipUnless(NODE, "needs node")
    def test_javascript(self):
        for name, text in (("a.config.js", "console.log('noise'); module.exports = {apps: [{name: 'a', script: '%s'}]}"),
                           ("b.config.cjs", "exports.apps = {name: 'b', script: '%s'}"),
                           ("c.config.mjs", "export default {apps: [{name: 'c', script: '%s'}]}"),
                           ("d.config.mjs", "export const apps = [{name: 'd', script: '%s'}]"),
                           ("e.config.js", "module.exports = new Promise((r) => setTimeout(r, 10, {apps: [{name: 'e', script: '%s'}]}))"),
                           ("f.json", "{apps: [{name: 'f', script: '%s', env: {N: 6 * 7}}]}"),
                           ("g.json", "module.exports = {apps: [{name: 'g', script: '%s'}]}")):
            result = self.start(name, text % SILENT)
            self.assertRegex(result.out.strip(), STARTED)
        self.assertEqual(self.names(), list("abcdefg"))
        self.assertEqual(self.home.proc("f")["pm2_env"]["env"]["N"], "42")

    def test_javascript_without_node(self):
        tools = os.path.join(self.home.tmp, "tools")
        os.mkdir(tools)
        for name in ("bash", "sh"):
            os.symlink(shutil.which(name), os.path.join(tools, name))
        for name in ("x.config.js", "x.json"):
            result = self.start(name, "{apps: ['%s'.trim()]}" % SILENT, code=1, env={"PATH": tools})
            self.assertIn("node is not installed (it is not on PATH)", result.err)
        self.assertIn("x.json:1:", result.err)

    def test_real_extension(self):
        for name in ("my.json.sh", "x.config.js.sh", "a.yaml.bak"):
            self.home.ok("start", self.home.file(name, "#!/bin/sh\nexec sleep 1000\n"))
        self.assertEqual(self.names(), ["my.json", "x.config.js", "a.yaml"])
        self.assertIn("cannot tell how to run", self.home.fails(1, "start", self.home.file("conf.yamlx", "apps: []\n")).err)

    def test_several_files_and_only(self):
        paths = [self.home.config([{"name": n + m, "script": SILENT} for m in "xy"], n + ".json") for n in "ab"]
        self.home.ok("start", *paths)
        self.assertEqual(self.names(), ["ax", "ay", "bx", "by"])
        self.assertIn('has no app "zz"', self.home.fails(1, "restart", paths[0], "--only", "ax,zz").err)
        self.home.ok("delete", paths[0], "--only", "ax ay")
        self.assertEqual(self.names(), ["bx", "by"])

    def test_stop_and_delete_of_what_is_gone(self):
        """Names are all that a stop needs: not the script, its folder or its env_file. A start needs them."""
        gone = [self.home.file("gone/%s" % name, "#!/bin/sh\nexec sleep 1000\n") for name in ("a.sh", "b.sh")]
        env_file = self.home.file("gone/env", "A=1\n")
        path = self.home.config([{"name": "named", "script": gone[0], "cwd": os.path.dirname(gone[0]), "env_file": env_file},
                                 {"script": gone[1], "cwd": os.path.dirname(gone[1])}])
        self.home.ok("start", path)
        shutil.rmtree(os.path.dirname(gone[0]))
        self.home.ok("stop", path, "--only", "named")
        self.assertEqual([p["pm2_env"]["status"] for p in self.home.jlist()], ["stopped", "online"])
        self.assertIn("gone", self.home.fails(1, "start", path).err)
        self.home.ok("delete", path)
        self.assertEqual(self.home.jlist(), [])

    def test_only_means_the_name_in_the_file(self):
        path = self.home.config([{"name": n, "name_prefix": "shop", "script": SILENT} for n in "ab"])
        self.home.ok("start", path, "--only", "b")
        self.assertEqual(self.names(), ["shop:b"])

    def test_two_apps_of_one_name(self):
        path = self.home.config([{"name": "twin", "script": SILENT, "args": [a]} for a in ("one", "two")])
        def running():
            return [p["pm2_env"]["args"] for p in self.home.jlist()]
        self.home.ok("start", path)
        self.assertEqual(running(), [["one"], ["two"]])
        self.home.ok("start", path)
        self.assertEqual(running(), [["one"], ["two"]])

    def test_standard_input_of_several_megabytes(self):
        pad = "# " + "x" * 77 + "\n"
        text = pad * (5 * 1024 * 1024 // len(pad)) + "apps:\n  - {name: late, script: %s}\n" % SILENT
        self.assertEqual(self.pm_stdin(text, "start", "-").code, 0)
        self.assertEqual(self.names(), ["late"])
        result = self.pm_stdin(b"# " + b"x" * (17 << 20), "start", "-")
        self.assertEqual((result.code, result.err), (1, "[pm] error: <stdin>: larger than 16 MiB\n"))

    def test_standard_input_of_nothing(self):
        for text, part in (("", "<stdin>"), ("\n\n", "<stdin>"), ("{", "<stdin>:1:")):
            result = self.pm_stdin(text, "start", "-")
            self.assertEqual(result.code, 1)
            self.assertIn(part, result.err)
            self.assertEqual(len(result.err.splitlines()), 1, result.err)
        self.assertEqual(self.home.daemons(), [])

    def test_paths(self):
        self.home.file("deep/app.sh", "exec sleep 1000\n")
        self.home.file("home.sh", "exec sleep 1000\n")
        os.mkdir(os.path.join(self.home.work, "logs"))
        self.home.file("deep/eco.yaml", "- {script: app.sh, out_file: o.log, pid_file: ~/a.pid}\n- {script: ~/home.sh, cwd: ../logs, err: e.log}\n", 0o644)
        self.home.ok("start", "deep/eco.yaml")
        app, other = self.home.proc("app")["pm2_env"], self.home.proc("home")["pm2_env"]
        work = self.home.work
        self.assertEqual((app["pm_cwd"], app["pm_out_log_path"], app["pm_pid_path"]), (work + "/deep", work + "/deep/o.log", work + "/a.pid"))
        self.assertEqual((other["pm_cwd"], other["pm_exec_path"], other["pm_err_log_path"]), (work + "/logs", work + "/home.sh", work + "/logs/e.log"))

    def test_variables(self):
        self.start("v.yaml", "{name: '${APP}-${N:-1}', script: %s, max_restarts: '${MAX}', env: {COST: '$$5', HOME_OF: '${APP}${NONE:-}'}}" % SILENT,
                   env={"APP": "shop", "MAX": "4"})
        env = self.home.proc("shop-1")["pm2_env"]
        self.assertEqual((env["max_restarts"], env["env"]["COST"], env["env"]["HOME_OF"]), (4, "$5", "shop"))

    def test_keys_without_effect(self):
        result = self.start("later.yaml", "{name: a, script: %s, vizion: false, pmx: false, deep_monitoring: true}" % SILENT)
        self.assertRegex(result.err, r"deep_monitoring: ignored, it is about PM2's hosted dashboard")
        self.assertEqual(self.names(), ["a"])

    def test_units(self):
        self.start("u.yaml", "{name: a, script: %s, kill_timeout: 500ms, min_uptime: 2h, restart_delay: 3s, listenTimeout: 2m, exp_backoff_restart_delay: 100}" % SILENT)
        env = self.home.proc("a")["pm2_env"]
        self.assertEqual([env[k] for k in ("kill_timeout", "min_uptime", "restart_delay", "listen_timeout", "exp_backoff_restart_delay")],
                         [500, 7200000, 3000, 120000, 100])
        for size, n in (("100G", 100 << 30), ("100000K", 100000 << 10), ("1000M", 1000 << 20), ("1GiB", 1 << 30), ("900000KB", 900000 << 10), ("3000000000", 3000000000)):
            self.start("s.yaml", "{name: s, script: %s, max_memory_restart: %s}" % (SILENT, size))
            self.assertEqual(self.home.proc("s")["pm2_env"]["max_memory_restart"], n)
        for size in ("0.1G", "1T", "lots"):
            self.assertIn("expected a size", self.start("s.yaml", "{name: s, script: %s, max_memory_restart: %s}" % (SILENT, size), code=1).err)


if __name__ == "__main__":
    main()
