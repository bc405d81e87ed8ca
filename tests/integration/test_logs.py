"""Log files, rows, the logs command and its live stream."""

import os
import re
import signal
import stat

from harness import PmTest, alive, child, main, read_file, scaled, wait_until

BOTH = "echo to out\necho to err >&2\nwhile :; do sleep 1; done\n"


class Files(PmTest):
    def test_both_streams(self):
        self.home.ok("start", self.home.file("both.sh", BOTH))
        self.home.wait_log("both", "to out\n")
        self.home.wait_log("both", "to err\n", "error")
        self.assertEqual(self.home.app_log("both"), "to out\n")
        self.assertEqual(self.home.app_log("both", "error"), "to err\n")

    def test_suffix_rules(self):
        script = self.home.file("both.sh", BOTH)
        self.home.start_apps([
            {"name": "plain", "script": script},
            {"name": "two", "script": script, "instances": 2},
            {"name": "merged", "script": script, "instances": 2, "merge_logs": True},
            {"name": "single", "script": script, "instances": 1, "merge_logs": False},
            {"name": "odd name/with:signs", "script": script},
        ])
        for path in ("plain-out.log", "plain-error.log", "two-out-1.log", "two-out-2.log", "two-error-1.log", "merged-out.log",
                     "single-out-5.log", "odd-name-with-signs-out.log"):
            full = os.path.join(self.home.path, "logs", path)
            wait_until(lambda: "to " in read_file(full), what=lambda: "%s in %s" % (path, os.listdir(os.path.dirname(full))))
        wait_until(lambda: read_file(self.home.log_path("merged")) == "to out\n" * 2, what="both instances in one file")
        self.assertEqual(self.home.procs("two")[1]["pm2_env"]["pm_out_log_path"], self.home.log_path("two", "out", 2))

    def test_instances_max_has_suffixes_too(self):
        self.home.start_apps([{"name": "all", "script": self.home.file("both.sh", BOTH), "instances": "max"}])
        wait_until(lambda: read_file(self.home.log_path("all", "out", 0)) == "to out\n", what="all-out-0.log")
        self.assertFalse(os.path.exists(self.home.log_path("all")))

    def test_named_files(self):
        script = self.home.file("both.sh", BOTH)
        folder = os.path.join(self.home.work, "new", "folder")
        self.home.start_apps([{"name": "a", "script": script, "out_file": folder + "/o.log", "error_file": folder + "/e.log",
                               "log_file": folder + "/all.log"},
                              {"name": "same", "script": script, "out_file": "same.log", "error_file": "same.log"},
                              {"name": "aliases", "script": script, "output": "~/x.log", "error": "/dev/null"}])
        wait_until(lambda: sorted(read_file(folder + "/all.log").splitlines()) == ["to err", "to out"], what="all.log")
        self.assertEqual(read_file(folder + "/o.log"), "to out\n")
        self.assertEqual(read_file(folder + "/e.log"), "to err\n")
        wait_until(lambda: sorted(read_file(os.path.join(self.home.work, "same.log")).splitlines()) == ["to err", "to out"], what="same.log")
        wait_until(lambda: read_file(os.path.join(self.home.work, "x.log")) == "to out\n", what="~/x.log")

    def test_dev_null(self):
        script = self.home.file("both.sh", BOTH)
        self.home.start_apps([{"name": "a", "script": script, "out_file": "/dev/null", "error_file": "NULL"}])
        wait_until(lambda: len(self.home.history("a")) == 2, what="the rows are there nevertheless")
        self.assertEqual(self.home.app_log("a"), "")
        self.assertFalse(os.path.exists(self.home.log_path("a", "error")))
        self.assertTrue(stat.S_ISCHR(os.stat("/dev/null").st_mode))

    def test_time(self):
        script = self.home.file("both.sh", BOTH)
        self.home.start_apps([{"name": "a", "script": script, "time": True},
                              {"name": "b", "script": script, "log_date_format": "YYYY-MM-DD HH:mm:ss.SSS Z [at]"}])
        self.home.wait_log("a", "to out\n")
        self.home.wait_log("b", "to out\n")
        self.assertRegex(self.home.app_log("a"), r"\A\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d: to out\n\Z")
        self.assertRegex(self.home.app_log("b"), r"\A\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d{3} [+-]\d\d:\d\d at: to out\n\Z")

    def test_lines_are_whole_whatever_the_writes_are(self):
        script = self.home.file("w.py", """
import os, time
for piece in (b'half ', b'a line\\nnext', b' one\\n', b'\\n', b'bytes \\xff\\xfe\\x00 end\\n', b'crlf\\r\\n', b'no end'):
    os.write(1, piece); time.sleep(0.02)
""", 0o644)
        self.home.start("w", [script], "--no-autorestart")
        self.home.wait_status("w", "stopped")
        wait_until(lambda: read_file(self.home.log_path("w"), "rb").rstrip(b"\n").endswith(b"no end"), what="the unfinished line")
        data = read_file(self.home.log_path("w"), "rb")
        self.assertEqual(data.rstrip(b"\n"), b"half a line\nnext one\n\nbytes \xff\xfe\x00 end\ncrlf\r\nno end")
        texts = [self.home.text_of(l) for l in self.home.history("w")]
        self.assertEqual(texts, [b"half a line", b"next one", b"", b"bytes \xff\xfe\x00 end", b"crlf\r", b"no end"])

    def test_a_very_long_line_is_split_but_complete(self):
        script = self.home.file("w.py", "import sys, time\nsys.stdout.write('y' * 300000 + '\\nshort\\n')\nsys.stdout.flush()\ntime.sleep(1000)\n")
        self.home.start("w", [script])
        self.home.wait_log("w", "short\n")
        lines = [self.home.text_of(l) for l in self.home.history("w")]
        self.assertEqual(b"".join(lines[:-1]), b"y" * 300000)
        self.assertTrue(all(len(l) <= 65536 for l in lines))
        self.assertEqual(self.home.app_log("w").replace("\n", ""), "y" * 300000 + "short")

    def test_last_line_of_a_crash(self):
        self.home.start("a", child("crash_after", 200, "signal", int(signal.SIGKILL)), "--no-autorestart")
        self.home.wait_status("a", "stopped")
        self.home.wait_log("a", "last words", "error")

    def test_files_follow_after_a_rename_and_a_signal(self):
        self.home.start("a", child("echo_stdin"))
        self.home.ok("send", "a", "one")
        self.home.wait_log("a", "got: one")
        path = self.home.log_path("a")
        os.rename(path, path + ".1")
        os.kill(self.home.keeper_pid(), signal.SIGUSR2)
        wait_until(lambda: os.path.exists(path), what="a new file")
        self.home.ok("send", "a", "two")
        self.home.wait_log("a", "got: two")
        self.assertNotIn("got: one", self.home.app_log("a"))
        self.assertNotIn("got: two", read_file(path + ".1"))

    def test_a_file_that_cannot_be_opened_holds_nothing_up(self):
        blocked = self.home.file("file", "")
        self.home.start_apps([{"name": "a", "script": self.home.file("both.sh", BOTH), "out_file": blocked + "/x.log"}])
        wait_until(lambda: len(self.home.history("a")) == 2, what="the rows")
        self.home.wait_log("a", "to err\n", "error")
        self.assertEqual(self.home.status("a"), "online")

    def test_runs_of_an_app_append_to_its_files(self):
        self.home.ok("start", self.home.file("both.sh", BOTH))
        self.home.wait_log("both", "to out\n")
        self.home.ok("restart", "both")
        wait_until(lambda: self.home.app_log("both") == "to out\n" * 2, what="two runs in the file")


