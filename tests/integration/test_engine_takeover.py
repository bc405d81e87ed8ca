"""What a new engine makes of what it finds: the keeper's records, state.db, and the order in which they come."""

import os
import signal
import time

from harness import PmTest, alive, child, main, read_file, wait_until

TICKER = "i=0\nwhile :; do i=$((i+1)); echo tick $i; sleep 0.02; done\n"
# Leaves a child that keeps the streams open, so that the keeper keeps the record of the ended run.
LEAVES_ONE = "sleep 60 &\necho $! > %s\nexit 7\n"


def keeper_children(pid):
    with open("/proc/%d/task/%d/children" % (pid, pid)) as f:
        return {int(word) for word in f.read().split()}


class Takeover(PmTest):
    limit = 90

    def stop_the_world(self):
        engine, keeper = self.home.engine_pid(), self.home.keeper_pid()
        self.home.engine_may_die = True
        os.kill(keeper, signal.SIGSTOP)
        os.kill(engine, signal.SIGKILL)
        wait_until(lambda: not alive(engine), what="no engine")
        return keeper

    def test_told_to_end_while_it_takes_over(self):
        self.home.start("a", child("silent"), "-i", "5")
        pids = self.home.app_pids()
        keeper = self.stop_the_world()
        os.kill(keeper, signal.SIGTERM)
        os.kill(keeper, signal.SIGCONT)
        self.home.wait_no_daemon()
        self.assertEqual([pid for pid in pids if alive(pid)], [])

    def test_a_keeper_slower_than_the_database(self):
        """state.db is read long before the keeper answers: nothing is taken for an orphan of two daemons."""
        self.home.ok("start", self.home.file("ticker.sh", TICKER))
        self.home.wait_log("ticker", "tick 3\n")
        pid = self.home.pid("ticker")
        old, keeper = self.home.engine_pid(), self.home.keeper_pid()
        self.home.engine_may_die = True
        before = keeper_children(keeper)
        os.kill(old, signal.SIGKILL)
        while not keeper_children(keeper) - before:
            pass
        os.kill(keeper, signal.SIGSTOP)
        time.sleep(1)
        os.kill(keeper, signal.SIGCONT)
        self.home.wait_new_engine(old)
        self.home.wait_log("ticker", "tick 100\n")
        self.home.ok("stop", "ticker")
        lines = self.home.app_log("ticker").splitlines()
        self.assertEqual(lines, ["tick %d" % (i + 1) for i in range(len(lines))])
        self.assertNotIn("took back", self.home.log())
        self.assertFalse(alive(pid))

    def start_with_late_output(self):
        left = os.path.join(self.home.path, "left.pid")
        self.home.start_apps([{"name": "late", "script": self.home.file("late.sh", LEAVES_ONE % left), "treekill": False,
                               "restart_delay": 60000}], expect=None)
        self.home.wait_status("late", "waiting restart")
        pid = int(read_file(left))
        self.assertTrue(alive(pid))
        self.addCleanup(os.kill, pid, signal.SIGKILL)

    def test_an_ended_run_with_late_output_is_not_judged_again(self):
        self.start_with_late_output()
        due = self.home.proc("late")["pm2_env"]["restart_time"]
        self.home.replace_engine()
        self.assertEqual(self.home.status("late"), "waiting restart")
        self.assertEqual(self.home.restarts("late"), due)
        self.home.ok("stop", "late")
        words = [(r["run"], r["reason"]) for r in self.home.why("late")["runs"]]
        for _ in range(2):
            self.home.replace_engine()
            time.sleep(0.2)
            self.assertEqual(self.home.status("late"), "stopped")
        self.assertEqual([(r["run"], r["reason"]) for r in self.home.why("late")["runs"]], words)

    def test_a_process_id_that_is_used_again(self):
        """The record of a deleted process says nothing of the next one with its id."""
        self.start_with_late_output()
        self.home.ok("delete", "late")
        path = self.home.config([{"name": "other", "script": child("silent")[0], "autostart": False}])
        self.home.ok("start", path)
        self.assertEqual(self.home.proc("other")["pm_id"], 0)
        self.home.replace_engine()
        time.sleep(0.3)
        self.assertEqual(self.home.status("other"), "stopped")

    def test_logs_of_a_child_that_was_taken_back(self):
        """Nothing but state.db knows of it where its lines go; the next engine must find that too."""
        self.home.ok("start", self.home.file("ticker.sh", TICKER))
        pid = self.home.pid("ticker")
        self.home.engine_may_die = True
        keeper = self.stop_the_world()
        os.kill(keeper, signal.SIGKILL)
        wait_until(lambda: not self.home.daemons(), what="both are dead")
        self.home.start("new", child("silent"))
        self.home.replace_engine()
        size = len(self.home.app_log("ticker"))
        wait_until(lambda: len(self.home.app_log("ticker")) > size + 50, what="the ticker is logged again")
        self.assertEqual(self.home.pid("ticker"), pid)


if __name__ == "__main__":
    main()
