"""What the word after pm start means: something known, a file, a program, a command line; its interpreter and its name."""

import os
import shutil

from harness import PmTest, child, main, proc_cmdline

SILENT = child("silent")[0]
WAIT = "#!/bin/sh\nexec sleep 1000\n"
# The programs that run a script, by its extension; of several the first that is there.
BY_EXTENSION = (("sh", ("bash", "sh")), ("py", ("python3", "python")), ("rb", ("ruby",)), ("php", ("php",)), ("pl", ("perl",)), ("js", ("node",)),
                ("mjs", ("node",)), ("cjs", ("node",)), ("ts", ("bun", "node")), ("mts", ("bun", "node")), ("tsx", ("bun",)),
                ("coffee", ("coffee",)), ("ls", ("lsc",)))
# It is asked, too, whether it runs TypeScript, and answers on descriptor 3.
FAKE = "#!/bin/sh\n[ \"$1\" = --no-warnings ] && { echo 'v{\"strips\":%s}' >&3; exit; }\nexec sleep 1000\n"


class Known(PmTest):
    def restarts_of(self, word):
        before = {p["pm_id"]: p["pid"] for p in self.home.jlist()}
        self.home.ok("start", word)
        after = {p["pm_id"]: p["pid"] for p in self.home.jlist()}
        self.assertEqual(set(before), set(after))
        return sorted(i for i in before if before[i] != after[i])

    def test_names_ids_namespaces(self):
        self.home.start_apps([{"name": "api", "script": SILENT, "instances": 2, "namespace": "shop"}, {"name": "my.worker", "script": SILENT, "namespace": "shop"},
                              {"name": "7", "script": SILENT}])
        self.assertEqual(self.restarts_of("api"), [0, 1])
        self.assertEqual(self.restarts_of("my.worker"), [2])
        self.assertEqual(self.restarts_of("shop"), [0, 1, 2])
        self.assertEqual(self.restarts_of("1"), [1])
        self.assertEqual(self.restarts_of("7"), [3])
        self.assertEqual(self.restarts_of("all"), [0, 1, 2, 3])
        self.assertIn("no process has the id 99", self.home.fails(1, "start", "99").err)

    def test_a_name_goes_before_a_file_unless_it_has_an_extension(self):
        self.home.start("tool", child("silent"))
        self.home.start("run.sh", child("silent"))
        self.home.file("tool", WAIT)
        self.assertEqual(self.restarts_of("tool"), [0])
        self.home.ok("start", "./tool", "--name", "file")
        self.home.file("run.sh", WAIT)
        self.home.ok("start", "run.sh")
        self.assertEqual([p["name"] for p in self.home.jlist()], ["tool", "run.sh", "file", "run"])

    def test_a_file_whose_name_is_a_number(self):
        self.home.file("5", WAIT)
        self.home.ok("start", "5")
        self.assertEqual(self.home.status("5"), "online")

    def test_same_script_and_name(self):
        self.home.start("a", child("silent"))
        result = self.home.fails(1, "start", SILENT, "--name", "a")
        self.assertIn("is running already", result.err)
        self.home.ok("stop", "a")
        self.home.ok("start", SILENT, "--name", "a")
        self.assertEqual([p["pm2_env"]["status"] for p in self.home.jlist()], ["online"])
        self.home.ok("start", SILENT, "--name", "a", "-f")
        self.home.ok("start", self.home.file("other.sh", WAIT), "--name", "a")
        self.assertEqual([p["name"] for p in self.home.jlist()], ["a"] * 3)

    def test_several_words_one_name(self):
        self.home.ok("start", SILENT, self.home.file("b.sh", WAIT), "--name", "both")
        self.assertEqual(len(self.home.procs("both")), 2)

    def test_a_bad_word_among_several_starts_nothing(self):
        result = self.home.fails(1, "start", SILENT, "no-such-thing", "--name", "x")
        self.assertIn('no program "no-such-thing" on PATH', result.err)
        self.assertEqual(self.home.daemons(), [])


