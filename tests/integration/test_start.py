"""pm start: what can be started, under which name and interpreter, and that it tells the truth."""

import json
import os
import signal
import urllib.request

from harness import PmTest, child, free_port, main, proc_cmdline, proc_environ, read_file, wait_until

NODE_SERVER = """
const http = require('http');
http.createServer((q, r) => r.end('node ' + process.argv.slice(2).join(','))).listen(+process.env.PORT, '127.0.0.1',
    () => console.log('listening'));
"""
PYTHON_SERVER = """
import http.server, os, sys
class H(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200); self.end_headers(); self.wfile.write(b'python')
    def log_message(self, *a): pass
print('serving')
http.server.HTTPServer(('127.0.0.1', int(os.environ['PORT'])), H).serve_forever()
"""
LOOP = "echo begin \"$@\"\nwhile :; do sleep 1; done\n"


def get(port):
    def attempt():
        try:
            return urllib.request.urlopen("http://127.0.0.1:%d/" % port, timeout=5).read().decode()
        except OSError:
            return None
    return wait_until(attempt, what="port %d answers" % port)


class Kinds(PmTest):
    def test_node_script(self):
        port = free_port()
        script = self.home.file("server.js", NODE_SERVER, 0o644)
        self.home.ok("start", script, "--", "a", "b c", env={"PORT": str(port)})
        self.assertEqual(get(port), "node a,b c")
        record = self.home.proc("server")
        self.assertEqual(record["pm2_env"]["exec_interpreter"], "node")
        self.assertEqual(record["pm2_env"]["pm_exec_path"], script)
        self.assertEqual(record["pm2_env"]["args"], ["a", "b c"])
        self.home.wait_log("server", "listening")

    def test_python_script_is_unbuffered(self):
        port = free_port()
        script = self.home.file("web.py", PYTHON_SERVER, 0o644)
        self.home.ok("start", script, env={"PORT": str(port)})
        self.assertEqual(get(port), "python")
        self.home.wait_log("web", "serving")

    def test_shell_script(self):
        script = self.home.file("worker.sh", LOOP, 0o644)
        self.home.ok("start", script, "--", "one", "two")
        self.home.wait_log("worker", "begin one two")
        self.assertEqual(self.home.proc("worker")["pm2_env"]["exec_interpreter"], "bash")

    def test_executable_with_shebang_and_no_extension(self):
        script = self.home.file("tool", "#!/bin/sh\n" + LOOP, 0o755)
        self.home.ok("start", script)
        self.home.wait_log("tool", "begin")
        self.assertEqual(self.home.proc("tool")["pm2_env"]["exec_interpreter"], "none")

    def test_binary(self):
        self.home.ok("start", child("silent")[0])
        self.assertEqual(proc_cmdline(self.home.pid("silent")), child("silent"))

    def test_relative_path(self):
        self.home.file("sub/worker.sh", LOOP)
        self.home.ok("start", "./sub/worker.sh")
        self.assertEqual(self.home.proc("worker")["pm2_env"]["pm_exec_path"], os.path.join(self.home.work, "sub/worker.sh"))

    def test_command_on_path(self):
        self.home.ok("start", "sleep", "--", "1000")
        self.assertEqual(proc_cmdline(self.home.pid("sleep"))[1:], ["1000"])

    def test_command_line_in_quotes(self):
        self.home.ok("start", "echo hello; exec sleep 1000", "--name", "line")
        self.home.wait_log("line", "hello")
        self.assertEqual(self.home.status("line"), "online")

    def test_json_file(self):
        path = self.home.config([{"name": "one", "script": child("silent")[0]},
                                 {"name": "two", "script": "sleep", "args": ["1000"], "interpreter": "none"}])
        self.home.ok("start", path)
        self.assertEqual([p["name"] for p in self.home.jlist()], ["one", "two"])
        self.assertEqual(proc_cmdline(self.home.pid("two"))[1:], ["1000"])

    def test_yaml_file(self):
        self.home.file("worker.sh", LOOP)
        path = self.home.file("ecosystem.yaml", """
# comment
apps:
  - name: "yaml one"
    script: ./worker.sh
    args: [a, "b c"]
    env:
      COLOUR: blue
      NUMBER: 5
  - name: two
    script: worker.sh
    args: 'x "y z"'
""", 0o644)
        self.home.ok("start", path, cwd="/")
        first = self.home.proc("yaml one")
        self.assertEqual(first["pm2_env"]["args"], ["a", "b c"])
        environ = proc_environ(first["pid"])
        self.assertIn(b"COLOUR=blue", environ)
        self.assertIn(b"NUMBER=5", environ)
        self.assertEqual(os.readlink("/proc/%d/cwd" % first["pid"]), self.home.work)
        self.home.wait_log("two", "begin x y z")

    def test_config_forms(self):
        one = {"name": "one", "script": child("silent")[0]}
        self.home.ok("start", self.home.config(one, "bare.json"))
        self.home.file("list.json", json.dumps([dict(one, name="two")]))
        self.home.ok("start", os.path.join(self.home.work, "list.json"))
        self.assertEqual([p["name"] for p in self.home.jlist()], ["one", "two"])

    def test_a_name_that_only_contains_json_is_no_config(self):
        script = self.home.file("my.json.sh", LOOP)
        self.home.ok("start", script)
        self.home.wait_log("my.json", "begin")


