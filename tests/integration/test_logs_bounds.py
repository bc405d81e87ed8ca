"""The bounds of the logs, with the real daemon: settings, retention, and a small disk that is full for a while."""

import ctypes
import os
import re
import shutil
import subprocess
import time
import unittest

from harness import PmTest, child, wait_until

CLONE_NEWNS = 0x00020000
DROPPED = re.compile(r"\[pm\] (\d+) lines dropped")


def counted(lines):
    """(numbers of the kept lines, count of those told as dropped)"""
    kept, dropped = [], 0
    for line in lines:
        told = DROPPED.match(line)
        if told:
            dropped += int(told.group(1))
        else:
            kept.append(int(line.split()[1]))
    return kept, dropped


class Settings(PmTest):
    def test_wrong_values_are_refused(self):
        self.home.start("a", child("silent"))
        self.assertIn("logs:max_bytes", self.home.fails(1, "set", "logs:max_bytes", "lots").err)
        self.assertIn("logs:min_free", self.home.fails(1, "set", "logs:min_free", "200%").err)
        self.assertIn("logs:max_bytes", self.home.fails(1, "set", "logs:maxbytes", "1G").err)
        self.home.ok("set", "logs:max_bytes", "64M")
        self.home.ok("set", "logs:min_free", "3%")

    def test_retention_of_an_app(self):
        writer = self.home.file("w.sh", "#!/bin/sh\nfor i in $(seq 20000); do echo \"line $i with some text in it\"; done\nexec sleep 1000\n")
        self.home.start_apps([{"name": "w", "script": writer, "log_retention": {"max_bytes": "64K"}}])
        self.home.wait_log("w", "line 20000 ")
        def kept():
            return sum(len(r[0]) if isinstance(r, (tuple, list)) else len(r) for r in self.home.log_rows("w", "out"))
        wait_until(lambda: 0 < kept() <= 70 * 1024, 30, lambda: "old rows are deleted (%d bytes are kept)" % kept())

    def test_dropped_lines_are_counted_in_jlist(self):
        writer = self.home.file("w.sh", "#!/bin/sh\nfor i in $(seq 5000); do echo \"no $i\"; done\nexec sleep 1000\n")
        self.home.start_apps([{"name": "w", "script": writer, "log_rate_limit": {"lines": 100}},
                              {"name": "quiet", "script": child("silent")[0], "env": {"dropped_lines": "7"}}])
        def all_counted():
            kept, _ = counted(self.home.app_log("w").splitlines())
            lost = self.home.proc("w")["pm2_env"]["dropped_lines"]
            return lost > 0 and len(kept) + lost == 5000
        wait_until(all_counted, what="each line is kept or counted")
        text = self.home.ok("jlist").out
        self.assertEqual(self.home.proc("quiet")["pm2_env"]["dropped_lines"], 0)
        self.assertEqual(text.count('"dropped_lines":0'), 1)


class DiskFull(PmTest):
    limit = 120

    @classmethod
    def setUpClass(cls):
        libc = ctypes.CDLL(None, use_errno=True)
        if libc.unshare(CLONE_NEWNS) != 0:
            raise unittest.SkipTest("unshare: " + os.strerror(ctypes.get_errno()))
        if subprocess.run(["mount", "--make-rprivate", "/"], capture_output=True).returncode != 0:
            raise unittest.SkipTest("mount --make-rprivate is not allowed here")

    def setUp(self):
        super().setUp()
        os.mkdir(self.home.path, 0o700)
        made = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64m,mode=0700", "tmpfs", self.home.path], capture_output=True, text=True)
        if made.returncode != 0:
            self.skipTest("mount tmpfs: " + made.stderr)

    def _end(self):
        try:
            super()._end()
        finally:
            subprocess.run(["umount", "-l", self.home.path], capture_output=True)
            shutil.rmtree(self.home.tmp, ignore_errors=True)

    def fill(self):
        path = os.path.join(self.home.path, "ballast")
        size = 65536
        with open(path, "ab", buffering=0) as f:
            while size >= 1:
                try:
                    f.write(b"\0" * size)
                except OSError:
                    size //= 2
        return path

    def test_ten_seconds(self):
        """Each line is kept or counted, and logging goes on within two seconds."""
        writer = self.home.file("w.py", "import sys, time\ni = 0\nwhile True:\n    for _ in range(100):\n        i += 1\n"
                                        "        sys.stdout.write('no %d %s\\n' % (i, 'x' * 80))\n    sys.stdout.flush()\n    time.sleep(0.005)\n")
        self.home.start_apps([{"name": "w", "script": writer, "interpreter": "python3", "log_policy": "drop"}])
        self.home.wait_log("w", "no 500 ")
        ballast = self.fill()
        time.sleep(10)
        os.unlink(ballast)
        freed = time.monotonic()
        size = len(self.home.app_log("w"))
        wait_until(lambda: len(self.home.app_log("w")) > size + 1000, 20, "the file goes on")
        self.assertLess(time.monotonic() - freed, 2 * float(os.environ.get("PM_TEST_SLOW", "1")))
        wait_until(lambda: DROPPED.search(self.home.app_log("w")), 20, "the gap is told")
        self.home.ok("stop", "w")
        text = self.home.app_log("w")
        kept, dropped = counted(text.splitlines())
        self.assertGreater(dropped, 0)
        self.assertEqual(kept, sorted(set(kept)))
        self.assertEqual(len(kept) + dropped, kept[-1])
        told = re.search(r"dropped log lines\D+(\d[\d,]*)", self.home.ok("describe", "w").out)
        self.assertGreaterEqual(int(told.group(1).replace(",", "")), dropped)


if __name__ == "__main__":
    unittest.main()
