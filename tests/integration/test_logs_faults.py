"""What may happen to log files, to logs.db and to the lines themselves: nobody else suffers, and it goes on."""

import json
import os
import shutil
import time

from harness import PmTest, RpcError, child, main, read_file, scaled, wait_until

TICKER = "import time\nn = 0\nwhile True:\n    print('tick', n, flush=True)\n    n += 1\n    time.sleep(0.02)\n"


def memory(pid):
    """Bytes of private memory of a process; spools are shared files and bounded by themselves."""
    for line in read_file("/proc/%d/status" % pid).splitlines():
        if line.startswith("RssAnon:"):
            return int(line.split()[1]) * 1024
    raise AssertionError("no RssAnon of %d" % pid)


class Base(PmTest):
    def newest(self, name="ticker"):
        """The number of the newest stored tick; -1 when there is none, or when damage was met and is not yet repaired."""
        try:
            lines = [l["text"] for l in self.home.history(name, 3) if l.get("text", "").startswith("tick ")]
        except RpcError:
            return -1
        return int(lines[-1][5:]) if lines else -1

    def start_ticker(self):
        self.home.start_apps([{"name": "ticker", "script": self.home.file("ticker.py", TICKER, 0o644), "interpreter": "python3"}])
        wait_until(lambda: self.newest() >= 0, what="rows of the ticker")

    def goes_on(self):
        seen = self.newest()
        wait_until(lambda: self.newest() > max(seen, 0) + 3, what="new rows of the ticker after %d" % seen)


class Files(Base):
    def test_folder_removed_while_running(self):
        self.start_ticker()
        self.home.wait_log("ticker", "tick 1\n")
        shutil.rmtree(os.path.join(self.home.path, "logs"))
        wait_until(lambda: "tick" in self.home.app_log("ticker"), what="the file is made again")
        ticks = [int(l[5:]) for l in self.home.app_log("ticker").splitlines()]
        self.assertEqual(ticks, list(range(ticks[0], ticks[0] + len(ticks))))
        rows = [int(r[5:]) for r in self.home.log_rows("ticker", "out")]
        self.assertEqual(rows, list(range(len(rows))))

    def test_a_file_that_cannot_be_made(self):
        """Its app's rows and every other file go on; describe says why; it heals by itself, with the lines of the meantime."""
        self.start_ticker()
        blocked = self.home.file("blocked", "")
        self.home.start_apps([{"name": "a", "script": child("echo_stdin")[0], "out_file": blocked + "/x.log"}])
        self.home.ok("send", "a", "one")
        wait_until(lambda: "got: one" in [l.get("text") for l in self.home.history("a")], what="the row")
        trouble = wait_until(lambda: [l for l in self.home.ok("describe", "a").out.splitlines() if "log trouble" in l], what="the word in describe")
        self.assertIn(blocked + "/x.log", trouble[0])
        self.assertIn("Not a directory", trouble[0])
        self.assertIn(blocked + "/x.log", self.home.log())
        self.assertNotIn("log trouble", self.home.ok("describe", "ticker").out)
        self.goes_on()
        os.unlink(blocked)
        wait_until(lambda: "got: one\n" in read_file(blocked + "/x.log"), what="the file has the line")
        wait_until(lambda: "log trouble" not in self.home.ok("describe", "a").out, what="the word is gone")

    def test_a_silent_app_s_file_heals_by_reload_logs(self):
        blocked = self.home.file("blocked", "")
        self.home.start_apps([{"name": "a", "script": child("echo_stdin")[0], "out_file": blocked + "/x.log"}])
        wait_until(lambda: "log trouble" in self.home.ok("describe", "a").out, what="the word in describe")
        os.unlink(blocked)
        self.home.ok("reloadLogs")
        wait_until(lambda: os.path.exists(blocked + "/x.log"), what="the file")
        wait_until(lambda: "log trouble" not in self.home.ok("describe", "a").out, what="the word is gone")

    def test_a_folder_in_the_place_of_a_file(self):
        self.start_ticker()
        self.home.wait_log("ticker", "tick 1\n")
        path = self.home.log_path("ticker")
        os.unlink(path)
        os.mkdir(path)
        self.goes_on()
        shutil.rmtree(path, ignore_errors=True)
        wait_until(lambda: os.path.isfile(path) and "tick" in read_file(path), what="the file is back")


class Database(Base):
    def damage(self, action):
        self.start_ticker()
        pid = self.home.pid("ticker")
        action(os.path.join(self.home.path, "logs.db"))
        self.goes_on()
        self.assertPidsAlive([pid])
        lines = [int(l[5:]) for l in self.home.app_log("ticker").splitlines() if l.startswith("tick ")]
        self.assertEqual(lines, list(range(len(lines))))

    def test_unlinked(self):
        def action(path):
            os.unlink(path)
        self.damage(action)
        wait_until(lambda: "was removed or replaced" in self.home.log(), what="the word in pmd.log")

    def test_truncated(self):
        self.damage(lambda path: os.truncate(path, 4096))

    def test_emptied(self):
        self.damage(lambda path: os.truncate(path, 0))

    def test_garbage(self):
        def action(path):
            with open(path, "r+b") as f:
                f.write(os.urandom(os.path.getsize(path)))
        self.damage(action)

    def test_garbage_in_the_log_of_it(self):
        def action(path):
            with open(path + "-wal", "r+b") as f:
                f.write(os.urandom(os.path.getsize(path + "-wal")))
        self.damage(action)


