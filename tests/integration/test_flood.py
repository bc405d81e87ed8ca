"""A flood of numbered lines while the engine is killed again and again: every line once, whole, in order."""

import time

from harness import ASAN, PmTest, SLOW, child, main, read_file, scaled, send_signal, wait_until


class Flood(PmTest):
    limit = 280

    def flood(self, count, kills, rate, width=48):
        self.home.start("flood", child("flood", count, rate, width))
        pid = self.home.pid("flood")
        for _ in range(kills):
            # One that lived for a second is replaced without a pause.
            born = time.monotonic()
            self.home.replace_engine()
            wait_until(lambda: time.monotonic() - born > 1.05, what="a second of life", step=0.1)
        wait_until(lambda: "flood done" in self.home.app_log("flood", "error"), 120, "the flood is over", step=0.2)
        last = b"%08d " % (count - 1)
        path = self.home.log_path("flood")
        wait_until(lambda: last in read_file(path, "rb")[-2 * width:], 120, "the last line is in the file", step=0.5)
        self.assertEqual(self.home.pid("flood"), pid)
        lines = read_file(path, "rb").split(b"\n")
        self.assertEqual(lines.pop(), b"")
        self.assertCleanSequence(lines, count, "flat file")
        self.rows(count, min(10000, (16 << 20) // width))

    def rows(self, count, tail_lines=10000):
        """All rows, as the database has them; the last ones as the daemon tells them."""
        tail = [l["text"].encode() for l in self.home.history("flood", tail_lines, err=False, out=True)]
        self.assertEqual([int(t[:8]) for t in tail], list(range(max(0, count - tail_lines), count)))
        self.home.ok("stop", "flood")
        self.assertCleanSequence(self.home.log_rows("flood", "out"), count, "rows")

    def test_a_million_lines_and_20_kills(self):
        count = scaled(1000000)
        self.flood(count, 6 if ASAN else 20, count / 22)

    def test_unthrottled(self):
        """As fast as the pipe takes it: the flood outruns the daemon and is held back."""
        self.flood(scaled(1000000), 3, 0)

    def test_lines_wider_than_a_page(self):
        self.flood(scaled(20000), 3, 0, 4000)

    def test_file_cut_back_after_lines_that_were_not_recorded(self):
        """What a dying engine wrote beyond its cursor is written again, not twice: many kills, little time between."""
        count = scaled(300000)
        self.home.start("flood", child("flood", count, count / 8))
        end = time.monotonic() + 8 * SLOW
        kills = 0
        while time.monotonic() < end and kills < 12:
            old = self.home.engine_pid()
            if old is None:
                time.sleep(0.005)
                continue
            self.home.engine_may_die = True
            # Not waiting for it to answer: it dies while it is reading back, too.
            wait_until(lambda: time.monotonic() >= end or self.home.engine_pid() == old, what="alive")
            time.sleep(0.02 * (kills % 7))
            send_signal(old, 9)
            kills += 1
            wait_until(lambda: self.home.engine_pid() not in (None, old), 40, "the next engine", step=0.003)
        self.home.client_when_ready(40).close()
        wait_until(lambda: b"%08d " % (count - 1) in read_file(self.home.log_path("flood"), "rb")[-200:], 120, "the last line", step=0.5)
        self.assertCleanSequence(read_file(self.home.log_path("flood"), "rb").split(b"\n")[:-1], count, "flat file")
        self.rows(count)


if __name__ == "__main__":
    main()
