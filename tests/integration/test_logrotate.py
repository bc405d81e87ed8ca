"""Rotation by size, by request and by settings; engines killed in between; the file for logrotate(8)."""

import gzip
import json
import os
import re
import shutil
import stat
import subprocess
import time

from harness import ASAN, IS_ROOT, PmTest, child, main, read_file, scaled, send_signal, wait_until


class Rotating(PmTest):
    limit = 280

    def folder(self):
        return os.path.join(self.home.path, "logs")

    def rotated(self, name, ext=r"(\.gz|\.zst)?"):
        """Rotated files of an app's stdout, the oldest first."""
        pattern = re.compile(re.escape(name) + r"-out__\d{4}-\d\d-\d\d_\d\d-\d\d-\d\d(-\d+)?\.log" + ext + "$")
        found = [os.path.join(self.folder(), f) for f in os.listdir(self.folder()) if pattern.match(f)]
        return sorted(found, key=lambda f: (os.stat(f).st_mtime_ns, f))

    def text(self, path):
        if path.endswith(".gz"):
            with gzip.open(path) as f:
                return f.read()
        return read_file(path, "rb")

    def assertOnce(self, name, count):
        """All files together have every line once, whole; in order within each."""
        seen = set()
        for path in self.rotated(name) + [self.home.log_path(name)]:
            numbers = []
            for line in self.text(path).split(b"\n")[:-1]:
                self.assertRegex(line, rb"^\d{8} ", path)
                numbers.append(int(line[:8]))
            self.assertEqual(numbers, sorted(numbers), path)
            self.assertFalse(seen.intersection(numbers), path)
            seen.update(numbers)
        self.assertEqual(len(seen), count)

    def test_flood_and_kills(self):
        count = scaled(400000)
        self.home.ok("set", "pm2-logrotate:max_size", "512K")
        self.home.ok("set", "pm2-logrotate:retain", "all")
        self.home.start("flood", child("flood", count, count / 8))
        for i in range(4 if ASAN else 10):
            old = wait_until(self.home.engine_pid, 40, "an engine")
            self.home.engine_may_die = True
            time.sleep(0.05 * (i % 7))
            send_signal(old, 9)
            wait_until(lambda: self.home.engine_pid() not in (None, old), 40, "the next engine", step=0.005)
        self.home.client_when_ready(40).close()
        wait_until(lambda: "flood done" in self.home.app_log("flood", "error"), 120, "the flood is over", step=0.2)
        self.home.client_when_ready(40).close()
        self.home.ok("stop", "flood")
        self.assertOnce("flood", count)
        self.assertGreater(len(self.rotated("flood")), 5)
        self.assertCleanSequence(self.home.log_rows("flood", "out"), count, "rows")

    def test_settings_compress_and_retain(self):
        for key, value in (("max_size", "64K"), ("retain", "3"), ("compress", "true")):
            self.home.ok("set", "pm2-logrotate:" + key, value)
        self.home.start("flood", child("flood", 40000, 10000))
        wait_until(lambda: "flood done" in self.home.app_log("flood", "error"), 60, "the flood is over")
        wait_until(lambda: len(self.rotated("flood")) == 3 and len(self.rotated("flood", r"\.gz")) == 3, 30,
                   lambda: "three compressed files, not %s" % os.listdir(self.folder()))
        for path in self.rotated("flood"):
            self.assertGreaterEqual(len(self.text(path)), 65536)
        self.assertFalse([f for f in os.listdir(self.folder()) if f.endswith(".pm-tmp")])

    def test_bad_settings(self):
        for key, value, words in (("max_size", "huge", "expected a size such as 10M"),
                                  ("rotateInterval", "61 * * * *", "is no minute"),
                                  ("TZ", "Europe/Nowhere", "no time zone"),
                                  ("max-size", "1M", 'has no key "max-size"')):
            result = self.home.pm("set", "pm2-logrotate:" + key, value)
            self.assertNotEqual(result.code, 0)
            self.assertIn(words, result.err)

    def test_app_wins_over_the_settings(self):
        self.home.ok("set", "pm2-logrotate:max_size", "1K")
        config = os.path.join(self.home.path, "app.json")

        def start(size):
            app = {"name": "flood", "script": child("flood")[0], "args": "1000000 3000", "interpreter": "none",
                   "log_rotate": {"max_size": size}}
            with open(config, "w") as f:
                json.dump({"apps": [app]}, f)
            self.home.ok("start", config)

        start("1G")
        path = self.home.log_path("flood")
        wait_until(lambda: os.path.exists(path) and os.path.getsize(path) > 50000, what="a file that is not rotated")
        self.assertEqual(self.rotated("flood"), [])
        start("20K")
        wait_until(lambda: len(self.rotated("flood")) > 2, what="rotated files")

    def test_now(self):
        self.home.start("flood", child("flood", 100, 0))
        wait_until(lambda: "flood done" in self.home.app_log("flood", "error"), 60, "the flood is over")
        out = self.home.ok("logrotate", "flood").out
        self.assertEqual(len(self.rotated("flood")), 1)
        self.assertIn("rotated %s to %s" % (self.home.log_path("flood"), self.rotated("flood")[0]), out)
        self.assertEqual(len(self.text(self.rotated("flood")[0]).split(b"\n")), 101)
        self.assertIn("empty", self.home.ok("logrotate", "flood").out)
        # Rotated files are no matter of flush.
        self.home.ok("flush")
        self.assertEqual(len(self.rotated("flood")), 1)
        result = self.home.pm("logrotate", "nosuch")
        self.assertEqual(result.code, 1)
        result = self.home.pm("logrotate", "--path", "/tmp/x")
        self.assertEqual(result.code, 2)

    def test_apps_of_a_config(self):
        config = os.path.join(self.home.path, "apps.json")
        os.makedirs(self.home.path, mode=0o700, exist_ok=True)
        app = {"script": child("flood")[0], "args": "10 0", "interpreter": "none", "autorestart": False}
        with open(config, "w") as f:
            json.dump({"apps": [{"name": "flood", "env_test": {"X": "1"}, **app}, {"name": "other", **app}]}, f)
        self.home.ok("start", config)
        for name in ("flood", "other"):
            wait_until(lambda: "flood done" in self.home.app_log(name, "error"), 60, "the flood is over")
        files = json.loads(self.home.ok("logrotate", config, "--only", "flood", "--env", "test", "--json").out)
        self.assertEqual({f["path"] for f in files}, {self.home.log_path("flood"), self.home.log_path("flood", "error")})
        self.assertTrue(all(f["ok"] for f in files))
        self.assertEqual([f["to"] for f in files if f["path"] == self.home.log_path("flood")], self.rotated("flood"))
        self.assertEqual(self.rotated("other"), [])


    def test_of_a_config_and_as_json(self):
        path = self.home.config([{"name": n, "script": child("flood")[0], "args": ["10", "0"], "env_prod": {"X": "1"}} for n in ("a", "b")])
        self.home.ok("start", path)
        for name in ("a", "b"):
            wait_until(lambda: "flood done" in self.home.app_log(name, "error"), 60, "%s has written" % name)
        told = json.loads(self.home.ok("logrotate", path, "--only", "a", "--env", "prod", "--json").out)
        self.assertIn(self.rotated("a")[0], json.dumps(told))
        self.assertEqual((len(self.rotated("a")), len(self.rotated("b"))), (1, 0))


