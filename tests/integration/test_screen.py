"""What commands print on a terminal: within its width, in its colours, and a word where there is nothing to show."""

import fcntl
import json
import os
import pty
import re
import struct
import termios
import unicodedata

from harness import PmTest, child, main, wait_until

SGR = re.compile(r"\033\[[0-9;]*m")


def columns(text):
    """Columns of a terminal; no locale of the test is asked."""
    return sum(0 if unicodedata.combining(c) or c in "\u200d\ufe0f" else 2 if unicodedata.east_asian_width(c) in "WF" else 1 for c in text)


class Screen(PmTest):
    def screen(self, *words, width=80, code=0, **env):
        """Runs pm with a terminal of this width as its input, output and errors; returns what came, with \\n at the ends of lines."""
        ours, theirs = pty.openpty()
        try:
            fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 40, width, 0, 0))
            env = dict({"TERM": "xterm", "NO_COLOR": None, "COLUMNS": None, "LANG": "C.UTF-8"}, **env)
            p = self.home.popen(*words, stdin=theirs, stdout=theirs, stderr=theirs, env=env)
        finally:
            os.close(theirs)
        data = b""
        while True:
            try:
                piece = os.read(ours, 65536)
            except OSError:  # EIO: nobody holds the other side any more
                break
            if not piece:
                break
            data += piece
        os.close(ours)
        self.assertEqual(self.home.finish(p).code, code, data)
        return data.decode().replace("\r\n", "\n")

    def check_width(self, text, width, what):
        for line in SGR.sub("", text).splitlines():
            self.assertLessEqual(columns(line), width, "%s: %r" % (what, line))


class Lists(Screen):
    NAMES = ("api", "データ処理-worker", "🚀 rocket", "cafe\u0301", "a-name-that-is-longer-than-any-column-of-a-narrow-terminal-can-be")

    SHORT = ("0", "1", "2", "3", "off", "bad")

    def setUp(self):
        super().setUp()
        self.home.start_apps([{"name": n, "script": child("silent")[0]} for n in self.NAMES] +
                             [{"name": "off", "script": child("silent")[0], "autostart": False},
                              {"name": "bad", "script": self.home.file("bad.sh", "#!/bin/sh\nexit 3\n"), "max_restarts": 1}], expect=1)
        self.home.wait_status("bad", "errored")

    def test_list_fits(self):
        for width in (36, 60, 80, 120, 160):
            out = self.screen("list", width=width)
            table = "".join(l for l in out.splitlines(True) if l[0] in "┌├└│")
            self.check_width(table, width, "list")
            box = [columns(l) for l in SGR.sub("", table).splitlines()]
            self.assertEqual(len(box), 4 + 7)
            self.assertEqual(len(set(box)), 1, out)

    def test_columns(self):
        wide = self.screen("list", width=200)
        for title in ("id", "name", "namespace", "version", "mode", "pid", "uptime", "↺", "status", "cpu", "mem", "user", "watching"):
            self.assertIn(title, wide)
        narrow = self.screen("list", width=80)
        self.assertNotIn("namespace", narrow)
        for title in ("pid", "uptime", "↺", "status", "cpu", "mem"):
            self.assertIn(title, narrow)
        self.assertIn("+--- api\n", self.screen("list", width=30, NO_COLOR="1"))

    def test_colours(self):
        out = self.screen("list")
        self.assertIn("\033[32monline", out)
        self.assertIn("\033[31mstopped", out)
        self.assertIn("\033[31merrored", out)
        self.assertIn("1 errored; the reason: pm why bad", out)
        for how in ({"NO_COLOR": "1"}, {"TERM": "dumb"}):
            self.assertNotIn("\033", self.screen("list", **how))
        self.assertNotIn("\033", self.screen("list", "--no-color"))

    def test_describe_and_why_fit(self):
        for width in (60, 80, 160):
            # Paths are not broken: they are copied more often than read.
            out = re.sub(r"/\S+", "", self.screen("describe", *self.SHORT, width=width))
            self.check_width(out, width, "describe")
            self.check_width(self.screen("why", *self.SHORT, width=width), width, "why")
        self.assertIn("next: pm logs api, pm why api, pm env 0", self.screen("describe", "api"))
        self.assertRegex(self.screen("describe", "all", NO_COLOR="1"), r"(?m)^api \(id 0\) ─+$")