class Flags(PmTest):
    def test_name_cwd_interpreter(self):
        script = self.home.file("prog.txt", "import os, time\nprint('cwd', os.getcwd(), flush=True)\ntime.sleep(1000)\n", 0o644)
        self.home.ok("start", script, "--name", "renamed", "--interpreter", "python3", "--cwd", "/usr")
        self.home.wait_log("renamed", "cwd /usr")
        record = self.home.proc("renamed")
        self.assertEqual(record["pm2_env"]["exec_interpreter"], "python3")
        self.assertEqual(record["pm2_env"]["pm_cwd"], "/usr")

    def test_interpreter_none(self):
        script = self.home.file("tool.js", "#!/bin/sh\nexec sleep 1000\n", 0o755)
        self.home.ok("start", script, "--interpreter", "none")
        self.assertEqual(self.home.status("tool"), "online")

    def test_instances(self):
        self.home.start("many", child("silent"), "-i", "3")
        found = self.home.procs("many")
        self.assertEqual([p["pm_id"] for p in found], [0, 1, 2])
        self.assertEqual([p["pm2_env"]["NODE_APP_INSTANCE"] for p in found], [0, 1, 2])
        self.assertEqual(len({p["pid"] for p in found}), 3)
        for p in found:
            self.assertIn(b"NODE_APP_INSTANCE=%d" % p["pm2_env"]["NODE_APP_INSTANCE"], proc_environ(p["pid"]))

    def test_instances_max(self):
        self.home.start("many", child("silent"), "-i", "max")
        self.assertEqual(len(self.home.procs("many")), os.cpu_count())

    def test_env_name(self):
        config = self.home.config([{"name": "a", "script": child("silent")[0], "env": {"MODE": "plain", "BOTH": "base"},
                                    "env_production": {"MODE": "production"}}])
        self.home.ok("start", config, "--env", "production", env={"MODE": "shell", "FROM_SHELL": "yes"})
        environ = proc_environ(self.home.pid("a"))
        self.assertIn(b"MODE=production", environ)
        self.assertIn(b"BOTH=base", environ)
        self.assertIn(b"FROM_SHELL=yes", environ)

    def test_env_name_that_is_not_there_warns(self):
        config = self.home.config([{"name": "a", "script": child("silent")[0], "env": {"MODE": "plain"}}])
        result = self.home.ok("start", config, "--env", "nowhere")
        self.assertIn("nowhere", result.out + result.err)
        self.assertIn(b"MODE=plain", proc_environ(self.home.pid("a")))

    def test_arguments_after_the_dashes_reach_the_program(self):
        self.home.ok("start", child("silent")[0], "--", "--name", "x", "-i", "9", "--")
        self.assertEqual(proc_cmdline(self.home.pid("silent"))[1:], ["--name", "x", "-i", "9", "--"])

    def test_start_of_what_is_known(self):
        self.home.start("a", child("silent"))
        self.home.fails(1, "start", child("silent")[0], "--name", "a")
        self.assertEqual(len(self.home.jlist()), 1)
        self.home.ok("stop", "a")
        self.home.ok("start", "a")
        self.assertEqual(self.home.status("a"), "online")
        self.home.ok("stop", "a")
        self.home.ok("start", "0")
        self.assertEqual(self.home.status("a"), "online")

    def test_ids_only_grow_and_begin_again_when_the_list_is_empty(self):
        for name in "abc":
            self.home.start(name, child("silent"))
        self.home.ok("delete", "b")
        self.home.start("d", child("silent"))
        self.assertEqual([p["pm_id"] for p in self.home.jlist()], [0, 2, 3])
        self.home.ok("delete", "all")
        self.home.start("e", child("silent"))
        self.assertEqual([p["pm_id"] for p in self.home.jlist()], [0])


