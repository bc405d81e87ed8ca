"""Health checks: ready when the first one succeeds, restarted when they fail; sd_notify's watchdog."""

import json
import os
import sys

from harness import IS_ROOT, PmTest, child, free_port, main, wait_until

SERVER = r'''
import http.server, os, sys
here = os.path.dirname(os.path.abspath(__file__))
class H(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    def do_GET(self):
        try:
            status = int(open(os.path.join(here, "status")).read())
        except (OSError, ValueError):
            status = 500
        body = b"x" * 20000
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
    def log_message(self, *a):
        pass
http.server.ThreadingHTTPServer(("127.0.0.1", int(os.environ["PORT"])), H).serve_forever()
'''

WATCHDOG = r'''
import os, socket, time
here = os.path.dirname(os.path.abspath(__file__))
path = os.environ["NOTIFY_SOCKET"]
note = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
period = int(os.environ["WATCHDOG_USEC"]) / 1e6
print("watchdog", os.environ["WATCHDOG_USEC"], flush=True)
while True:
    text = open(os.path.join(here, "say")).read()
    if text:
        note.sendto(text.encode(), path.replace("@", "\0", 1) if path[0] == "@" else path)
    time.sleep(period / 8)
'''

QUICK = {"interval": 200, "timeout": 5000, "retries": 2, "start_period": 60000}


class HealthCase(PmTest):
    def setUp(self):
        super().setUp()
        self.folder = os.path.dirname(self.home.file("srv.py", SERVER))
        self.port = free_port()
        self.put("status", "200")

    def put(self, name, text):
        path = os.path.join(self.folder, name)
        with open(path + ".new", "w") as f:
            f.write(text)
        os.rename(path + ".new", path)

    def server(self, check, **keys):
        app = {"name": "api", "script": os.path.join(self.folder, "srv.py"), "interpreter": sys.executable,
               "port": self.port, "health_check": dict(QUICK, **check)}
        app.update(keys)
        return app

    def health(self, name="api"):
        return self.home.proc(name)["pm2_env"].get("health", {})

    def wait_health(self, state, name="api"):
        wait_until(lambda: self.health(name).get("state") == state, what="%s is %s" % (name, state))

    def exec_app(self, command, **keys):
        check = dict(QUICK, exec=command, **keys)
        return {"name": "job", "script": child("silent")[0], "interpreter": "none", "cwd": self.folder,
                "env": {"COLOR": "blue"}, "health_check": check}


class Http(HealthCase):
    def test_ready_when_healthy(self):
        self.put("status", "503")
        path = self.home.config([self.server({"http": "/health"})])
        p = self.home.popen("start", path)
        wait_until(lambda: self.home.jlist() and self.health().get("words") == "HTTP 503", what="a failed check")
        self.assertEqual(self.home.status("api"), "launching")
        self.assertEqual(self.health()["state"], "starting")
        self.put("status", "204")
        self.assertEqual(self.home.finish(p).code, 0)
        self.assertEqual(self.home.status("api"), "online")
        self.assertEqual(self.health()["state"], "healthy")
        described = self.home.ok("describe", "api").out
        self.assertIn("HTTP 204", described)
        self.assertIn("healthy", described)

    def test_restarted_when_unhealthy(self):
        self.home.start_apps([self.server({"http": "http://localhost:%d/" % self.port})])
        first = self.home.pid("api")
        self.put("status", "500")
        wait_until(lambda: self.home.pid("api") not in (0, first), what="a new process")
        self.put("status", "200")
        self.home.wait_status("api", "online")
        self.wait_health("healthy")
        why = self.home.ok("why", "api").out
        self.assertIn("health check", why)
        self.assertIn("HTTP 500 (2 failures in a row)", why)
        events = self.home.ok("events", "--lines", "100", "--nostream").out
        self.assertIn("unhealthy", events)

    def test_never_healthy(self):
        self.put("status", "418")
        app = self.server({"http": "/", "start_period": 400}, listen_timeout=500, max_restarts=2)
        r = self.home.fails(1, "start", self.home.config([app]))
        self.assertIn("not healthy within 500 ms: HTTP 418", r.out + r.err)
        self.home.wait_status("api", "errored")
        self.assertIn("not healthy in time: HTTP 418", self.home.ok("why", "api").out)

    def test_instances_have_ports_of_their_own(self):
        app = self.server({"http": "/"}, instances=2, exec_mode="fork", increment_var="PORT")
        self.home.start_apps([app])
        self.assertEqual([p["pm2_env"]["health"]["words"] for p in self.home.procs("api")], ["HTTP 200"] * 2)

    def test_survives_the_engine(self):
        self.home.start_apps([self.server({"http": "/"})])
        pid = self.home.pid("api")
        self.home.replace_engine()
        self.wait_health("healthy")
        self.assertEqual(self.home.pid("api"), pid)
        self.assertEqual(self.home.restarts("api"), 0)

    def test_an_engine_dies_while_it_starts(self):
        self.put("status", "500")
        p = self.home.popen("start", self.home.config([self.server({"http": "/"})]))
        wait_until(lambda: self.home.jlist() and self.health().get("words") == "HTTP 500", what="a failed check")
        pid = self.home.pid("api")
        self.home.replace_engine()
        self.put("status", "200")
        self.home.wait_status("api", "online")
        self.assertEqual(self.home.pid("api"), pid)
        self.home.finish(p)


