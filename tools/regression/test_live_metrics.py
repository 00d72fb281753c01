import http.server
import threading
import unittest

from tools.regression import check, live_metrics
from tools.regression.results import UnusableInput


def exposition(events=0, slow_events=0, routes=0, slow_routes=0, failed=0, skipped=0, memory=1e6):
    """Fast ones take up to 0.1 ms; slow ones 5 to 10 ms."""
    def histogram(name, labels, fast, slow):
        comma = labels + "," if labels else ""
        rows = (("0.0001", fast), ("0.005", fast), ("0.01", fast + slow), ("+Inf", fast + slow))
        return "".join(f'{name}_bucket{{{comma}le="{le}"}} {count}\n' for le, count in rows)
    return (histogram("kvroute_apply_duration_seconds", "", events, slow_events) +
            histogram("kvroute_request_duration_seconds", 'method="Route"', routes, slow_routes) +
            "# TYPE kvroute_events_total counter\n"
            f'kvroute_events_total{{engine="vllm",type="stored",outcome="applied"}} {events + slow_events}\n'
            f'kvroute_events_skipped_total{{reason="unknown_tag"}} {skipped}\n'
            f'kvroute_requests_total{{method="Route",code="OK"}} {routes + slow_routes}\n'
            f'kvroute_requests_total{{method="Route",code="INTERNAL"}} {failed}\n'
            f"process_resident_memory_bytes {memory}\n")


LIMITS = live_metrics.Limits({0.5: 0.5, 0.99: 2}, {0.99: 1}, memory_limit_bytes=10e6)


def judge(before, after, seconds=1.0):
    checks = live_metrics.judge(live_metrics.parse(before), live_metrics.parse(after), seconds, LIMITS)
    return {c.what: c for c in checks}


class JudgeTest(unittest.TestCase):
    def test_a_healthy_server_passes(self):
        checks = judge(exposition(events=5000, routes=100), exposition(events=15000, routes=300))
        self.assertEqual(len(checks), 6)
        self.assertTrue(all(c.passed for c in checks.values()), checks)
        self.assertEqual(checks["events per s"].value, 10000)

    def test_only_what_happened_between_the_scrapes_counts(self):
        before = exposition(events=1000, slow_events=9000)
        self.assertTrue(judge(before, exposition(events=11000, slow_events=9000))["event p99 ms"].passed)

    def test_each_limit_is_found_broken(self):
        start = exposition()
        self.assertFalse(judge(start, exposition(events=9000, slow_events=200))["event p99 ms"].passed)
        self.assertFalse(judge(start, exposition(events=9000, slow_routes=5, routes=90))["routing (Route) p99 ms"].passed)
        self.assertFalse(judge(start, exposition(events=7000))["events per s"].passed)
        self.assertFalse(judge(start, exposition(events=9000, skipped=100))["errors %"].passed)
        self.assertFalse(judge(start, exposition(events=9000, failed=100))["errors %"].passed)
        self.assertFalse(judge(start, exposition(events=9000, memory=9e6))["memory % of its limit"].passed)

    def test_quantiles_are_interpolated(self):
        samples = live_metrics.parse(exposition(events=50, slow_events=50))
        value = live_metrics.quantile({}, samples, "kvroute_apply_duration_seconds", 0.75)
        self.assertAlmostEqual(value, 0.0075)

    def test_no_events_at_all_is_too_few(self):
        self.assertFalse(judge(exposition(), exposition(routes=100))["events per s"].passed)

    def test_a_restart_between_the_scrapes_cannot_be_judged(self):
        with self.assertRaisesRegex(UnusableInput, "restarted"):
            judge(exposition(events=500, routes=9), exposition(events=100, routes=50))

    def test_the_memory_limit_of_another_machine_is_not_guessed(self):
        self.assertEqual(live_metrics.local_memory_limit("http://kvroute.example:9108/metrics"), 0)
        self.assertGreater(live_metrics.local_memory_limit("http://127.0.0.1:9108/metrics"), 1e8)

    def test_an_idle_server_cannot_be_judged(self):
        with self.assertRaises(UnusableInput):
            judge(exposition(events=5), exposition(events=5))

    def test_what_is_not_an_exposition_is_refused(self):
        for text in ("<html>", "name value", "a{b=} 1 2 3"):
            with self.assertRaises(UnusableInput):
                live_metrics.parse(text)


class Server(http.server.BaseHTTPRequestHandler):
    pages = []

    def do_GET(self):
        page = self.pages.pop(0) if len(self.pages) > 1 else self.pages[0]
        self.send_response(200)
        self.end_headers()
        self.wfile.write(page.encode())

    def log_message(self, *arguments):
        pass


class CommandTest(unittest.TestCase):
    def watch(self, pages, *command):
        Server.pages = list(pages)
        server = http.server.HTTPServer(("127.0.0.1", 0), Server)
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            return check.main(["--metrics", f"http://127.0.0.1:{server.server_port}/metrics", "--seconds", "0",
                               "--events-per-s", "1", "--", *command])
        finally:
            server.shutdown()
            thread.join()
            server.server_close()

    def test_exit_statuses(self):
        self.assertEqual(self.watch([exposition(), exposition(events=100)]), 0)
        self.assertEqual(self.watch([exposition(), exposition(events=100, slow_events=50)]), 1)
        self.assertEqual(self.watch([exposition(), exposition()]), 2)
        self.assertEqual(self.watch([exposition(), exposition(events=100)], "true"), 0)
        self.assertEqual(self.watch([exposition(), exposition(events=100)], "false"), 2)
        self.assertEqual(self.watch(["no metrics at all"]), 2)
        self.assertEqual(check.main(["--metrics", "http://127.0.0.1:1/metrics", "--seconds", "0"]), 2)


if __name__ == "__main__":
    unittest.main()
