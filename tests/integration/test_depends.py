"""depends_on: what is started after what, and stopped before it; what is said when that cannot be."""

import os
import signal
import time

from harness import SLOW, PmTest, child, main, wait_until

# Writes what happens to it into one file: "+name" at its start, "-name" when it was asked to end.
APP = r'''
import os, signal, socket, sys, time

name, log = sys.argv[1], sys.argv[2]

def note(mark):
    fd = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    os.write(fd, (mark + name + "\n").encode())
    os.close(fd)

def end(*_):
    time.sleep(0.1)
    note("-")
    os._exit(0)

signal.signal(signal.SIGINT, end)
note("+")
where = os.environ.get("NOTIFY_SOCKET")
if where:
    socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM).sendto(b"READY=1", "\0" + where[1:] if where[0] == "@" else where)
if "job" in sys.argv:
    while not os.path.exists("go"):
        time.sleep(0.02)
    note("-")
    sys.exit(int(open("go").read()))
while True:
    time.sleep(1000)
'''


class DependsTest(PmTest):
    def setUp(self):
        super().setUp()
        self.script = self.home.file("app.py", APP)
        self.order = os.path.join(self.home.work, "order.log")

    def app(self, name, *args, **keys):
        return {"name": name, "script": self.script, "interpreter": "python3", "cwd": self.home.work,
                "args": [name, self.order, *args], "wait_ready": True, "listen_timeout": 60000, **keys}

    def log(self):
        try:
            with open(self.order) as f:
                return f.read().split()
        except FileNotFoundError:
            return []

    def clear(self):
        open(self.order, "w").close()

    def go(self, code=0):
        self.home.file("go.new", str(code))
        os.rename(os.path.join(self.home.work, "go.new"), os.path.join(self.home.work, "go"))

    def chain(self):
        """web needs api, api needs db; the file has them the other way round."""
        return [self.app("web", depends_on="api"), self.app("api", depends_on={"db": "started"}), self.app("db")]

    def begin(self, *args):
        """A pm command that waits, while others are given."""
        self.home.ok("start", "/bin/sleep", "--name", "other", "--", "1000")
        return self.home.popen(*args)

    def wait_held(self, name, text):
        wait_until(lambda: text in self.home.pm("why", name).out, 20 * SLOW, lambda: "%r in %r" % (text, self.home.pm("why", name).out))

    def why(self, name):
        return self.home.ok("why", name).out