class Truth(PmTest):
    def test_missing_file(self):
        result = self.home.fails(1, "start", "./nothing-here.js")
        self.assertIn("nothing-here.js", result.err)
        self.assertEqual(self.home.jlist(), [])

    def test_missing_command(self):
        result = self.home.fails(1, "start", "no-such-command-at-all")
        self.assertIn("no-such-command-at-all", result.err)

    def test_missing_interpreter(self):
        script = self.home.file("a.js", "setInterval(() => {}, 1000)\n", 0o644)
        result = self.home.fails(1, "start", script, "--interpreter", "no-such-interpreter")
        self.assertIn("no-such-interpreter", result.err)

    def test_missing_interpreter_by_extension(self):
        script = self.home.file("a.rb", "sleep\n", 0o644)
        if not any(os.path.exists(os.path.join(d, "ruby")) for d in self.home.env["PATH"].split(":")):
            result = self.home.fails(1, "start", script)
            self.assertIn("ruby", result.err)

    def test_missing_shebang_interpreter(self):
        script = self.home.file("tool", "#!/no/such/shell\n", 0o755)
        result = self.home.fails(1, "start", script)
        self.assertIn("/no/such/shell", result.err + result.out)

    def test_exec_failure(self):
        garbage = self.home.file("garbage", b"\x7fELF" + b"\x01\x02\x03" * 50, 0o755)
        result = self.home.fails(1, "start", garbage, "--interpreter", "none")
        self.assertIn("exec", (result.err + result.out).lower())

    def test_file_that_may_not_be_executed(self):
        script = self.home.file("noexec", "#!/bin/sh\nsleep 1000\n", 0o644)
        result = self.home.fails(1, "start", script, "--interpreter", "none")
        self.assertIn("not executable", result.err + result.out)

    def test_missing_working_folder(self):
        result = self.home.fails(1, "start", child("silent")[0], "--cwd", "/no/such/folder")
        self.assertIn("/no/such/folder", result.err + result.out)

    def test_death_at_once_shows_the_last_lines(self):
        script = self.home.file("bad.sh", "echo first >&2\necho 'cannot open the database' >&2\nexit 7\n")
        result = self.home.fails(1, "start", script)
        self.assertIn("cannot open the database", result.err + result.out)
        self.assertRegex(result.err + result.out, r"\b7\b")

    def test_death_at_once_by_signal(self):
        result = self.home.fails(1, "start", child("crash_after")[0], "--name", "c", "--", "0", "signal", int(signal.SIGSEGV))
        self.assertIn("SIGSEGV", result.err + result.out)

    def test_node_syntax_error(self):
        script = self.home.file("broken.js", "this is not javascript\n", 0o644)
        result = self.home.pm("start", script, "--no-autorestart")
        # Node needs more than 100 ms to find out on a slow machine: then the truth is told by why.
        if result.code == 1:
            self.assertIn("SyntaxError", result.err + result.out)
        self.home.wait_status("broken", "stopped")
        self.assertIn("SyntaxError", self.home.ok("why", "broken").out)

    def test_one_of_two_fails(self):
        result = self.home.start_apps([{"name": "good", "script": child("silent")[0]},
                                       {"name": "bad", "script": child("exit_code")[0], "args": ["3"]}], expect=1)
        self.assertIn("bad", result.err + result.out)
        self.assertEqual(self.home.status("good"), "online")


