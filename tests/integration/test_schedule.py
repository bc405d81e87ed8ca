"""cron_restart and schedule: what is restarted, what is run, and when it is not."""

import json
import os
import re
import signal
import time

from harness import SLOW, PmTest, alive, child, main, send_signal, wait_until

OFTEN = "* * * * * *"
TWO = "*/2 * * * * *"
NIGHT = "30 2 29 2 *"


def events(home, kind, name):
    """The stored events of a kind, oldest first."""
    lines = home.ok("events", "--json", "--nostream", "--lines", "5000").out.splitlines()
    return [e for e in map(json.loads, lines) if e.get("event") == kind and e.get("name") == name]


class ScheduleTest(PmTest):
    def app(self, command, name="a", expect=0, **keys):
        self.home.start_apps([{"name": name, "script": command[0], "args": command[1:], **keys}], expect)

    def shell(self, text, name="a", **keys):
        self.app(["/bin/sh", "-c", text], name, **keys)

    def own(self, name="a"):
        """pm's own part of the record."""
        with self.home.client() as c:
            return c.call("describe", {"selectors": [name]})[0]["pm"]

    def runs(self, name="a"):
        """Oldest first."""
        return self.home.why(name, runs=100)["runs"][::-1]

    def wait_runs(self, count, name="a"):
        wait_until(lambda: len(self.runs(name)) >= count, 30 * SLOW, "%d runs of %s" % (count, name), step=0.1)
        return self.runs(name)

    def wait_ended(self, count, name="a"):
        def ended():
            found = [r for r in self.runs(name) if r.get("ended_at")]
            return found if len(found) >= count else None
        return wait_until(ended, 30 * SLOW, "%d runs of %s that have ended" % (count, name), step=0.1)


class CronRestart(ScheduleTest):
    def test_restarts(self):
        self.app(child("silent"), cron_restart=TWO)
        first = self.home.pid("a")
        self.home.wait_restarts("a", 2, 30)
        self.assertFalse(alive(first))
        self.assertIn("pm: cron_restart", self.home.ok("why", "a").out)
        self.assertRegex(events(self.home, "schedule", "a")[0]["text"], r"^it is 20[0-9-]+ [0-9:]+[02468] [+-]\d{4} \(\*/2 \* \* \* \* \*\)$")
        self.assertEqual(self.home.proc("a")["pm2_env"]["cron_restart"], TWO)

    def test_a_stop_leaves_it_armed_and_says_so(self):
        self.app(child("silent"), cron=NIGHT)
        self.assertRegex(self.home.ok("stop", "a").err, r"a: cron_restart goes on: it is started again at 20\d\d-02-29 02:30:00")
        self.assertRegex(self.own()["reason_text"], r"stopped by request .*; cron_restart starts it at 20\d\d-02-29 02:30:00")
        self.home.ok("restart", "a", "--cron-restart", TWO)
        self.home.ok("stop", "a")
        self.home.wait_status("a", "online", 30)

    def test_an_errored_app_comes_back(self):
        self.shell("exit 7", max_restarts=1, cron_restart=NIGHT, expect=1)
        self.assertEqual(self.home.status("a"), "errored")
        self.assertRegex(self.own()["reason_text"], r"; cron_restart starts it at 20\d\d-02-29 02:30:00")
        self.shell("exit 7", max_restarts=1, cron_restart=TWO, expect=1)
        self.wait_runs(4)
        self.assertIn("pm: cron_restart", {e.get("by") for e in events(self.home, "start", "a")})

    def test_zero_switches_it_off(self):
        self.app(child("silent"), cron_restart=NIGHT)
        self.assertEqual(len(self.own()["next_runs"]), 3)
        self.home.ok("restart", "a", "--cron-restart", "0")
        self.assertNotIn("next_runs", self.own())
        self.assertNotIn("cron_restart", self.home.proc("a")["pm2_env"])
        self.assertNotIn("goes on", self.home.ok("stop", "a").err)
        self.home.ok("restart", "a", "-c", "@daily")
        self.assertEqual(len(self.own()["next_runs"]), 3)
        self.home.ok("reload", "a", "--cron", "0")
        self.assertNotIn("next_runs", self.own())

    def test_a_reload_where_the_app_can(self):
        self.app(child("silent"), cron_restart="*/5 * * * * *", min_uptime="100ms", listen=["unix:%s" % os.path.join(self.home.work, "s")])
        run = self.wait_ended(1)[0]
        self.assertEqual(run["reason"], "reloaded", run)

    def test_instances_one_at_a_time(self):
        """Each takes half a second to end: the next one is taken down when the one before is up again."""
        self.shell("trap 'sleep 0.5; exit' INT; while :; do sleep 0.05; done", instances=3, cron_restart="*/10 * * * * *")
        def ends():
            runs = [self.home.why(str(p["pm_id"]))["runs"] for p in self.home.procs("a")]
            return sorted(r["ended_at"] for rs in runs for r in rs if r.get("ended_at"))
        ended = wait_until(lambda: len(ends()) >= 3 and ends(), 60 * SLOW, "each is restarted", step=0.1)
        self.assertGreaterEqual(ended[1] - ended[0], 400)
        self.assertGreaterEqual(ended[2] - ended[1], 400)

    def test_bad_patterns(self):
        result = self.home.fails(2, "start", child("silent")[0], "-c", "0 25 * * *")
        self.assertIn('--cron-restart: "25" is no hour (0 to 23)', result.err)
        self.app(child("silent"), schedule=NIGHT)
        result = self.home.fails(1, "restart", "a", "-c", "@daily")
        self.assertIn("give one of them", result.err)


