"""The keeper, or both daemons, are killed while it forks: whatever became of the child, no app runs twice and none is lost."""

import os
import random
import signal
import time
import unittest

import ptrace
from harness import Client, Closed, PmTest, RpcError, alive, child, main, scaled, wait_until


class KeeperFork(PmTest):
    limit = 120

    def setUp(self):
        super().setUp()
        self.home.engine_may_die = True

    def wait_attached(self, old):
        def attached():
            now = self.home.keeper_pid()
            try:
                with Client(self.home, timeout=5) as c:
                    return now if now != old and c.info["keeper_pid"] == now else None
            except (OSError, Closed, RpcError):
                return None
        return wait_until(attached, 30, "a new keeper is attached")

    def start_and_stop(self):
        """Starts an app; the keeper is stopped after its fork, the child on its way to the exec."""
        keeper = self.home.keeper_pid()
        try:
            ptrace.seize(keeper)
        except OSError as e:
            raise unittest.SkipTest("ptrace is not allowed here: %s" % e) from None
        command = self.home.popen("start", child("silent")[0], "--name", "caught")
        orphan = ptrace.wait_fork(keeper)
        # Before that it holds the link to the engine, which would not even see that the keeper is dead.
        ptrace.go_on_until(orphan, lambda: len(os.listdir("/proc/%d/fd" % orphan)) <= 6)
        self.assertTrue(self.home.is_pmd(orphan))
        return command, keeper, orphan

    def start_and_catch(self):
        """Starts an app and kills the keeper once it has forked; the child is stopped on its way to the exec."""
        command, keeper, orphan = self.start_and_stop()
        ptrace.kill(keeper)
        self.wait_attached(keeper)
        return command, orphan

    def assert_one_process_each(self, count):
        pids = self.home.app_pids()
        self.assertEqual(sorted(pids), sorted(p["pid"] for p in self.home.jlist()))
        self.assertEqual(len(pids), count)

    def test_the_child_goes_on_without_its_keeper(self):
        self.home.start("other", child("silent"))
        other = self.home.pid("other")
        command, orphan = self.start_and_catch()
        # The engine has a new keeper and could start the app again; it must not, as long as the child can still become it.
        time.sleep(0.5)
        self.assertEqual(self.home.app_pids(), [other])
        self.assertEqual(self.home.status("caught"), "launching")
        self.home.start("next", child("silent"))  # nobody else waits
        ptrace.detach(orphan)
        self.assertEqual(self.home.finish(command).code, 0)
        self.assertEqual(self.home.status("caught"), "online")
        self.assertEqual(self.home.restarts("caught"), 0)
        wait_until(lambda: not alive(orphan), what="the child that nobody knew is dead")
        self.assert_one_process_each(3)
        self.assertEqual(self.home.pid("other"), other)

    def test_the_child_dies_before_its_exec(self):
        self.home.start("other", child("silent"))
        command, orphan = self.start_and_catch()
        ptrace.kill(orphan)
        self.assertEqual(self.home.finish(command).code, 0)
        self.assertEqual(self.home.status("caught"), "online")
        self.assertEqual(self.home.restarts("caught"), 0)
        self.assert_one_process_each(2)

    def test_the_child_is_known_but_not_its_exec(self):
        """Then it is the app: it only has to get there."""
        self.home.start("other", child("silent"))
        command, keeper, child_pid = self.start_and_stop()
        ptrace.detach(keeper)
        wait_until(lambda: self.home.pid("caught") == child_pid, what="the engine knows the child")
        os.kill(keeper, signal.SIGKILL)
        self.wait_attached(keeper)
        time.sleep(0.3)
        self.assertEqual(self.home.status("caught"), "launching")
        ptrace.detach(child_pid)
        self.assertEqual(self.home.finish(command).code, 0)
        self.assertEqual((self.home.pid("caught"), self.home.status("caught"), self.home.restarts("caught")), (child_pid, "online", 0))
        self.assert_one_process_each(2)

    def test_stopped_and_killed_meanwhile(self):
        """The daemon can be told to end while it waits for such a child."""
        self.home.start("other", child("silent"))
        command, orphan = self.start_and_catch()
        kill = self.home.popen("kill")
        time.sleep(0.3)
        ptrace.detach(orphan)
        self.home.finish(kill)
        self.home.finish(command)
        self.home.wait_no_daemon()
        wait_until(lambda: not self.home.app_pids(), what="nothing is left")

    def test_another_keeper_dies_meanwhile(self):
        self.home.start("other", child("silent"))
        command, orphan = self.start_and_catch()
        second = self.home.keeper_pid()
        os.kill(second, signal.SIGKILL)
        self.wait_attached(second)
        time.sleep(0.3)
        self.assertEqual(self.home.status("caught"), "launching")
        ptrace.detach(orphan)
        self.assertEqual(self.home.finish(command).code, 0)
        self.assertEqual(self.home.status("caught"), "online")
        self.assertEqual(self.home.restarts("caught"), 0)
        self.assert_one_process_each(2)

    def test_the_engine_dies_too(self):
        """The next daemon must not leave a child that becomes the app later, beside the one that it starts itself."""
        self.home.start("other", child("silent"))
        other = self.home.pid("other")
        command, keeper, orphan = self.start_and_stop()
        os.kill(self.home.engine_pid(), signal.SIGKILL)
        ptrace.kill(keeper)
        self.home.finish(command)
        wait_until(lambda: self.home.daemons() == [orphan], what="both are dead")
        start = self.home.popen("start", child("silent")[0], "--name", "next")
        _, status = os.waitpid(orphan, ptrace.WALL)
        self.assertTrue(os.WIFSIGNALED(status), "status %#x" % status)
        self.assertEqual(self.home.finish(start).code, 0)
        self.assertIn("pid %d was about to become an app" % orphan, self.home.log())
        self.assertEqual(self.home.pid("other"), other)
        wait_until(lambda: all(p["pm2_env"]["status"] == "online" for p in self.home.jlist()), what="all run")
        self.assert_one_process_each(len(self.home.jlist()))

    def kill_both(self, keeper, engine):
        os.kill(keeper, signal.SIGSTOP)
        os.kill(engine, signal.SIGKILL)
        os.kill(keeper, signal.SIGKILL)

    def test_a_storm_that_kills_both(self):
        """What state.db does not know yet is ended by the next daemon, and started anew."""
        count = 12
        self.home.start_apps([{"name": "app", "script": child("silent")[0], "instances": count}])
        self.home.start("left", child("silent"))  # nothing happens to it
        left = self.home.pid("left")
        for turn in range(scaled(15, 3)):
            keeper, engine = self.home.keeper_pid(), self.home.engine_pid()
            before = set(self.home.app_pids())
            command = self.home.popen("restart", "app")
            wait_until(lambda: set(self.home.app_pids()) != before, what="the restart has begun", step=0.001)
            time.sleep(random.uniform(0, 0.05))
            self.kill_both(keeper, engine)
            self.home.finish(command)
            # A child before its exec, which looks like a daemon, still has the socket: it would take a connection and close it.
            wait_until(lambda: not self.home.daemons() and not alive(keeper) and not alive(engine), what="both are dead")
            self.home.start("new%d" % turn, child("silent"))
            wait_until(lambda: all(p["pm2_env"]["status"] == "online" for p in self.home.jlist()), 30, "all run again")
            wait_until(lambda: len(self.home.app_pids()) == count + 2 + turn, 10, lambda: "each once: %s" % self.home.app_pids())
            self.assert_one_process_each(count + 2 + turn)
            self.assertEqual(self.home.pid("left"), left)
        wait_until(self.home.one_daemon, what="one keeper and one engine")

    def test_a_storm(self):
        """At a random moment of many starts."""
        count = 12
        self.home.start_apps([{"name": "app", "script": child("silent")[0], "instances": count}])
        for _ in range(scaled(15, 3)):
            keeper = self.home.keeper_pid()
            before = {p["pid"] for p in self.home.jlist()}
            command = self.home.popen("restart", "all")
            wait_until(lambda: set(self.home.app_pids()) != before, what="the restart has begun", step=0.001)
            time.sleep(random.uniform(0, 0.03))
            os.kill(keeper, signal.SIGKILL)
            self.home.finish(command)
            self.wait_attached(keeper)
            wait_until(lambda: all(p["pm2_env"]["status"] == "online" and p["pid"] not in before for p in self.home.jlist()), 30, "all run again")
            wait_until(lambda: len(self.home.app_pids()) == count, 10, lambda: "each once: %s" % self.home.app_pids())
            self.assert_one_process_each(count)


if __name__ == "__main__":
    main()