class Help(Screen):
    def test_help_fits(self):
        commands = re.findall(r"(?m)^  (\w+) ", self.home.ok("help").out.split("\n\n", 2)[2].split("\nOptions of every")[0])
        self.assertGreater(len(commands), 30)
        for width in (60, 80):
            self.check_width(self.screen("help", width=width), width, "help")
            for command in commands:
                out = self.screen("help", command, width=width).split("\033[1mExamples")[0]
                self.check_width(out, width, command)

    def test_topics(self):
        out = self.home.ok("help").out
        topics = ("Start and stop", "Look", "Logs and input", "Keep the list", "Settings of your own", "The daemon", "Help")
        self.assertEqual([l for l in out.splitlines() if l in topics], list(topics))
        start = self.home.ok("help", "start").out
        for group in ("What to start", "A config file", "Logs", "Restarts", "Becoming ready, and stopping", "This call"):
            self.assertIn("\n%s\n" % group, start)

    def test_alone(self):
        result = self.home.fails(1)
        self.assertIn("usage: pm <command>", result.err)
        self.assertLess(len(result.err.splitlines()), 12)
        self.assertEqual(result.out, "")


class Logs(Screen):
    def test_no_lines(self):
        self.home.start("a", child("silent"))
        self.assertIn("no lines are there\n", self.screen("logs", "a", "--nostream"))
        self.assertIn("no lines are there of standard error\n", self.screen("logs", "--err", "--nostream"))
        quiet = self.home.ok("logs", "--nostream")
        self.assertEqual((quiet.out, quiet.err), ("", ""))
        self.home.ok("delete", "a")
        self.assertIn("the list is empty: pm start adds a process\n", self.screen("logs", "--nostream"))

    def test_disabled(self):
        self.home.start("a", [self.home.file("a.sh", "#!/bin/sh\necho hello\nexec sleep 1000\n")], "--disable-logs")
        self.home.start("b", [self.home.file("b.sh", "#!/bin/sh\necho from b\nexec sleep 1000\n")])
        wait_until(lambda: self.home.history("b"), what="b's line")
        for words in (["a"], ["0"], ["all"], ["default"], []):
            result = self.home.ok("logs", *words, "--nostream")
            self.assertIn("a keeps no logs (disable_logs)", result.err)
            self.assertNotIn("hello", result.out)
        self.assertNotIn("disable_logs", self.home.ok("logs", "b", "--nostream").err)
        self.assertFalse(os.path.exists(self.home.log_path("a")))
        self.assertRegex(self.home.ok("describe", "a").out, r"logs disabled +yes")

    def test_json_lines_in_the_files(self):
        script = self.home.file("j.py", "import os, time\nos.write(1, b'one\\ntwo \\xe2\\x82')\ntime.sleep(0.2)\n"
                                        "os.write(1, b'\\xac \"quoted\"\\n')\nos.write(2, b'wrong\\n')\ntime.sleep(1000)\n", 0o644)
        self.home.start("j", [script], "--log-type", "json")
        self.home.wait_log("j", "quoted")
        self.home.wait_log("j", "wrong", "error")
        lines = [json.loads(l) for l in self.home.app_log("j").splitlines()]
        self.assertEqual([l["message"] for l in lines], ["one", "two € \"quoted\""])
        self.assertEqual({(l["type"], l["process_id"], l["app_name"]) for l in lines}, {("out", 0, "j")})
        self.assertEqual(json.loads(self.home.app_log("j", "error"))["type"], "err")

    def test_prefixes(self):
        say = self.home.file("say.sh", "#!/bin/sh\necho to out\necho to err >&2\nexec sleep 1000\n")
        for name in ("a", "longer-name", "a-name-that-is-longer-than-a-third-of-the-terminal"):
            self.home.start(name, [say])
        wait_until(lambda: len(self.home.history("all")) == 6, what="all lines")
        out = self.screen("logs", "--nostream")
        self.assertEqual(len({SGR.sub("", l).index(" | ") for l in out.splitlines()}), 1, out)
        self.assertEqual(max(SGR.sub("", l).index(" | ") for l in out.splitlines()), 80 // 3)
        colours = {(m[1], m[2]) for m in re.finditer(r"(?m)^\033\[(\d+)m(\d)\|.* \| \033\[0mto out$", out)}
        self.assertEqual(len({c for c, _ in colours}), 3)
        self.assertEqual(len(re.findall(r"(?m)^\033\[31m\d\|.* \| \033\[0mto err$", out)), 3)
        self.assertEqual(out, self.screen("logs", "--nostream"))
        # A program gets the whole name.
        self.assertIn("2|a-name-that-is-longer-than-a-third-of-the-terminal | to out\n", self.home.ok("logs", "--nostream").out)


if __name__ == "__main__":
    main()