class Content(Base):
    def test_100_megabytes_without_a_newline(self):
        """The line is stored in pieces; the daemon never holds more of it than a few."""
        size = 100 * 1024 * 1024 if scaled(1000) >= 1000 else 10 * 1024 * 1024
        script = self.home.file("w.py", """
import os, sys
left, block = %d, b'x' * 65536
while left:
    left -= os.write(1, block[:min(left, 65536)])
os.write(1, b'\\nafter\\n')
""" % size, 0o644)
        self.start_ticker()
        before = memory(self.home.engine_pid())
        self.home.start("w", [script], "--no-autorestart")
        most = [before]
        def over():
            most.append(memory(self.home.engine_pid()))
            return os.path.exists(self.home.log_path("w")) and os.path.getsize(self.home.log_path("w")) == size + len("\nafter\n")
        wait_until(over, 60, lambda: "%d bytes in the file" % os.path.getsize(self.home.log_path("w")), step=0.05)
        self.assertLess(max(most) - before, 32 * 1024 * 1024)
        wait_until(lambda: (self.home.history("w", 1) or [{}])[-1].get("text") == "after", what="the last row")
        piece, = self.home.history("w", 2)[:1]
        self.assertEqual(set(piece["text"]), {"x"})
        self.assertLessEqual(len(piece["text"]), 65536)
        self.goes_on()

    def test_odd_bytes(self):
        odd = [b"nul \x00 in it", b"bad \xff\xfe\xc3( utf-8", b"\x1b[31mred\x1b[0m \x1b]0;title\x07 \x1b[2J", b"\xe2\x82", b"\r", b"caf\xc3\xa9", b"",
               b"\x80" * 100]
        script = self.home.file("w.py", "import os, time\nos.write(1, %r)\ntime.sleep(1000)\n" % b"".join(l + b"\n" for l in odd), 0o644)
        self.home.start_apps([{"name": "w", "script": script, "interpreter": "python3"},
                              {"name": "j", "script": script, "interpreter": "python3", "log_type": "json"}])
        wait_until(lambda: len(self.home.history("w")) == len(odd), what="the rows")
        self.assertEqual([self.home.text_of(l) for l in self.home.history("w")], odd)
        wait_until(lambda: read_file(self.home.log_path("w"), "rb") == b"".join(l + b"\n" for l in odd), what="the bytes as they were")
        wait_until(lambda: len(read_file(self.home.log_path("j"), "rb").split(b"\n")) == len(odd) + 1, what="the objects")
        objects = [json.loads(l) for l in read_file(self.home.log_path("j"), "rb").decode("utf-8").splitlines()]
        self.assertEqual(objects[0]["message"], "nul \0 in it")
        self.assertEqual(objects[5]["message"], "café")
        self.assertIn("\ufffd", objects[1]["message"])
        for o in objects:
            self.assertEqual((set(o), o["type"], o["app_name"]), ({"message", "timestamp", "type", "process_id", "app_name"}, "out", "j"))
            self.assertRegex(o["timestamp"], r"\A\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z\Z")
        self.assertIn("caf\u00e9", self.home.ok("logs", "w", "--nostream", "--lines", "100").out)

    def test_levels(self):
        lines = [('{"level":50,"msg":"x"}', "error"), ("level=warn msg=x", "warn"), ("ERROR: x", "error"), ("no error here", None),
                 ('{"level":"info","msg":"x"}', "info"), ("panic: x", "fatal")]
        self.home.start("w", [self.home.file("w.py", "import time\nprint(%r, flush=True)\ntime.sleep(1000)\n" % "\n".join(l[0] for l in lines), 0o644)])
        wait_until(lambda: len(self.home.history("w")) == len(lines), what="the rows")
        self.assertEqual([(l["text"], l.get("level")) for l in self.home.history("w")], lines)

    def test_a_child_that_closes_its_stdout(self):
        script = self.home.file("w.py", """
import os, time
os.write(1, b'last words')
os.close(1)
while True:
    os.write(2, b'still here\\n')
    time.sleep(0.05)
""", 0o644)
        self.home.start("w", [script])
        self.home.wait_log("w", "last words\n")
        wait_until(lambda: self.home.app_log("w", "error").count("still here\n") > 3, what="the other stream goes on")
        self.assertEqual((self.home.status("w"), self.home.restarts("w")), ("online", 0))
        self.home.ok("restart", "w")
        wait_until(lambda: self.home.app_log("w") == "last words\nlast words\n", what="the next run's words")


class Reader(Base):
    def test_a_subscriber_that_reads_one_byte_a_second(self):
        """It is told how many lines it missed; the app, the daemon and other subscribers do not wait for it."""
        count = scaled(400000)
        self.start_ticker()
        with self.home.client() as slow, self.home.client() as quick:
            slow.call("logs", {"selectors": ["all"], "lines": 0, "follow": True})
            quick.call("logs", {"selectors": ["ticker"], "lines": 0, "follow": True})
            before = memory(self.home.engine_pid())
            self.home.start("f", child("flood", count))
            read = b""
            end = time.monotonic() + 50
            while (len(read) < 4 or not read_file(self.home.log_path("f", "error"))) and time.monotonic() < end:
                read += slow.sock.recv(1)
                began = time.monotonic()
                self.home.jlist()
                self.assertLess(time.monotonic() - began, 10)
                self.assertTrue(quick.notification(10)["params"]["lines"])
                time.sleep(max(0, 1 - (time.monotonic() - began)))
            wait_until(lambda: "%08d " % (count - 1) in self.home.app_log("f")[-200:], 50, "all is in the file")
            self.assertLess(memory(self.home.engine_pid()) - before, 32 * 1024 * 1024)
            slow.buffer += read
            got = missed = 0
            while got + missed < count:
                params = slow.notification(30)["params"]
                missed += params.get("missed", 0)
                got += sum(1 for l in params.get("lines", []) if l["name"] == "f" and l["stream"] == "out")
            self.assertGreater(missed, 0)


if __name__ == "__main__":
    main()
