"""Restarts when files change (watch)."""

import json
import os
import signal
import time
import unittest

from harness import CHILDREN, PmTest, child, main, read_file, wait_until

SILENT = child("silent")[0]
PRELOAD = os.path.join(CHILDREN, "no_watches.so")


class WatchTest(PmTest):
    def app(self, **keys):
        """An app that watches its own folder, once it does."""
        self.dir = os.path.join(self.home.work, "app")
        os.makedirs(self.dir, exist_ok=True)
        self.home.start_apps([{"name": "a", "script": SILENT, "cwd": self.dir, "watch": True, "watch_delay": 100, **keys}])
        self.wait_ready()

    def state(self, name="a"):
        with self.home.client() as c:
            return c.call("describe", {"selectors": [name]})[0]["pm"].get("watch")

    def wait_ready(self, name="a"):
        wait_until(lambda: (self.state(name) or {}).get("ready"), what="the folders are watched")

    def write(self, name, text="x"):
        path = os.path.join(self.dir, name)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "w") as f:
            f.write(text)
        return path

    def settled(self):
        """The number of restarts, once all that was written is dealt with: a change that counts, told after them, has led to one."""
        before = self.home.restarts("a")
        self.write("settle/last%d.js" % before)
        self.home.wait_restarts("a", before + 1)
        last = [None]

        def same():
            now, was = (self.home.restarts("a"), self.home.status("a")), last[0]
            last[0] = now
            return now == was and now[1] == "online"
        wait_until(same, step=0.6)
        return last[0][0]

    def words(self):
        return [r.get("detail", "") for r in self.home.why("a", runs=20)["runs"]]


