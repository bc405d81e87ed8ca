"""What comes back, and when."""

import json
import os
import signal
import sqlite3

import harness
from harness import RpcError, alive, wait_dead, wait_until


class Persistence(harness.PmTest):
    limit = 120

    def apps(self, *names, **more):
        return [dict({"name": n, "script": harness.CHILDREN + "/silent", "interpreter": "none"}, **more) for n in names]

    def call(self, method, **params):
        with self.home.client_when_ready() as c:
            return c.call(method, params)

    def names(self, status="online"):
        return sorted(p["name"] for p in self.call("list") if p["status"] == status)

    def pids(self):
        return {p["name"]: p["pid"] for p in self.call("list")}

    def terminate(self):
        """SIGTERM to the daemon, until it is gone."""
        os.kill(self.home.keeper_pid(), signal.SIGTERM)
        self.home.wait_no_daemon()
        self.home.engine_may_die = True

    def begin(self):
        """A new daemon, started as the boot does."""
        self.home.finish(self.home.spawn_pmd("--autostart"))

    def double_kill(self):
        self.home.engine_may_die = True
        pids = self.home.keeper_pids() + self.home.engine_pids()
        for sig in (signal.SIGSTOP, signal.SIGKILL):  # neither can answer the other's death
            for pid in pids:
                harness.send_signal(pid, sig)
        for pid in pids:
            wait_dead(pid)

    def state_db(self, sql, *values):
        db = sqlite3.connect(os.path.join(self.home.path, "state.db"))
        with db:
            rows = db.execute(sql, values).fetchall()
        db.close()
        return rows

    def reboot(self):
        """All is gone at once, and the next boot has another id."""
        apps = [p for p in self.pids().values() if p]
        self.double_kill()
        for pid in apps:
            harness.send_signal(pid, signal.SIGKILL)
            wait_dead(pid)
        self.state_db("UPDATE meta SET value = 'another-boot' WHERE key = 'boot_id'")
        self.begin()

    # ---- engine and daemons die

    def stay(self, event):
        """Without a saved list and with another one, all processes live through it with their pids and counters."""
        self.home.start_apps(self.apps("a", "b", "stopped"))
        self.call("process.restart", selectors=["b"])
        self.call("process.stop", selectors=["stopped"])
        before = [(p["id"], p["name"], p["pid"], p["restarts"], p["status"]) for p in self.call("list")]
        for saved in (False, True):
            if saved:
                self.call("save")
                self.home.start_apps(self.apps("not-saved"))
                before = [(p["id"], p["name"], p["pid"], p["restarts"], p["status"]) for p in self.call("list")]
            event()
            wait_until(lambda: [(p["id"], p["name"], p["pid"], p["restarts"], p["status"]) for p in self.call("list")] == before,
                       what=lambda: "%s instead of %s" % (self.call("list"), before))

    def kill_keeper(self):
        keeper = self.home.keeper_pid()
        os.kill(keeper, signal.SIGKILL)
        wait_until(lambda: self.home.keeper_pid() not in (None, keeper), what="a new keeper")

    def test_engine_dies(self):
        self.stay(self.home.replace_engine)

    def test_update(self):
        self.home.start_apps(self.apps("a"))
        before, engine = self.pids(), self.home.engine_pid()
        self.home.engine_may_die = True
        self.assertEqual(self.call("update")["pid"], engine)
        self.home.wait_new_engine(engine)
        self.assertEqual(self.pids(), before)
        self.assertEqual(self.call("list")[0]["restarts"], 0)
        again = self.home.engine_pid()
        self.call("update")
        self.home.wait_new_engine(again)
        self.assertEqual(self.pids(), before)

    def test_keeper_dies(self):
        self.stay(self.kill_keeper)

    def test_both_die(self):
        def both():
            self.double_kill()
            self.begin()
        self.stay(both)  # not the saved list: nothing was stopped

    # ---- reboot and SIGTERM

    def check_saved(self, again):
        self.home.start_apps(self.apps("a", "b", "c"))
        self.call("process.stop", selectors=["b"])
        self.assertEqual(self.call("save"), {"processes": 3})
        self.home.start_apps(self.apps("d"))
        self.call("process.start", selectors=["b"])
        self.call("process.stop", selectors=["c"])
        self.call("process.delete", selectors=["a"])
        again()
        wait_until(lambda: self.names() == ["a", "c"], what=lambda: str(self.call("list")))
        self.assertEqual(self.names("stopped"), ["b"])
        self.assertEqual(len(self.call("list")), 3)
        rows = {p["name"]: p["id"] for p in self.call("list")}
        self.assertEqual((rows["b"], rows["c"]), (1, 2))  # what was there keeps its id
        again()
        wait_until(lambda: self.names() == ["a", "c"], what=lambda: str(self.call("list")))
        self.assertEqual(len(self.call("list")), 3)

    def test_saved_after_sigterm(self):
        def again():
            self.terminate()
            self.begin()
        self.check_saved(again)

    def test_saved_after_reboot(self):
        self.check_saved(self.reboot)

    def check_desired(self, again):
        self.home.start_apps(self.apps("a", "b"))
        self.call("process.stop", selectors=["b"])
        again()
        wait_until(lambda: self.names() == ["a"], what=lambda: str(self.call("list")))
        self.assertEqual(self.names("stopped"), ["b"])

    def test_desired_after_sigterm(self):
        def again():
            self.terminate()
            self.begin()
        self.check_desired(again)

    def test_desired_after_reboot(self):
        self.check_desired(self.reboot)

    def test_engine_after_a_shutdown_is_no_shutdown(self):
        self.home.start_apps(self.apps("a"))
        self.call("save")
        self.terminate()
        self.begin()
        wait_until(lambda: self.names() == ["a"])
        self.home.start_apps(self.apps("b"))
        self.home.replace_engine()
        self.assertEqual(self.names(), ["a", "b"])

    def test_pm_kill(self):
        self.home.start_apps(self.apps("a", "b"))
        self.call("save")
        self.home.ok("kill")
        self.home.wait_no_daemon()
        self.home.engine_may_die = True
        self.begin()
        self.assertEqual(self.call("list"), [])
        self.terminate()
        self.begin()
        self.assertEqual(self.call("list"), [])
        result = self.call("resurrect")
        self.assertEqual([p["ok"] for p in result["processes"]], [True, True])
        self.assertEqual(self.names(), ["a", "b"])
        self.call("process.delete", selectors=["b"])
        self.terminate()
        self.begin()
        wait_until(lambda: self.names() == ["a", "b"])

    def test_pm_kill_without_a_saved_list(self):
        self.home.start_apps(self.apps("a"))
        self.home.ok("kill")
        self.home.wait_no_daemon()
        self.home.engine_may_die = True
        self.begin()
        self.assertEqual(self.call("list"), [])
        self.reboot()
        self.assertEqual(self.call("list"), [])
        result = self.home.fails(1, "resurrect")
        self.assertIn("there is no saved list; pm save makes one", result.err)
        self.home.start_apps(self.apps("b"))  # a list again, which comes back as any
        self.reboot()
        wait_until(lambda: self.names() == ["b"], what=lambda: str(self.call("list")))

    def test_pm_kill_and_a_reboot(self):
        self.home.start_apps(self.apps("a"))
        self.call("save")
        self.home.ok("kill")
        self.home.wait_no_daemon()
        self.home.engine_may_die = True
        self.begin()
        self.reboot()
        self.assertEqual(self.call("list"), [])
        self.home.ok("resurrect")
        self.assertEqual(self.names(), ["a"])

    def test_both_die_and_the_machine_with_them(self):
        """Which is told by the boot id: the pids of before are other programs' now."""
        self.home.start_apps(self.apps("a"))
        pid = self.pids()["a"]
        self.double_kill()
        self.state_db("UPDATE meta SET value = 'another-boot' WHERE key = 'boot_id'")
        self.begin()
        wait_until(lambda: self.names() == ["a"], what=lambda: str(self.call("list")))
        self.assertNotEqual(self.pids()["a"], pid)
        self.assertTrue(alive(pid))  # not pm's any more, and not touched
        harness.send_signal(pid, signal.SIGKILL)
        wait_dead(pid)

    # ---- save and resurrect

    def test_resurrect(self):
        self.begin()
        with self.assertRaises(RpcError) as e:
            self.call("resurrect")
        self.assertEqual(e.exception.code, -32011)
        self.home.start_apps(self.apps("a", "b") + self.apps("c", instances=2, namespace="other"))
        self.call("process.stop", selectors=["b"])
        self.call("save")
        before = self.pids()
        self.call("process.delete", selectors=["b", "other"])
        result = self.call("resurrect")
        self.assertEqual(result["skipped"], ["a"])
        self.assertEqual(sorted((p["name"], p["status"]) for p in result["processes"]),
                         [("b", "stopped"), ("c", "online"), ("c", "online")])
        self.assertEqual(self.pids()["a"], before["a"])
        self.assertEqual(sorted(p["instance"] for p in self.call("list") if p["name"] == "c"), [0, 1])
        self.assertEqual(self.call("resurrect")["processes"], [])

    def test_empty_list(self):
        self.home.start_apps(self.apps("a"))
        self.call("save")
        self.call("process.delete", selectors=["a"])
        with self.assertRaisesRegex(RpcError, "the list is empty; --force saves it all the same"):
            self.call("save")
        # As PM2: a warning, so that a script that saves after each step goes on; and the list before stays.
        result = self.home.ok("save")
        self.assertIn("the list is empty and was not saved", result.err)
        self.assertEqual([p["name"] for p in self.call("resurrect")["processes"]], ["a"])
        self.call("process.delete", selectors=["a"])
        self.call("save", force=True)
        self.terminate()
        self.begin()
        self.assertEqual(self.call("list"), [])
        self.call("cleardump")
        with self.assertRaisesRegex(RpcError, "no saved list"):
            self.call("resurrect")

    def test_damaged_list(self):
        self.home.start_apps(self.apps("a"))
        self.call("save")
        self.home.start_apps(self.apps("b"))
        self.call("save")
        self.call("process.delete", selectors=["all"])
        self.terminate()
        self.state_db("UPDATE saved SET value = substr(value, 1, 40) WHERE key = 'last'")
        self.begin()
        wait_until(lambda: self.names() == ["a"])
        self.assertIn("saved list is damaged", self.home.log())
        self.call("process.delete", selectors=["a"])
        result = self.call("resurrect")
        self.assertIn("damaged", result["note"])
        self.assertEqual([p["name"] for p in result["processes"]], ["a"])
        # The damaged one does not take the place of the good one.
        self.call("save")
        kept = dict(self.home.database("state.db").execute("SELECT key, value FROM saved"))
        self.assertEqual([a["spec"]["name"] for a in json.loads(kept["before"])["apps"]], ["a"])

    def test_private(self):
        self.home.start_apps(self.apps("a", env={"API_TOKEN": "geheim"}))
        self.call("save")
        for name in os.listdir(self.home.path):
            if name.startswith("state.db"):
                self.assertEqual(os.stat(os.path.join(self.home.path, name)).st_mode & 0o077, 0, name)
        self.assertNotIn("geheim", json.dumps(self.call("list", full=True)))

    def test_settings(self):
        self.begin()
        self.assertEqual(self.call("settings.get"), {"settings": {}})
        self.call("settings.set", key="a.b", value="1")
        self.call("settings.set", key="c", value="x y")
        self.assertEqual(self.call("settings.get", key="a:b"), {"key": "a:b", "value": "1"})
        self.terminate()
        self.begin()
        self.assertEqual(self.call("settings.get"), {"settings": {"a:b": "1", "c": "x y"}})
        self.call("settings.unset", key="a.b")
        for method in ("settings.get", "settings.unset"):
            with self.assertRaises(RpcError) as e:
                self.call(method, key="a:b")
            self.assertEqual(e.exception.code, -32011)
        self.assertTrue(alive(self.home.keeper_pid()))


if __name__ == "__main__":
    harness.main()
