"""pm update: keeper and engine become the installed program, whatever is installed, and no app notices."""

import os
import shutil
import signal
import unittest

from harness import BIN, PmTest, alive, child, main, proc_cmdline, scaled, start_ticks, wait_until

TICKER = "i=0\nwhile :; do printf '%08d x .\\n' $i; i=$((i+1)); sleep 0.005; done\n"
FLOOD = "i=0\nwhile [ $i -lt COUNT ]; do printf '%08d xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx .\\n' $i; i=$((i+1)); done\nexec sleep 1000\n"
SHELL_WRAP = """#!/bin/sh
if [ "$1" = --resume-fd ]; then
    touch "$PM_WRAP_GO"
    pid=$(cat "$PM_WRAP_PID")
    while kill -0 $pid 2>/dev/null; do sleep 0.01; done
fi
exec "$PM_WRAP_NEXT" "$@"
"""
YES = 87  # the answer of pmd --check-upgrade


class Update(PmTest):
    limit = 120

    def setUp(self):
        super().setUp()
        self.home.engine_may_die = True
        self.bin = os.path.join(self.home.tmp, "bin")
        os.mkdir(self.bin)
        for name in ("pm", "pmd"):
            shutil.copy(os.path.join(BIN, name), self.bin)
        os.mkdir(os.path.join(self.home.tmp, "good"))
        self.good = os.path.join(self.home.tmp, "good", "pmd")
        shutil.copy(os.path.join(BIN, "pmd"), self.good)
        self.home.bin_dir = self.bin

    def install(self, content, mode=0o755):
        """Puts another pmd in place, by rename as a package manager does."""
        path = os.path.join(self.bin, "pmd.new")
        if isinstance(content, str):
            with open(path, "w") as f:
                f.write(content)
        elif isinstance(content, bytes):
            with open(path, "wb") as f:
                f.write(content)
        else:
            shutil.copy(self.good, path)
        os.chmod(path, mode)
        os.rename(path, os.path.join(self.bin, "pmd"))

    def view(self):
        """What an update must not change."""
        return sorted((p["name"], p["pid"], p["pm2_env"]["restart_time"], p["pm2_env"]["pm_uptime"], p["pm2_env"]["status"])
                      for p in self.home.jlist())

    def exe(self, pid):
        return os.stat("/proc/%d/exe" % pid)

    def is_installed(self, pid):
        mine, there = self.exe(pid), os.stat(os.path.join(self.bin, "pmd"))
        return (mine.st_dev, mine.st_ino) == (there.st_dev, there.st_ino)

    def start_some(self):
        self.home.start("a", child("silent"), "-i", "3")
        self.home.start("t", ["/bin/sh", "-c", TICKER])
        wait_until(lambda: self.home.app_log("t"), what="the ticker writes")

    def assertTicks(self):
        before = len(self.home.app_log("t"))
        wait_until(lambda: len(self.home.app_log("t")) > before + 100, what="the ticker is logged")
        lines = self.home.app_log("t").encode().splitlines()
        self.assertCleanSequence(lines, len(lines), "the ticker's file")

    def assertNothingChanged(self, before, engine, keeper):
        self.assertEqual(self.view(), before)
        self.assertEqual(self.home.engine_pid(), engine)
        self.assertEqual(self.home.keeper_pid(), keeper)
        self.assertTrue(self.home.one_daemon())
        self.assertTicks()

    # ---- updates that succeed

    def test_keeper_and_engine_are_replaced(self):
        self.start_some()
        before, keeper, engine = self.view(), self.home.keeper_pid(), self.home.engine_pid()
        began = start_ticks(keeper)
        self.install(None)
        self.assertFalse(self.is_installed(keeper))
        self.assertIn("no process was touched", self.home.ok("update").out)
        self.assertEqual(self.view(), before)
        self.assertEqual((self.home.keeper_pids(), start_ticks(keeper)), ([keeper], began))
        self.assertNotEqual(self.home.engine_pid(), engine)
        self.assertTrue(self.is_installed(keeper))
        self.assertTrue(self.is_installed(self.home.engine_pid()))
        self.assertIn("--resume-fd", proc_cmdline(keeper))
        with open("/proc/%d/comm" % keeper) as f:
            self.assertEqual(f.read(), "pmd\n")
        self.assertTicks()
        # It is as much a keeper as it was: it starts, waits for, and stops.
        self.home.start("b", ["/bin/sh", "-c", "sleep 0.5; exit 7"], "--no-autorestart")
        self.home.wait_status("b", "stopped")
        self.assertEqual(self.home.why("b")["runs"][0]["exit_code"], 7)
        self.home.ok("restart", "a")
        self.home.ok("stop", "all")

    def test_many_updates_leave_nothing_open(self):
        self.start_some()
        self.home.ok("update")
        before, keeper = self.view(), self.home.keeper_pid()

        def open_files():
            return sorted(os.readlink("/proc/%d/fd/%s" % (keeper, fd)).split(":")[0] for fd in os.listdir("/proc/%d/fd" % keeper))

        names = open_files()
        for _ in range(scaled(10, 3)):
            self.install(None)
            engine = self.home.engine_pid()
            self.home.ok("update")
            self.assertNotEqual(self.home.engine_pid(), engine)
            self.assertEqual(self.view(), before)
        # Path names differ with the inode's "(deleted)"; the number and the kinds do not.
        wait_until(lambda: len(open_files()) == len(names), what=lambda: "the same open files: %s, %s" % (names, open_files()))
        self.assertEqual(self.home.keeper_pid(), keeper)
        self.assertTicks()

    def die_during_the_exec(self, installed, env):
        """What is installed waits after the exec until the app is dead."""
        mark, pid_file = (os.path.join(self.home.work, name) for name in ("go", "pid"))
        self.home.env.update(env, PM_WRAP_GO=mark, PM_WRAP_PID=pid_file, PM_WRAP_NEXT=self.good)
        self.start_some()
        self.home.start("dying", ["/bin/sh", "-c", "while [ ! -e %s ]; do sleep 0.01; done; exit 43" % mark], "--no-autorestart")
        pid = self.home.pid("dying")
        self.home.file("pid", str(pid))
        self.install(installed)
        self.home.ok("update")
        self.home.wait_status("dying", "stopped")
        runs = self.home.why("dying")["runs"]
        self.assertEqual([(r["pid"], r["exit_code"]) for r in runs], [(pid, 43)])
        self.assertTicks()

    def test_a_death_during_the_update_has_its_true_status(self):
        with open(child("wrap_pmd")[0], "rb") as f:
            self.die_during_the_exec(f.read(), {})
        self.assertNotIn("is no child of this keeper", self.home.log())

    @unittest.skipUnless(tuple(map(int, os.uname().release.split("-")[0].split(".")[:2])) >= (6, 15), "needs PIDFD_INFO_EXIT")
    def test_a_death_that_a_shell_in_place_of_pmd_took(self):
        self.die_during_the_exec(SHELL_WRAP, {})
        self.assertIn("is no child of this keeper", self.home.log())

    def test_a_waiting_restart_stays_as_it_is(self):
        self.start_some()
        self.home.start("dying", ["/bin/sh", "-c", "sleep 0.5; exit 9"], "--restart-delay", "100000")
        self.home.wait_status("dying", "waiting restart")
        before = self.view()
        self.home.ok("update")
        self.assertEqual(self.view(), before)
        self.assertEqual(self.home.why("dying")["runs"][0]["exit_code"], 9)
        self.assertEqual(len(self.home.why("dying")["runs"]), 1)

    def test_no_line_of_a_flood_is_lost(self):
        count = scaled(150000)
        self.home.start("flood", ["/bin/sh", "-c", FLOOD.replace("COUNT", str(count))])
        updates = 0
        while updates < 3 or (len(self.home.app_log("flood").splitlines()) < count and updates < 8):
            self.home.ok("update")
            updates += 1
        wait_until(lambda: self.home.app_log("flood").count("\n") >= count, 90, "the flood is over")
        self.assertCleanSequence(self.home.app_log("flood").encode().splitlines(), count, "the file")
        self.assertCleanSequence(self.home.log_rows("flood", "out"), count, "the rows")
        self.assertEqual(self.home.restarts("flood"), 0)

    def test_the_keeper_dies_after_an_update(self):
        self.start_some()
        self.home.ok("update")
        pids, keeper = [row[1] for row in self.view()], self.home.keeper_pid()
        os.kill(keeper, signal.SIGKILL)
        wait_until(lambda: self.home.keeper_pid() not in (None, keeper), what="a new keeper")
        self.assertPidsAlive(pids)
        self.home.ok("update")
        self.assertPidsAlive(pids)
        self.assertTicks()

    def test_sigterm_after_an_update(self):
        self.start_some()
        self.home.ok("update")
        pids = self.home.app_pids()
        os.kill(self.home.keeper_pid(), signal.SIGTERM)
        self.home.wait_no_daemon()
        self.assertEqual([p for p in pids if alive(p)], [])
        self.assertFalse(os.path.exists(os.path.join(self.home.path, "pm.sock")))

    def test_in_the_foreground(self):
        pmd = self.home.spawn_pmd("--no-daemon")
        self.home.client_when_ready().close()
        self.home.start("a", child("silent"))
        before = self.view()
        self.home.ok("update")
        self.assertEqual(self.home.keeper_pid(), pmd.pid)
        self.assertEqual(self.view(), before)
        self.home.ok("kill")
        out, err = pmd.communicate(timeout=30)
        self.assertEqual((pmd.returncode, out), (0, b""))
        self.assertIn(b"becoming", err)

    # ---- what is installed is broken

    def refused(self, content, words, mode=0o755):
        self.start_some()
        before, engine, keeper = self.view(), self.home.engine_pid(), self.home.keeper_pid()
        self.install(content, mode)
        result = self.home.fails(1, "update")
        self.assertIn(words, result.err)
        self.assertEqual(result.err.count("\n"), 1, result.err)
        self.assertNothingChanged(before, engine, keeper)
        # As soon as it is repaired it can be done.
        self.install(None)
        self.home.ok("update")
        self.assertEqual(self.view(), before)
        self.assertTrue(self.is_installed(keeper))

    def test_a_program_that_fails(self):
        self.refused("#!/bin/sh\nexit 1\n", "cannot take over from this keeper (it ended with exit status 1")

    def test_a_program_that_succeeds_at_everything(self):
        self.refused("#!/bin/sh\nexit 0\n", "cannot take over from this keeper (it ended with exit status 0")

    def test_not_executable(self):
        self.refused("#!/bin/sh\nexit 0\n", "Permission denied", 0o644)

    def test_a_truncated_program(self):
        with open(os.path.join(BIN, "pmd"), "rb") as f:
            part = f.read(5000)
        self.refused(part, "not updated: ")

    def test_an_empty_program(self):
        self.refused(b"", "cannot execute")

    def test_one_that_crashes(self):
        self.refused("#!/bin/sh\nkill -SEGV $$\n", "was ended by signal 11")

    def test_one_that_hangs(self):
        self.refused("#!/bin/sh\nexec sleep 1000\n", "does not say within 5 s")

    def test_none(self):
        self.start_some()
        before, engine, keeper = self.view(), self.home.engine_pid(), self.home.keeper_pid()
        os.unlink(os.path.join(self.bin, "pmd"))
        self.assertIn("No such file or directory", self.home.fails(1, "update").err)
        self.assertNothingChanged(before, engine, keeper)

    def test_it_says_yes_and_cannot_take_over(self):
        self.start_some()
        before, engine, keeper = self.view(), self.home.engine_pid(), self.home.keeper_pid()
        self.install("#!/bin/sh\ncase \"$1\" in --check-upgrade) exit %d;; --resume-fd) shift 2; exec %s --resume-fd 0 \"$@\";; esac\n"
                     "exec %s \"$@\"\n" % (YES, self.good, self.good))
        # A flag that is not understood ends it; the engine starts a keeper.
        self.assertIn("not updated", self.home.fails(1, "update").err)
        wait_until(self.home.one_daemon, what="another keeper")
        self.assertEqual(self.home.engine_pid(), engine)
        self.assertEqual(self.view(), before)
        self.assertTicks()
        self.assertNotEqual(self.home.keeper_pid(), keeper)

    def test_going_back_to_the_image_before(self):
        """It says yes and cannot read the state after all: back to the image before, with all children."""
        self.start_some()
        before, engine, keeper = self.view(), self.home.engine_pid(), self.home.keeper_pid()
        image = self.exe(keeper).st_ino
        with open(self.good, "rb") as f:
            program = f.read()
        self.assertIn(b"pkeeper1", program)  # keeper/handover.c
        self.install(program.replace(b"pkeeper1", b"pkeeper0"))
        self.assertIn("could not take over", self.home.fails(1, "update").err)
        self.assertEqual(self.exe(keeper).st_ino, image)
        self.assertNothingChanged(before, engine, keeper)
        self.home.replace_engine()
        self.assertEqual(self.exe(self.home.engine_pid()).st_ino, image)
        self.install(None)
        self.home.ok("update")
        self.assertTrue(self.is_installed(keeper))
        self.assertEqual(self.view(), before)
        self.assertTicks()

    def test_it_crashes_after_the_exec(self):
        self.start_some()
        before, engine = self.view(), self.home.engine_pid()
        self.install("#!/bin/sh\ncase \"$1\" in --check-upgrade) exit %d;; esac\nkill -SEGV $$\n" % YES)
        self.assertIn("the keeper ended while it was under way", self.home.fails(1, "update").err)
        wait_until(self.home.one_daemon, what="another keeper, of the image that runs")
        self.assertEqual(self.home.engine_pid(), engine)
        self.assertEqual(self.view(), before)
        self.assertTicks()

    def test_an_engine_that_does_not_start(self):
        self.start_some()
        before, engine, keeper = self.view(), self.home.engine_pid(), self.home.keeper_pid()
        image = self.exe(engine).st_ino
        self.install("#!/bin/sh\ncase \"$1\" in --engine) exit 3;; esac\nexec %s \"$@\"\n" % self.good)
        result = self.home.fails(1, "update")
        self.assertIn("the installed engine does not start", result.err)
        self.assertIn("ended with exit status 3", result.err)
        self.assertEqual(self.home.keeper_pid(), keeper)
        self.assertNotEqual(self.home.engine_pid(), engine)
        self.assertEqual(self.exe(self.home.engine_pid()).st_ino, image)
        self.assertEqual(self.view(), before)
        # The image that works is the one that follows, also after a crash of it.
        self.home.replace_engine()
        self.assertEqual(self.exe(self.home.engine_pid()).st_ino, image)
        self.assertEqual(self.view(), before)
        self.assertTicks()
        self.home.fails(1, "update")
        self.assertEqual(self.view(), before)
        self.install(None)
        self.home.ok("update")
        self.assertTrue(self.is_installed(self.home.engine_pid()))
        self.assertEqual(self.view(), before)
        self.assertTicks()

    def test_an_engine_that_hangs(self):
        self.home.env["PM_HEARTBEAT_LIMIT"] = "500"
        self.start_some()
        before = self.view()
        self.install("#!/bin/sh\ncase \"$1\" in --engine) exec sleep 1000;; esac\nexec %s \"$@\"\n" % self.good)
        self.assertIn("the installed engine does not start", self.home.fails(1, "update").err)
        self.assertEqual(self.view(), before)
        self.assertTicks()

    def test_a_crash_with_a_broken_program_installed(self):
        """No update was asked for: the engine that died is followed by its own image."""
        self.start_some()
        before = self.view()
        self.install("#!/bin/sh\nexit 1\n")
        self.home.replace_engine()
        self.assertEqual(self.view(), before)
        self.assertTicks()


if __name__ == "__main__":
    main()