class ConfigErrors(PmTest):
    def test_all_errors_in_one_go_with_places(self):
        path = self.home.file("bad.yaml", """apps:
  - name: a
    script: /bin/sleep
    instances: several
    kill_timeout: [1]
  - name: b
    script: /bin/sleep
    max_restarts: -4
""", 0o644)
        result = self.home.fails(1, "start", path)
        for line in (4, 5, 8):
            self.assertRegex(result.err, r"bad\.yaml:%d:\d+: " % line)
        self.assertEqual(self.home.jlist(), [])

    def test_yaml_syntax_error(self):
        path = self.home.file("bad.yaml", "apps:\n  - name: [a\n  - b\n", 0o644)
        self.assertRegex(self.home.fails(1, "start", path).err, r"bad\.yaml:\d+:\d+: ")

    def test_json_syntax_error(self):
        path = self.home.file("bad.json", '{"apps": [\n {"name": "a",, }\n]}', 0o644)
        self.assertRegex(self.home.fails(1, "start", path).err, r"bad\.json:2:\d+: ")

    def test_unknown_key_is_named(self):
        path = self.home.file("typo.yaml", "apps:\n  - name: a\n    script: /bin/sleep\n    args: '1000'\n    max_restart: 3\n", 0o644)
        result = self.home.pm("start", path)
        self.assertIn("max_restart", result.err)
        self.assertRegex(result.err, r"typo\.yaml:5:\d+: ")

    def test_missing_script_key(self):
        path = self.home.file("none.json", '{"apps": [{"name": "a"}]}', 0o644)
        self.assertIn("script", self.home.fails(1, "start", path).err)

    def test_missing_config_file(self):
        self.assertIn("gone.yaml", self.home.fails(1, "start", "gone.yaml").err)


class Environment(PmTest):
    def test_what_an_app_gets(self):
        self.home.start("a b", child("silent"), "-i", "2", env={"FROM_SHELL": "x=y"})
        second = self.home.procs("a b")[1]
        environ = dict(v.split(b"=", 1) for v in proc_environ(second["pid"]) if v)
        self.assertEqual(environ[b"FROM_SHELL"], b"x=y")
        self.assertEqual(environ[b"PM_HOME"].decode(), self.home.path)
        self.assertEqual(environ[b"PM2_HOME"].decode(), self.home.path)
        self.assertEqual(environ[b"pm_id"], b"1")
        self.assertEqual(environ[b"NODE_APP_INSTANCE"], b"1")
        self.assertEqual(environ[b"name"], b"a b")
        self.assertRegex(environ[b"PM_RUN_ID"], rb"^[0-9a-f]{8}\.[0-9]+$")
        for leaked in (b"pm_exec_path", b"restart_time", b"status", b"unstable_restarts", b"LISTEN_FDS"):
            self.assertNotIn(leaked, environ)

    def test_run_id_is_new_with_every_run(self):
        def run_id():
            return [v for v in proc_environ(self.home.pid("a")) if v.startswith(b"PM_RUN_ID=")]
        self.home.start("a", child("silent"))
        first = run_id()
        self.home.ok("restart", "a")
        self.assertNotEqual(first, run_id())

    def test_child_has_only_its_own_descriptors(self):
        self.home.start("a", child("silent"))
        pid = self.home.pid("a")
        self.assertEqual(sorted(os.listdir("/proc/%d/fd" % pid)), ["0", "1", "2"])
        status = read_file("/proc/%d/status" % pid)
        for mask in ("SigBlk", "SigIgn"):
            self.assertRegex(status, r"%s:\s+0{16}\n" % mask)
        self.assertEqual(os.getsid(pid), pid)

    def test_stdout_can_be_opened_again(self):
        self.home.ok("start", "echo by name > /dev/stdout; exec sleep 1000", "--name", "a")
        self.home.wait_log("a", "by name")

    def test_secrets_are_masked(self):
        secrets = {"DB_PASSWORD": "hush-1", "API_TOKEN": "hush-2", "AWS_SECRET_ACCESS_KEY": "hush-3", "PLAIN": "shown"}
        self.home.start("a", child("silent"), env=secrets)
        jlist = self.home.ok("jlist").out
        for command in (["describe", "a"], ["list"], ["why", "a"]):
            self.assertNotIn("hush", self.home.ok(*command).out)
        self.assertNotIn("hush", jlist)
        self.assertNotIn("hush", self.home.log())
        record = json.loads(jlist)[0]["pm2_env"]
        self.assertEqual(record["env"]["PLAIN"], "shown")
        self.assertEqual(record["env"]["DB_PASSWORD"], "********")
        self.assertIn(b"DB_PASSWORD=hush-1", proc_environ(self.home.pid("a")))

    def test_state_is_for_the_owner_only(self):
        self.home.start("a", child("silent"))
        self.assertEqual(os.stat(self.home.path).st_mode & 0o777, 0o700)
        for name in ("state.db", "logs.db", "pm.sock", "attach.sock", "pmd.log"):
            self.assertEqual(os.stat(os.path.join(self.home.path, name)).st_mode & 0o077, 0, name)


if __name__ == "__main__":
    main()