class Others(HealthCase):
    def test_tcp(self):
        self.home.start_apps([self.server({"tcp": self.port})])
        self.assertEqual(self.health()["state"], "healthy")
        self.assertEqual(self.health()["words"], "accepted")

    def test_tcp_refused(self):
        app = self.server({"tcp": "127.0.0.1:%d" % free_port(), "start_period": 0}, listen_timeout=300, max_restarts=1)
        r = self.home.fails(1, "start", self.home.config([app]))
        self.assertIn("cannot connect: connection refused", r.out + r.err)

    def test_exec(self):
        command = "test $COLOR = blue && kill -0 $PM_CHECKED_PID && test -z \"$PM_RUN_ID\" && test $(cat status) = 200 " \
            "|| { echo some; echo no good >&2; exit 3; }"
        self.home.start_apps([self.exec_app(command)])
        self.wait_health("healthy", "job")
        pid = self.home.pid("job")
        self.put("status", "1")
        wait_until(lambda: self.home.pid("job") not in (0, pid), what="a new process")
        self.put("status", "200")
        self.home.wait_status("job", "online")
        self.assertIn("the command exited with code 3: no good (2 failures in a row)", self.home.ok("why", "job").out)

    def test_exec_that_hangs(self):
        app = self.exec_app("sleep 1000 & sleep 1001", timeout=200, start_period=0)
        app.update(listen_timeout=1000, max_restarts=1)
        r = self.home.fails(1, "start", self.home.config([app]))
        self.assertIn("the command took longer than 200 ms", r.out + r.err)

    def test_many_exec(self):
        apps = [dict(self.exec_app("true"), name="job%d" % i) for i in range(40)]
        self.home.start_apps(apps)
        for p in self.home.jlist():
            self.assertEqual(p["pm2_env"]["health"]["state"], "healthy")

    def test_with_wait_ready(self):
        check = self.exec_app("test $(cat status) = 200")
        app = dict(check, script=child("ready_notify")[0], args=["0"], wait_ready=True, listen_timeout=60000)
        self.put("status", "1")
        p = self.home.popen("start", self.home.config([app]))
        self.home.wait_log("job", "announced") if self.home.jlist() else None
        wait_until(lambda: self.home.jlist() and self.health("job").get("failures") is not None
                   and self.health("job").get("words"), what="a check")
        self.assertEqual(self.home.status("job"), "launching")
        self.put("status", "200")
        self.assertEqual(self.home.finish(p).code, 0)
        self.assertEqual(self.home.status("job"), "online")

    def test_reload_keeps_the_old_one(self):
        app = self.exec_app("test $COLOR = blue || { echo not blue; exit 1; }", start_period=0)
        app.update(listen="127.0.0.1:%d" % self.port, listen_timeout=1000)
        self.home.start_apps([app])
        pid = self.home.pid("job")
        app["env"] = {"COLOR": "red"}
        path = self.home.config([app], name="red.json")
        r = self.home.fails(1, "reload", path)
        self.assertIn("was not healthy within 1 s: the command exited with code 1: not blue", r.out + r.err)
        self.assertEqual(self.home.pid("job"), pid)
        app["env"] = {"COLOR": "blue", "V": "2"}
        self.home.ok("reload", self.home.config([app], name="blue.json"))
        self.assertNotEqual(self.home.pid("job"), pid)

    def test_bad_configs(self):
        for check, words in (({"http": "https://localhost/"}, "https is not spoken here"),
                             ({"http": "http://example.com/"}, "neither localhost nor a numeric address"),
                             ({"http": "/", "exec": "true"}, "more than one kind"),
                             ({"http": "/x y"}, "blank"),
                             ({"tcp": "localhost"}, "expected host:port"),
                             ({"exec": "true", "interval": 1}, "interval")):
            app = dict(self.server({}), health_check=check)
            r = self.home.fails(1, "start", self.home.config([app]))
            self.assertIn(words, r.out + r.err)
            self.assertIn("health_check", r.out + r.err)
        app = dict(self.server({}), health_check="/health")
        del app["port"]
        r = self.home.fails(1, "start", self.home.config([app]), env={"PORT": None})
        self.assertIn("a path alone needs", r.out + r.err)


class Watchdog(HealthCase):
    def start_app(self):
        self.put("say", "WATCHDOG=1")
        script = self.home.file("dog.py", WATCHDOG)
        self.home.start_apps([{"name": "dog", "script": script, "interpreter": sys.executable, "watchdog": "2s"}])
        self.home.wait_log("dog", "watchdog 2000000")
        return self.home.pid("dog")

    def restarted(self, pid, words):
        wait_until(lambda: self.home.pid("dog") not in (0, pid), what="a new process")
        self.put("say", "WATCHDOG=1")
        self.home.wait_status("dog", "online")
        why = self.home.ok("why", "dog").out
        self.assertIn(words, why)
        self.assertIn("watchdog", why)

    def test_silence(self):
        pid = self.start_app()
        self.home.replace_engine()
        self.assertEqual(self.home.pid("dog"), pid)
        self.put("say", "")
        self.restarted(pid, "no WATCHDOG=1 for 2000 ms")

    def test_trigger(self):
        pid = self.start_app()
        self.put("say", "WATCHDOG=trigger")
        self.restarted(pid, "WATCHDOG=trigger")


if __name__ == "__main__":
    main()