class Files(PmTest):
    def interpreter(self, name):
        return self.home.proc(name)["pm2_env"]["exec_interpreter"]

    def tools(self, *names, strips="true"):
        """A PATH with only these programs, which do nothing, and what their scripts need."""
        folder = os.path.join(self.home.tmp, "tools")
        shutil.rmtree(folder, ignore_errors=True)
        os.mkdir(folder)
        os.symlink(shutil.which("sleep"), os.path.join(folder, "sleep"))
        for name in names:
            with open(os.path.join(folder, name), "w") as f:
                f.write(FAKE % strips)
            os.chmod(f.name, 0o755)
        return {"PATH": folder}

    def test_interpreter_by_extension(self):
        for extension, programs in BY_EXTENSION:
            path = self.home.file("%s-app.%s" % (extension, extension), "1\n", 0o644)
            for program in programs:
                self.home.ok("start", path, "--no-wait", env=self.tools(program))
                self.assertEqual(self.interpreter(extension + "-app"), program)
                self.home.ok("delete", extension + "-app")
            self.home.ok("start", path, "--no-wait", env=self.tools(*programs))
            self.assertEqual(self.interpreter(extension + "-app"), programs[0])
            result = self.home.fails(1, "start", path, "-f", env=self.tools())
            self.assertEqual(result.err, '[pm] error: interpreter "%s" not found on PATH; install it or give --interpreter\n' % programs[0])
        self.assertEqual(len(self.home.jlist()), len(BY_EXTENSION))

    def test_typescript_on_an_old_node(self):
        path = self.home.file("a.ts", "1\n", 0o644)
        old = self.tools("node", strips="false")
        self.assertIn("TypeScript needs bun, or node 22.18 or newer", self.home.fails(1, "start", path, env=old).err)
        self.assertEqual(self.home.daemons(), [])
        self.home.ok("start", path, "--node-args=--import=tsx", "--no-wait", env=old)
        self.assertEqual(self.interpreter("a"), "node")

    def test_python_by_another_name(self):
        path = self.home.file("a.txt", "1\n", 0o644)
        self.home.ok("start", path, "--interpreter", "python", "--no-wait", env=self.tools("python3"))
        self.assertEqual(self.interpreter("a"), "python3")
        self.assertEqual(self.home.proc("a")["pm2_env"]["env"]["PYTHONUNBUFFERED"], "1")

    def test_scripts_by_their_first_line(self):
        for name, first, mode, interpreter in (("run", "#!/bin/sh", 0o755, "none"), ("plain", "#!/bin/sh -e", 0o644, "/bin/sh"), ("envs", "#!/usr/bin/env sh", 0o755, "none"),
                                               ("env-plain", "#!/usr/bin/env -S sh -e", 0o644, "sh")):
            self.home.ok("start", self.home.file(name, first + "\nexec sleep 1000\n", mode))
            self.assertEqual(self.interpreter(name), interpreter)
        for name, text, part in (("crlf", "#!/bin/sh\r\n", "CR LF"), ("lost", "#!/no/such\n", 'names "/no/such", which is not there'), ("words", "hello\n", "no known extension and no #! line"),
                                 ("empty", "", "is empty"), ("data", b"\0\1", "is not executable")):
            path = self.home.file(name, text, 0o644 if name == "data" else 0o755)
            self.assertIn(part, self.home.fails(1, "start", path).err)

    def test_interpreter_none(self):
        self.home.ok("start", self.home.file("a.js", WAIT), "--interpreter", "none")
        self.assertEqual(proc_cmdline(self.home.pid("a")), ["sleep", "1000"])
        self.assertIn("has no #! line", self.home.fails(1, "start", self.home.file("b.js", "1\n"), "--interpreter", "none").err)
        self.assertIn("is not executable", self.home.fails(1, "start", self.home.file("c.js", WAIT, 0o644), "--interpreter", "none").err)

    def test_interpreter_that_is_a_path(self):
        folder = self.tools("mine")["PATH"]
        self.home.ok("start", self.home.file("a.txt", "1\n", 0o644), "--interpreter", folder + "/mine")
        self.assertEqual(self.interpreter("a"), folder + "/mine")
        self.assertIn("is not an executable file", self.home.fails(1, "start", "a.txt", "-n", "b", "--interpreter", "./nope").err)

    def test_path_is_taken_from_here_or_from_cwd(self):
        self.home.file("deep/in.sh", WAIT)
        self.home.file("here.sh", WAIT)
        self.home.ok("start", "in.sh", "--cwd", "deep")
        self.home.ok("start", "here.sh", "--cwd", "deep")
        for name, path in (("in", "deep/in.sh"), ("here", "here.sh")):
            self.assertEqual(self.home.proc(name)["pm2_env"]["pm_exec_path"], os.path.join(self.home.work, path))
            self.assertEqual(self.home.proc(name)["pm2_env"]["pm_cwd"], os.path.join(self.home.work, "deep"))

    def test_programs_on_path(self):
        tools = self.tools("tool", "tool.py")
        self.home.ok("start", "sleep", "--", "1000")
        self.home.ok("start", "tool", "tool.py", env=tools)
        self.assertEqual([(p["name"], p["pm2_env"]["exec_interpreter"]) for p in self.home.jlist()], [("sleep", "none"), ("tool", "none"), ("tool", "none")])
        # A file of this folder goes before a program.
        self.home.ok("start", self.home.file("sleep", WAIT), "--name", "file")
        self.home.ok("delete", "sleep")
        self.home.ok("start", "sleep")
        self.assertEqual(self.home.proc("sleep")["pm2_env"]["pm_exec_path"], os.path.join(self.home.work, "sleep"))