class Command(PmTest):
    def logs(self, *words):
        return self.home.ok("logs", *words, "--nostream").out

    def test_merged_by_time(self):
        self.home.start("a", child("echo_stdin"))
        self.home.start("b", child("echo_stdin"))
        for i in range(6):
            self.home.ok("send", "ab"[i % 2], "line %d" % i)
            self.home.wait_log("ab"[i % 2], "line %d" % i)
        out = self.logs("--lines", "6")
        self.assertEqual(re.findall(r"line (\d)", out), list("012345"))
        self.assertEqual(re.findall(r"line (\d)", self.logs("a")), list("024"))
        self.assertEqual(re.findall(r"line (\d)", self.logs("--lines", "2")), list("45"))
        self.assertEqual(re.findall(r"line (\d)", self.logs("1")), list("135"))

    def test_fifteen_lines_by_default(self):
        self.home.start("f", child("flood", 100))
        self.home.wait_log("f", "00000099 ")
        self.assertEqual(re.findall(r"(\d{8}) x", self.logs("f", "--out")), ["%08d" % i for i in range(85, 100)])

    def test_streams(self):
        self.home.ok("start", self.home.file("both.sh", BOTH))
        wait_until(lambda: len(self.home.history("both")) == 2, what="both lines")
        self.assertNotIn("to err", self.logs("both", "--out"))
        self.assertNotIn("to out", self.logs("both", "--err"))
        self.assertIn("to err", self.logs("both", "--err"))
        self.assertIn("to out", self.logs("both"))

    def test_raw(self):
        self.home.ok("start", self.home.file("both.sh", BOTH))
        self.home.wait_log("both", "to out\n")
        wait_until(lambda: len(self.home.history("both")) == 2, what="both lines")
        self.assertEqual(sorted(self.logs("both", "--raw").splitlines()), ["to err", "to out"])

    def test_follow(self):
        self.home.start("a", child("echo_stdin"))
        self.home.ok("send", "a", "before")
        self.home.wait_log("a", "before")
        path = os.path.join(self.home.work, "followed")
        with open(path, "w") as out:
            follow = self.home.popen("logs", "a", stdout=out)
        wait_until(lambda: "before" in read_file(path), what="the history")
        for i in range(50):
            self.home.ok("send", "a", "live %02d" % i)
        wait_until(lambda: "live 49" in read_file(path), what="the live lines")
        self.assertEqual(re.findall(r"live (\d\d)", read_file(path)), ["%02d" % i for i in range(50)])
        self.assertEqual(len(re.findall("before", read_file(path))), 1)
        follow.send_signal(signal.SIGINT)
        self.home.finish(follow)

    def test_follow_goes_on_through_a_new_engine_or_says_so(self):
        self.home.start("a", child("echo_stdin"))
        path = os.path.join(self.home.work, "followed")
        with open(path, "w") as out:
            follow = self.home.popen("logs", "a", stdout=out)
        wait_until(lambda: "listening" in read_file(path), what="the history")
        self.home.replace_engine()
        self.home.ok("send", "a", "after")
        def settled():
            return "after" in read_file(path) or follow.poll() is not None
        wait_until(settled, what="the stream goes on, or the command ends")
        if follow.poll() is None:
            follow.send_signal(signal.SIGINT)
            self.home.finish(follow)
        else:
            self.assertNotEqual(self.home.finish(follow).code, 0)