class Jobs(ScheduleTest):
    def test_waits_for_its_time(self):
        self.shell("exit 0", schedule=NIGHT, tz="Europe/Berlin")
        self.assertEqual(self.home.status("a"), "stopped")
        own = wait_until(lambda: "next_runs" in self.own() and self.own(), 20, "its zone is read")
        self.assertEqual([time.strftime("%m-%d %H:%M", time.gmtime(t / 1000)) for t in own["next_runs"]], ["02-29 01:30"] * 3)
        wait_until(lambda: re.match(r"waits for its schedule, next at 20\d\d-02-29", self.own()["reason_text"]), 20, "the reason")
        self.assertEqual(self.runs(), [])
        env = self.home.proc("a")["pm2_env"]
        self.assertEqual((env["schedule"], env["overlap"], env["tz"]), (NIGHT, "skip", "Europe/Berlin"))
        text = self.home.ok("describe", "a").out
        self.assertRegex(text, r"next runs +20\d\d-02-29 \d\d:30:00 \w+, 20\d\d-02-29 \d\d:30:00 \w+,")
        self.assertRegex(text, r"time zone +Europe/Berlin")

    def test_start_says_when(self):
        result = self.home.ok("start", self.home.config([{"name": "a", "script": "/bin/true", "schedule": NIGHT}]))
        self.assertRegex(result.err, r"a is run by its schedule, next at 20\d\d-02-29 02:30:00 [+-]\d{4}; pm restart a runs it now")

    def test_runs_at_its_times(self):
        self.shell("exit 0", schedule=TWO)
        runs = self.wait_ended(3)
        slots = [r["started_at"] // 2000 for r in runs]
        self.assertEqual(len(set(slots)), len(slots), slots)
        self.assertEqual({(r["reason"], r["exit_code"]) for r in runs}, {("exit", 0)})
        self.assertEqual({e["by"] for e in events(self.home, "start", "a")}, {"pm: schedule"})
        self.assertEqual(self.home.restarts("a"), 0)
        self.assertEqual(self.home.proc("a")["pm2_env"]["unstable_restarts"], 0)

    def test_a_failing_job_goes_on(self):
        self.shell("echo broken >&2; exit 3", schedule=OFTEN, max_restarts=2)
        self.wait_ended(4)
        self.assertRegex(self.own()["reason_text"], r"^exited with code 3 after .*; waits for its schedule, next at ")
        self.assertEqual(self.home.status("a"), "stopped")
        self.assertIn("exited with code 3", self.home.ok("why", "a").out)
        self.assertIn(3, [e.get("exit_code") for e in events(self.home, "exit", "a")])

    def test_what_cannot_be_executed_is_tried_again(self):
        path = self.home.file("tool", "#!/bin/sh\nexit 0\n")
        self.app([path], schedule=OFTEN, interpreter="none")
        os.rename(path, path + ".away")
        wait_until(lambda: any(r["reason"] == "exec-failed" for r in self.runs()), 30 * SLOW, "a run that fails", step=0.1)
        os.rename(path + ".away", path)
        wait_until(lambda: self.runs()[-1]["reason"] == "exit", 30 * SLOW, "a run that does not", step=0.1)

    def test_overlap_skip(self):
        self.app(child("silent"), schedule=OFTEN)
        self.wait_runs(1)
        left = wait_until(lambda: [e for e in events(self.home, "schedule", "a") if "left out" in e["text"]], 20 * SLOW, "a time that is left out", step=0.1)
        self.assertRegex(left[0]["text"], r"^20[0-9-]+ [0-9:]+ [+-]\d{4} is left out: the run before still goes \(pid %d\)$" % self.home.pid("a"))
        # Once for each run that is in the way, however many times pass.
        first = self.own()["next_runs"][0]
        wait_until(lambda: self.own()["next_runs"][0] >= first + 3000, 20 * SLOW, "three more times")
        self.assertEqual(len([e for e in events(self.home, "schedule", "a") if "left out" in e["text"]]), 1)
        self.assertEqual(len(self.runs()), 1)

    def test_overlap_queue(self):
        go = os.path.join(self.home.work, "go")
        self.shell("until [ -e %s ]; do sleep 0.05; done" % go, schedule=OFTEN, overlap="queue")
        self.wait_runs(1)
        first = self.own()["next_runs"][0]
        wait_until(lambda: self.own()["next_runs"][0] >= first + 3000, 20 * SLOW, "three times pass")
        self.assertEqual(len(self.runs()), 1)
        open(go, "w").close()
        runs = self.wait_runs(2)
        self.assertLess(runs[1]["started_at"] - runs[0]["ended_at"], 1000 * SLOW)
        self.assertIn("the run before had to end first", events(self.home, "schedule", "a")[1]["text"])

    def test_a_stop_drops_what_is_queued(self):
        self.app(child("silent"), schedule="*/20 * * * * *", overlap="queue")
        self.home.ok("restart", "a")
        before = time.time() // 20
        wait_until(lambda: time.time() // 20 > before, 30, "its time", step=0.1)
        self.home.ok("stop", "a")
        first = self.own()
        self.assertRegex(first["reason_text"], "^stopped by request .*; waits for its schedule")
        # The looks at the clock that follow would have started it.
        self.home.replace_engine()
        self.assertEqual(len(self.runs()), 1)

    def test_overlap_kill(self):
        self.app(child("silent"), schedule=TWO, overlap="kill")
        run = self.wait_ended(2)[0]
        self.assertEqual((run["reason"], run["signal"]), ("restarted", signal.SIGINT))
        self.assertIn("pm: schedule", self.home.ok("why", "a").out)

    def test_restart_runs_it_now(self):
        self.shell("exit 0", schedule=NIGHT)
        self.app(child("silent"), "b")
        self.home.ok("restart", "a")
        self.assertEqual(self.wait_ended(1)[0]["exit_code"], 0)
        # As one of all it is left alone; as one of a file it takes the configuration.
        self.assertIn("a is run by its schedule", self.home.ok("restart", "all").err)
        self.home.ok("reload", "all")
        self.shell("exit 5", schedule=NIGHT)
        self.assertEqual(len(self.runs()), 1)
        self.home.fails(1, "start", "a")
        self.assertEqual([r["exit_code"] for r in self.wait_ended(2)], [0, 5])
        self.assertEqual(self.home.restarts("b"), 2)

    def test_all_instances_run(self):
        self.shell("exit 0", schedule=TWO, instances=3)
        wait_until(lambda: all(self.home.why(str(i))["runs"] for i in range(3)), 30 * SLOW, "a run of each", step=0.1)
        first = [self.home.why(str(i), runs=100)["runs"][-1]["started_at"] for i in range(3)]
        self.assertLess(max(first) - min(first), 1000 * SLOW)
        self.home.ok("scale", "a", "4")
        wait_until(lambda: self.home.why("3")["runs"], 30 * SLOW, "a run of the fourth", step=0.1)

    def test_a_service_becomes_a_job_and_back(self):
        self.app(child("silent"))
        pid = self.home.pid("a")
        self.home.ok("restart", self.home.config([{"name": "a", "script": child("silent")[0], "schedule": NIGHT}]))
        wait_until(lambda: not alive(pid), 20, "the service is stopped")
        self.assertEqual(self.home.status("a"), "stopped")
        self.app(child("silent"))
        self.assertEqual(self.home.status("a"), "online")
        self.assertNotIn("next_runs", self.own())


class Survives(ScheduleTest):
    def check_slots(self):
        slots = [r["started_at"] // 2000 for r in self.runs()]
        self.assertEqual(len(set(slots)), len(slots), slots)

    def test_engines_that_die(self):
        self.shell("exit 0", schedule=TWO)
        for n in range(1, 6):
            self.wait_runs(n)
            self.home.replace_engine()
        self.wait_runs(7)
        self.check_slots()

    def test_a_time_without_an_engine_is_made_up_once(self):
        self.shell("exit 0", schedule="*/20 * * * * *")
        before = time.time() // 20
        engine = self.home.engine_pid()
        send_signal(engine, signal.SIGSTOP)
        wait_until(lambda: time.time() // 20 > before, 30, "its time", step=0.1)
        slot = time.time() // 20 * 20000
        send_signal(engine, signal.SIGKILL)
        self.home.wait_new_engine(engine)
        run = self.wait_runs(1)[0]
        self.assertGreaterEqual(run["started_at"], slot)
        self.home.replace_engine()
        self.assertEqual(len([r for r in self.runs() if r["started_at"] // 20000 == slot // 20000]), 1)

    def test_an_update(self):
        self.shell("exit 0", schedule=TWO)
        self.wait_runs(1)
        self.home.engine_may_die = True
        self.home.ok("update")
        self.wait_runs(3)
        self.check_slots()

    def test_a_saved_list(self):
        self.shell("exit 0", schedule=TWO)
        self.app(child("silent"), "b", schedule=NIGHT)
        self.app(child("silent"), "c", cron_restart=TWO)
        self.home.ok("restart", "b")
        self.home.ok("save")
        self.home.engine_may_die = True
        self.home.ok("kill")
        self.home.ok("resurrect")
        # A job that ran when the list was saved waits for its time as any other.
        self.assertEqual((self.home.status("b"), self.home.status("c")), ("stopped", "online"))
        self.assertIn("waits for its schedule", self.own("b")["reason_text"])
        self.wait_runs(2)
        self.home.wait_restarts("c", 1, 30)

    def test_a_daemon_that_was_told_to_end(self):
        for saved in (False, True):
            if saved:
                self.home.ok("save")
            else:
                self.app(child("silent"), schedule=NIGHT)
                self.shell("exit 0", "b", schedule=TWO)
            self.home.ok("restart", "a")
            send_signal(self.home.keeper_pid(), signal.SIGTERM)
            self.home.engine_may_die = True
            self.home.wait_no_daemon()
            self.home.finish(self.home.spawn_pmd("--autostart"))
            self.home.client_when_ready().close()
            self.assertEqual(self.home.status("a"), "stopped", saved)
            count = len(self.runs("b"))
            self.wait_runs(count + 1, "b")


if __name__ == "__main__":
    main()