class CommandLines(PmTest):
    def test_shell(self):
        self.home.ok("start", "echo \"a  b\"; exec sleep 1000", "--name", "line")
        self.home.wait_log("line", "a  b\n")
        record = self.home.proc("line")["pm2_env"]
        self.assertEqual((os.path.basename(record["pm_exec_path"]), record["exec_interpreter"], record["args"]),
                         ("bash", "none", ["-c", "echo \"a  b\"; exec sleep 1000"]))

    def test_arguments_after_it(self):
        self.home.ok("start", "printf '<%s>'", "--name", "line", "--no-autorestart", "--no-wait", "--", "a b", "$HOME")
        self.home.wait_log("line", "<a b><$HOME>")

    def test_without_bash(self):
        folder = os.path.join(self.home.tmp, "tools")
        os.mkdir(folder)
        for name in ("sh", "sleep"):
            os.symlink(shutil.which(name), os.path.join(folder, name))
        self.home.ok("start", "exec sleep 1000", env={"PATH": folder})
        self.assertEqual(self.home.jlist()[0]["pm2_env"]["pm_exec_path"], folder + "/sh")

    def test_a_file_with_a_space_in_its_name(self):
        self.home.ok("start", self.home.file("my app.sh", WAIT))
        self.assertEqual(self.home.proc("my app")["pm2_env"]["exec_interpreter"], "bash")

    def test_names(self):
        for word, name in (("exec sleep 1000", "exec sleep 1000"), ("exec sleep 100.5", "exec sleep 100.5"), ("exec /bin/sleep 1000", "exec -bin-sleep 1000")):
            self.home.ok("start", word)
            self.assertEqual(self.home.status(name), "online")
        for file, name in (("a.b.sh", "a.b"), (".hidden", ".hidden"), ("x.y/plain", "plain"), ("caf\u00e9.sh", "caf\u00e9")):
            self.home.ok("start", self.home.file(file, WAIT))
            self.assertEqual(self.home.status(name), "online")


class Nothing(PmTest):
    def test_no_word(self):
        self.assertIn("what to start?", self.home.fails(2, "start").err)
        for name in ("ecosystem.yaml", "ecosystem.yml", "ecosystem.json"):
            self.home.file(name, '{"name": "%s", "script": "%s"}' % (name[10:], SILENT))
            self.home.ok("start")
            os.unlink(os.path.join(self.home.work, name))
        self.assertEqual([p["name"] for p in self.home.jlist()], ["yaml", "yml", "json"])

    def test_what_is_no_script(self):
        for word, part in (("", "the script is empty"), ("  ", "the script is empty"), (".", "is a folder"), ("/dev/null", "is not a file"), ("./gone.sh", "script not found"),
                           ("gone", 'no program "gone" on PATH')):
            result = self.home.fails(1, "start", word)
            self.assertIn(part, result.err)
            self.assertEqual(len(result.err.splitlines()), 1)
        self.assertIn("the list is empty", self.home.fails(1, "start", "all").err)
        self.assertEqual(self.home.daemons(), [])


if __name__ == "__main__":
    main()