class Live(PmTest):
    def test_history_and_live_meet_without_gap_or_repeat(self):
        count = scaled(30000)
        self.home.start("f", child("flood", count, count // 3))
        with self.home.client() as c:
            history = c.call("logs", {"selectors": ["f"], "lines": 10000, "follow": True, "err": False, "out": True})["lines"]
            numbers = [int(l["text"][:8]) for l in history]
            missed = 0
            while not numbers or numbers[-1] != count - 1:
                params = c.notification(30)["params"]
                missed += params.get("missed", 0)
                numbers += [int(l["text"][:8]) for l in params.get("lines", [])]
        if not missed:
            self.assertEqual(numbers, list(range(numbers[0], count)))
        else:
            self.assertEqual(len(numbers) + missed, count - numbers[0])

    def test_a_subscriber_that_does_not_read(self):
        count = scaled(400000)
        self.home.start("quiet", child("silent"))
        with self.home.client() as slow:
            slow.call("logs", {"selectors": ["all"], "lines": 0, "follow": True})
            self.home.start("f", child("flood", count))
            wait_until(lambda: read_file(self.home.log_path("f", "error")), 50, "the flood is over")
            wait_until(lambda: self.home.app_log("f").endswith(" .\n") and "%08d " % (count - 1) in self.home.app_log("f")[-200:],
                       50, "all is in the file")
            numbers, missed = [], 0
            while len(numbers) + missed < count:
                params = slow.notification(30)["params"]
                missed += params.get("missed", 0)
                numbers += [int(l["text"][:8]) for l in params.get("lines", []) if l["stream"] == "out"]
            self.assertEqual(numbers, sorted(set(numbers)))
            self.assertLessEqual(len(numbers) + missed, count + 1)


class ShortLived(PmTest):
    limit = 180

    def check(self, count, kill_engine):
        self.home.start_apps([{"name": "burst", "script": child("burst40k")[0], "instances": count, "autorestart": False}],
                             expect=None, timeout=150)
        if kill_engine:
            self.home.replace_engine()
        wait_until(lambda: {p["pm2_env"]["status"] for p in self.home.jlist()} == {"stopped"}, 120, "all have ended", step=0.3)
        wrong = {}
        def complete():
            for ident in range(count) if not wrong else list(wrong):
                data = read_file(self.home.log_path("burst", "out", ident), "rb")
                expected = b"".join((b"%06d %03d =" % (ident, i)).ljust(63, b".") + b"\n" for i in range(640))
                if data == expected:
                    wrong.pop(ident, None)
                else:
                    wrong[ident] = len(data)
            return not wrong
        wait_until(complete, 60, lambda: "40,960 bytes in each file: %s" % str(wrong)[:500], step=0.5)
        self.rows(count)

    def rows(self, count):
        with self.home.client() as c:
            for ident in range(0, count, max(1, count // 50)):
                lines = c.call("logs", {"selectors": [str(ident)], "lines": 10000})["lines"]
                self.assertEqual([l["text"][:10] for l in lines], ["%06d %03d" % (ident, i) for i in range(640)])

    def test_1000_children_that_write_40_kb_and_exit(self):
        self.check(scaled(1000), False)

    def test_with_an_engine_killed_in_between(self):
        self.home.engine_may_die = True
        self.check(scaled(150), True)


class WriterInTheWay(PmTest):
    def test_apps_go_on_while_no_engine_runs(self):
        """The pipe takes what it can hold; a write does not fail and the app gets no SIGPIPE."""
        self.home.start("e", child("echo_stdin"))
        pid = self.home.pid("e")
        keeper, engine = self.home.keeper_pid(), self.home.engine_pid()
        self.home.engine_may_die = True
        with open("/proc/%d/fd/0" % pid, "w") as stdin:
            os.kill(keeper, signal.SIGSTOP)
            os.kill(engine, signal.SIGKILL)
            wait_until(lambda: not alive(engine), what="no engine")
            stdin.write("".join("unwatched %03d\n" % i for i in range(100)))
            stdin.flush()
            os.kill(keeper, signal.SIGCONT)
        self.home.wait_new_engine(engine)
        self.home.wait_log("e", "unwatched 099")
        self.assertEqual(re.findall(r"unwatched (\d+)", self.home.app_log("e")), ["%03d" % i for i in range(100)])
        self.assertEqual(self.home.pid("e"), pid)


if __name__ == "__main__":
    main()