class Changes(WatchTest):
    def test_an_edit(self):
        self.app()
        self.assertIs(self.home.proc("a")["pm2_env"]["watch"], True)
        self.write("app.js")
        self.home.wait_restarts("a", 1)
        self.assertIn("app.js changed", self.home.ok("why", "a").out)
        self.assertIn("pm: watch", self.home.ok("why", "a").out)
        self.assertIn("enabled", self.home.ok("ls").out)

    def test_a_save_by_renaming_is_one_restart(self):
        self.dir = os.path.join(self.home.work, "app")
        path = self.write("app.js", "old")
        self.app(watch_delay=300)
        os.rename(path, path + "~")
        with open(path + ".new", "w") as f:
            f.write("new")
        os.rename(path + ".new", path)
        os.unlink(path + "~")
        self.home.wait_restarts("a", 1)
        time.sleep(1)
        self.assertEqual(self.home.restarts("a"), 1)

    def test_delete(self):
        self.dir = os.path.join(self.home.work, "app")
        path = self.write("src/app.js")
        self.app()
        os.unlink(path)
        self.home.wait_restarts("a", 1)

    def test_what_is_ignored(self):
        self.dir = os.path.join(self.home.work, "app")
        for i in range(50):
            self.write("node_modules/p%d/index.js" % i)
        self.app(out_file="out.log", error_file="err.log", pid_file="a.pid")
        self.assertEqual(self.state()["folders"], 1)
        for name in ("node_modules/p1/index.js", "node_modules/p1/new/x.js", ".git/HEAD", ".env", "out.log", "out__2026-01-31.log"):
            self.write(name)
        before = self.home.restarts("a")
        self.assertEqual((before, self.settled()), (0, 1))

    def test_ignore_watch(self):
        self.app(ignore_watch=["tmp", "*.{log,swp}", "src/gen/**"])
        for name in ("tmp/x", "a.log", "b.swp"):
            self.write(name)
        self.assertEqual(self.settled(), 1)
        self.write("src/app.js")
        self.home.wait_restarts("a", 2)
        n = self.settled()
        self.write("src/gen/x.js")
        self.assertEqual(self.settled(), n + 1)

    def test_new_folders(self):
        self.app(ext="js")
        os.makedirs(os.path.join(self.dir, "x/y/z"))
        wait_until(lambda: self.state()["folders"] == 4, what="new folders are watched")
        self.assertEqual(self.home.restarts("a"), 0)
        self.write("x/y/z/app.js")
        self.home.wait_restarts("a", 1)
        # Moved away: what happens there is nothing to the app any more. Moved in: it is.
        away = os.path.join(self.home.work, "away")
        os.rename(os.path.join(self.dir, "x"), away)
        wait_until(lambda: self.state()["folders"] == 1, what="a folder that went is not watched")
        with open(os.path.join(away, "y/z/app.js"), "w"):
            pass
        self.assertEqual(self.home.restarts("a"), 1)
        os.rename(away, os.path.join(self.dir, "back"))
        self.home.wait_restarts("a", 2)

    def test_extensions(self):
        self.app(ext=["js", "json"])
        for name in ("x.txt", "y.css", "xjs"):
            self.write(name)
        self.assertEqual(self.settled(), 1)
        self.write("package.json")
        self.home.wait_restarts("a", 2)

    def test_paths_and_globs(self):
        self.app(watch=["src", "conf.yaml", "lib/**/*.js"], ext=[])
        self.write("other.js")
        self.write("lib/deep/x.ts")
        time.sleep(0.6)
        self.assertEqual(self.home.restarts("a"), 0)
        for i, name in enumerate(("src/new/x", "conf.yaml", "lib/deep/x.js")):  # none of them was there at the start
            before = self.home.restarts("a")
            self.write(name)
            self.home.wait_restarts("a", before + 1)

    def test_delay(self):
        self.app(watch_delay=1500)
        began = time.monotonic()
        self.write("app.js")
        self.home.wait_restarts("a", 1)
        self.assertGreater(time.monotonic() - began, 1.4)

    def test_storm(self):
        self.app()
        for i in range(2000):
            self.write("d%d/f%d" % (i % 10, i))
        self.home.wait_restarts("a", 1)
        self.assertLess(self.settled(), 12)
        self.assertIn("and more changed", self.home.ok("why", "a").out + "".join(self.words()))

    def test_a_change_during_the_restart(self):
        self.dir = os.path.join(self.home.work, "app")
        os.makedirs(self.dir)
        slow = self.home.file("slow.sh", "#!/bin/sh\ntrap 'echo stopping; sleep 1; exit 0' INT\necho up\nwhile :; do sleep 0.05; done\n")
        self.app(script=slow, kill_timeout=10000)
        self.home.wait_log("a", "up")
        self.write("one.js")
        self.home.wait_log("a", "stopping")
        self.write("two.js")
        self.home.wait_restarts("a", 2, timeout=30)

    def test_all_processes(self):
        self.app(instances=3)
        self.write("app.js")
        wait_until(lambda: [p["pm2_env"]["restart_time"] for p in self.home.procs("a")] == [1, 1, 1])

    def test_polling(self):
        self.app(watch_options={"usePolling": True, "interval": 200, "depth": 3})
        self.assertEqual(self.state()["method"], "polling")
        self.write("src/app.js")
        self.home.wait_restarts("a", 1)
        wait_until(lambda: self.home.status("a") == "online")
        n = self.home.restarts("a")
        os.unlink(os.path.join(self.dir, "src/app.js"))
        self.home.wait_restarts("a", n + 1)


    @unittest.skipUnless(os.path.exists(PRELOAD), "not under a sanitizer")
    def test_out_of_watches(self):
        """Said once, with what to do; then files are polled."""
        self.home.env.update(LD_PRELOAD=PRELOAD, PM_TEST_WATCHES="3")
        self.dir = os.path.join(self.home.work, "app")
        for i in range(5):
            self.write("d%d/x" % i)
        self.app(watch_options={"interval": 200})
        self.assertEqual(self.state(), {"method": "polling", "folders": 6, "ready": True})
        self.home.start_apps([{"name": "b", "script": SILENT, "cwd": self.dir, "watch": True, "watch_options": {"interval": 200}}])
        self.wait_ready("b")
        self.assertEqual(self.home.log().count("sysctl fs.inotify.max_user_watches=524288"), 1)
        self.assertIn("sysctl", self.home.ok("events", "--nostream", "--lines", "50").out)
        self.write("d4/x", "longer")
        self.home.wait_restarts("a", 1)
        self.home.wait_restarts("b", 1)

    def test_overflow(self):
        """More at once than the kernel keeps: what changed is found all the same, and what did not is left alone."""
        queue = int(read_file("/proc/sys/fs/inotify/max_queued_events"))
        if queue > 70000:
            self.skipTest("the kernel keeps %d events" % queue)
        self.app(ext="js")
        engine = self.home.engine_pid()
        self.home.engine_may_die = True
        os.kill(engine, signal.SIGSTOP)
        for i in range(queue // 2 + 1000):  # one event for each: links
            for name in ("p", "q"):
                path = os.path.join(self.dir, "%s%d.txt" % (name, i))
                os.symlink("nowhere", path)
        self.write("last.js")
        os.kill(engine, signal.SIGCONT)
        self.home.wait_restarts("a", 1)
        self.assertIn("more changes of files than the kernel keeps", self.home.log())


class Life(WatchTest):
    def test_an_errored_app_is_tried_again(self):
        self.dir = os.path.join(self.home.work, "app")
        os.makedirs(self.dir)
        script = self.home.file("app/run.sh", "exit 1\n")
        self.home.start_apps([{"name": "a", "script": script, "interpreter": "sh", "cwd": self.dir, "watch": True, "max_restarts": 2,
                               "watch_delay": 100}], expect=1)
        self.home.wait_status("a", "errored")
        self.wait_ready()
        with open(script, "w") as f:
            f.write("exec sleep 1000\n")
        self.home.wait_status("a", "online")

    def test_it_survives(self):
        self.app()
        self.home.ok("stop", "a")
        self.assertIs(self.home.proc("a")["pm2_env"]["watch"], True)
        self.write("while_down.js")
        time.sleep(0.5)
        self.assertEqual(self.home.status("a"), "stopped")
        self.home.ok("start", "a")
        n = self.home.restarts("a")
        self.write("x1.js")
        self.home.wait_restarts("a", n + 1)
        self.home.replace_engine()
        self.wait_ready()
        self.write("x2.js")
        self.home.wait_restarts("a", n + 2)
        self.home.ok("save")
        self.home.ok("kill")
        self.home.wait_no_daemon()
        self.home.engine_may_die = True
        self.home.ok("resurrect")
        self.wait_ready()
        n = self.home.restarts("a")
        self.write("x3.js")
        self.home.wait_restarts("a", n + 1)

    def test_turned_on_and_off(self):
        self.dir = self.home.work
        self.home.start("a", SILENT)
        self.assertIs(self.home.proc("a")["pm2_env"]["watch"], False)
        self.home.ok("restart", "a", "--watch", "--watch-delay", "100ms", "--ext", "js")
        self.assertIs(self.home.proc("a")["pm2_env"]["watch"], True)
        self.wait_ready()
        n = self.home.restarts("a")
        self.write("x.js")
        self.home.wait_restarts("a", n + 1)
        self.assertIn("watch is off", self.home.ok("start", "a", "--watch").err)
        self.assertIs(self.home.proc("a")["pm2_env"]["watch"], False)
        self.assertIsNone(self.state())
        self.assertIn("disabled", self.home.ok("ls").out)
        self.home.ok("restart", "a", "--watch=src", "--ignore-watch", "tmp")
        self.assertIs(json.loads(self.home.ok("ls", "--json").out)[0]["watch"], True)
        self.home.ok("delete", "a")


if __name__ == "__main__":
    main()