class Install(PmTest):
    def test_file(self):
        path = os.path.join(self.home.path, "for-logrotate")
        self.home.start("flood", child("flood", 100, 0))
        out = self.home.ok("logrotate", "--install", "--path", path).out
        text = read_file(path)
        self.assertIn("wrote " + path, out)
        self.assertIn('"%s/logs/*.log"' % self.home.path, text)
        self.assertIn("reloadLogs", text)
        self.assertNotIn("copytruncate", text)
        self.assertEqual(stat.S_IMODE(os.stat(path).st_mode), 0o644)
        if not shutil.which("logrotate", path="/usr/sbin:/sbin:/usr/bin"):
            self.assertIn("not installed", self.home.ok("logrotate", "--install", "--path", path).err)
            self.skipTest("logrotate(8) is not installed")
        self.assertIn("accepts it", out)
        if not IS_ROOT:
            self.skipTest("logrotate(8) keeps to a user that only root can become")
        log = self.home.log_path("flood")
        inode = wait_until(lambda: os.path.exists(log) and os.path.getsize(log) and os.stat(log).st_ino, what="a log")
        run = subprocess.run(["/usr/sbin/logrotate", "-f", "-s", path + ".state", path], capture_output=True, text=True)
        self.assertEqual((run.returncode, run.stderr), (0, ""))
        self.assertEqual(os.stat(log + ".1").st_ino, inode)
        self.home.ok("restart", "flood")
        wait_until(lambda: os.path.getsize(log), what="lines in the new file")
        self.assertEqual(os.stat(log + ".1").st_ino, inode)

    def test_folder_missing(self):
        self.home.start("flood", child("flood", 1, 0))
        result = self.home.pm("logrotate", "--install", "--path", "/nonexistent/folder/file")
        self.assertEqual(result.code, 1)
        self.assertIn("cannot write /nonexistent/folder/file", result.err)


if __name__ == "__main__":
    main()