class Start(DependsTest):
    def test_in_order(self):
        self.home.start_apps(self.chain())
        self.assertEqual(self.log(), ["+db", "+api", "+web"])
        self.assertEqual([p["name"] for p in sorted(self.home.jlist(), key=lambda p: p["pm_id"])], ["web", "api", "db"])

    def test_waits_for_readiness(self):
        db = {"name": "db", "script": child("ready_notify", 500)[0], "args": child("ready_notify", 500)[1:],
              "wait_ready": True, "listen_timeout": 20000}
        path = self.home.config([self.app("web", depends_on=["db"]), db])
        starting = self.begin("start", path)
        self.wait_held("web", "waits for db (started)")
        web = self.home.proc("web")
        self.assertEqual((web["pm2_env"]["status"], web["pid"]), ("stopped", 0))
        self.assertIn("waits for db", self.home.ok("describe", "web").out)
        self.assertEqual(web["pm2_env"]["waits_for"], "waits for db (started)")
        self.assertEqual(self.home.finish(starting).code, 0)
        self.assertEqual(self.log(), ["+web"])
        self.home.wait_status("web", "online")

    def test_waits_for_health(self):
        db = self.app("db", health_check={"exec": "test -e " + os.path.join(self.home.work, "well"), "interval": "100ms",
                                          "start_period": "60s"}, wait_ready=False)
        path = self.home.config([self.app("web", depends_on={"db": "healthy"}), db])
        starting = self.begin("start", path)
        self.wait_held("web", "waits for db (healthy)")
        wait_until(lambda: self.log() == ["+db"], 20 * SLOW, "db runs")
        self.home.file("well", "")
        result = self.home.finish(starting)
        self.assertEqual(result.code, 0, result.err)
        self.assertEqual(self.log(), ["+db", "+web"])

    def test_job_completed(self):
        path = self.home.config([self.app("web", depends_on={"job": {"condition": "completed"}}),
                                 self.app("job", "job", autorestart=False)])
        starting = self.begin("start", path)
        self.wait_held("web", "waits for job (completed)")
        self.go(0)
        self.assertEqual(self.home.finish(starting).code, 0)
        self.assertEqual(self.log(), ["+job", "-job", "+web"])

    def test_job_fails(self):
        self.go(3)
        job = self.app("job", "job", autorestart=False)
        path = self.home.config([self.app("web", depends_on={"job": "completed"}), job])
        result = self.home.fails(1, "start", path)
        self.assertRegex(result.err, r"web .*its dependency job failed: exited with code 3")
        self.assertEqual(self.home.status("web"), "stopped")
        self.assertIn("its dependency job failed", self.why("web"))
        # It comes up by itself once the job has done its work, for it is still wanted.
        self.go(0)
        self.home.ok("start", "job")
        self.home.wait_status("web", "online")
        # "exited" takes any code.
        self.home.ok("delete", "all")
        self.go(3)
        self.home.pm("start", self.home.config([self.app("web", depends_on={"job": "exited"}), job]))
        self.home.wait_status("web", "online")

    def test_dependency_crashes(self):
        bad = {"name": "db", "script": child("exit_code", 1)[0], "args": child("exit_code", 1)[1:], "max_restarts": 2}
        result = self.home.fails(1, "start", self.home.config([self.app("api", depends_on="db"), self.app("web", depends_on="api"), bad]))
        self.assertRegex(result.err, r"api .*its dependency db failed: .*exited with code 1")
        self.assertRegex(result.err, r"web .*its dependency api cannot start: its dependency db failed")
        self.assertEqual(self.log(), [])

    def test_stop_ends_the_wait(self):
        self.home.start_apps(self.chain())
        self.home.ok("stop", "all")
        result = self.home.fails(1, "start", "web")
        self.assertIn("its dependency api is not up", result.err)
        self.home.ok("stop", "web")
        self.clear()
        self.home.ok("start", "db")
        self.home.ok("start", "api")
        time.sleep(0.3)
        self.assertEqual(self.log(), ["+db", "+api"])
        self.assertEqual(self.home.status("web"), "stopped")

    def test_restart_all(self):
        self.home.start_apps(self.chain())
        self.clear()
        self.home.ok("restart", "all")
        self.assertEqual(self.log(), ["-db", "+db", "-api", "+api", "-web", "+web"])
        self.home.ok("stop", "all")
        self.clear()
        self.home.ok("start", "all")
        self.assertEqual(self.log(), ["+db", "+api", "+web"])
        self.clear()
        self.home.ok("startOrRestart", self.home.config(self.chain()))
        self.assertEqual(self.log(), ["-db", "+db", "-api", "+api", "-web", "+web"])

    def test_crash_takes_nothing_down(self):
        self.home.start_apps(self.chain())
        web = self.home.pid("web")
        os.kill(self.home.pid("db"), signal.SIGKILL)
        self.home.wait_restarts("db", 1)
        self.assertEqual(self.home.pid("web"), web)
        self.assertEqual(self.home.restarts("web"), 0)


