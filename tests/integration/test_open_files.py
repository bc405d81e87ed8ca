"""A daemon that may not have many files open."""

import errno
import os
import resource

from harness import PmTest, main, open_files, wait_until

LIMIT = 256
APPS = 40


def lower_limit():
    resource.setrlimit(resource.RLIMIT_NOFILE, (LIMIT, LIMIT))


class OpenFiles(PmTest):
    def fds(self, pid):
        return open_files(pid)

    def test_no_room(self):
        apps = [{"name": "a", "script": "/bin/sleep", "args": ["1000"], "interpreter": "none", "instances": APPS}]
        command = self.home.popen("start", self.home.config(apps), preexec_fn=lower_limit)
        result = self.home.finish(command)
        self.assertEqual(result.code, 1)
        self.assertIn("too many open files: the daemon may have %d" % LIMIT, result.out + result.err)
        self.assertIn("LimitNOFILE", result.out + result.err)
        procs = self.home.procs("a")
        up = [p for p in procs if p["pm2_env"]["status"] == "online"]
        self.assertEqual(len(procs), APPS)
        self.assertGreater(len(up), 8)
        self.assertLess(len(up), APPS)
        self.assertTrue(all(p["pm2_env"]["status"] == "errored" for p in procs if p not in up))
        # What runs can be restarted, again and again, and its output is there.
        for _ in range(3):
            self.home.ok("restart", up[0]["pm_id"])
        self.assertNotIn(os.strerror(errno.EMFILE), self.home.log())
        # Room that was made can be used.
        self.home.ok("delete", *(p["pm_id"] for p in up[:4]))
        down = next(p for p in procs if p not in up)
        wait_until(lambda: self.home.pm("restart", down["pm_id"]).code == 0, what="room for one more")
        self.home.ok("delete", "all")

    def test_how_many_a_process_takes(self):
        self.home.start("a", ["/bin/sleep", "1000"], "--interpreter", "none")
        keeper, engine = self.home.keeper_pid(), self.home.engine_pid()
        before = self.fds(keeper), self.fds(engine)
        more = 10
        self.home.start_apps([{"name": "b", "script": "/bin/sleep", "args": ["1000"], "interpreter": "none", "instances": more, "merge_logs": True}])
        wait_until(lambda: self.fds(keeper) - before[0] <= 7 * more, what="the keeper has few files open")
        # and the app's two log files
        wait_until(lambda: self.fds(engine) - before[1] <= 7 * more + 2, what="the engine has few files open")


if __name__ == "__main__":
    main()