class Stop(DependsTest):
    def test_stop_and_delete_all(self):
        self.home.start_apps(self.chain())
        self.clear()
        self.home.ok("stop", "all")
        self.assertEqual(self.log(), ["-web", "-api", "-db"])
        self.home.ok("start", "all")
        self.clear()
        self.home.ok("delete", "all")
        self.assertEqual(self.log(), ["-web", "-api", "-db"])

    def test_kill(self):
        # In an order in the list that is not that of the dependencies.
        apps = self.chain()
        self.home.start_apps([apps[0], apps[2], apps[1]])
        self.clear()
        self.home.ok("kill")
        self.assertEqual(self.log(), ["-web", "-api", "-db"])

    def test_stop_of_one(self):
        self.home.start_apps(self.chain())
        self.clear()
        result = self.home.ok("stop", "db")
        self.assertIn("api depends on db and is still up", result.out + result.err)
        self.assertEqual(self.log(), ["-db"])
        self.home.wait_status("web", "online")


class Restore(DependsTest):
    def test_resurrect(self):
        self.home.start_apps(self.chain())
        self.home.ok("save")
        self.home.ok("delete", "all")
        self.clear()
        self.home.ok("resurrect")
        self.assertEqual(self.log(), ["+db", "+api", "+web"])

    def test_begin_again(self):
        """After a shutdown the saved list comes back in order, as after a boot."""
        self.home.start_apps(self.chain())
        self.home.ok("save")
        pid = self.home.keeper_pid()
        self.home.engine_may_die = True
        os.kill(pid, signal.SIGTERM)
        self.home.wait_no_daemon()
        self.assertEqual(self.log()[3:], ["-web", "-api", "-db"])
        self.clear()
        self.home.ok("resurrect")
        wait_until(lambda: len(self.log()) == 3, 20, lambda: "all are back: %s" % self.log())
        self.assertEqual(self.log(), ["+db", "+api", "+web"])

    def test_engine_dies_while_one_waits(self):
        path = self.home.config([self.app("web", depends_on={"job": "completed"}), self.app("job", "job", autorestart=False)])
        starting = self.begin("start", path)
        self.wait_held("web", "waits for job (completed)")
        self.home.replace_engine()
        self.wait_held("web", "waits for job (completed)")
        self.assertEqual(self.log(), ["+job"])
        self.go(0)
        self.home.wait_status("web", "online")
        self.assertEqual(self.log(), ["+job", "-job", "+web"])
        self.home.finish(starting)


class Refused(DependsTest):
    def test_unknown_and_circles(self):
        path = self.home.file("a.yaml", "apps:\n- name: web\n  script: /bin/true\n  depends_on: [nothing]\n", 0o644)
        self.assertIn("a.yaml:4:16: depends_on: there is no app \"nothing\"", self.home.fails(1, "start", path).err)
        self.home.start_apps([self.app("nothing")])
        self.home.pm("start", path)  # now there is
        self.assertEqual(len(self.home.procs("web")), 1)
        path = self.home.file("b.yaml", "apps:\n- name: nothing\n  script: %s\n  interpreter: python3\n  depends_on: web\n" % self.script, 0o644)
        self.assertIn("these wait for each other: nothing -> web -> nothing", self.home.fails(1, "startOrRestart", path).err)

    def test_never_ends(self):
        apps = [self.app("job", "job"), self.app("web", depends_on={"job": "completed"})]
        self.assertIn("give it autorestart: false", self.home.fails(1, "start", self.home.config(apps)).err)
        self.assertEqual(self.home.jlist(), [])

    def test_protocol(self):
        self.home.start_apps([self.app("other")])
        with self.home.client() as c:
            spec = {"name": "a", "script": "/bin/true", "cwd": "/", "exec_interpreter": "none", "depends_on": [{"name": "a"}], "env": {}}
            with self.assertRaises(Exception) as e:
                c.call("start", {"apps": [spec]})
            self.assertIn("a -> a", str(e.exception))
            spec["depends_on"] = [{"name": "b", "condition": "sometime"}]
            with self.assertRaises(Exception) as e:
                c.call("start", {"apps": [spec]})
            self.assertIn("depends_on", str(e.exception))


if __name__ == "__main__":
    main()
