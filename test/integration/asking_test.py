#!/usr/bin/env python3
"""kvroute as a client of kvroute: every asking command, its text, its JSON and its exit status, against the real process.
    asking_test.py KVROUTE
"""
import json
import os
import re
import signal
import subprocess
import sys
import tempfile
import time
import unittest
import urllib.request

KVROUTE = ""
WORKER = "id=w9,address=http://10.0.0.9:8000,model=m,events=tcp://127.0.0.1:9"


def run(*words, stdin=None, **variables):
    return subprocess.run([KVROUTE, *words], input=stdin, stdin=subprocess.DEVNULL if stdin is None else None, capture_output=True, text=True,
                          timeout=120, check=False, env=dict(os.environ, **variables))


class Asking(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.folder = tempfile.TemporaryDirectory()
        ready = os.path.join(cls.folder.name, "ready")
        cls.log = open(os.path.join(cls.folder.name, "log"), "w", encoding="utf-8")
        # The gRPC address by a variable, the HTTP address by a flag that outranks one.
        environment = dict(os.environ, KVROUTE_GRPC_LISTEN="127.0.0.1:0", KVROUTE_HTTP_LISTEN="192.0.2.1:1", KVROUTE_LOG_FORMAT="json",
                           KVROUTE_GRPC_LISEN="x")
        cls.process = subprocess.Popen([KVROUTE, "serve", "--http-listen", "127.0.0.1:0", "--ready-file", ready], env=environment,
                                       stdout=subprocess.DEVNULL, stderr=cls.log)
        while not os.path.exists(ready):
            assert cls.process.poll() is None, cls.logged()
            time.sleep(0.05)
        with open(ready, encoding="utf-8") as file:
            line = file.read()
        cls.grpc, cls.http = re.search(r"grpc=(\S+)", line)[1], re.search(r"http=(\S+)", line)[1]

    @classmethod
    def tearDownClass(cls):
        cls.process.send_signal(signal.SIGTERM)
        cls.process.wait(60)
        cls.log.close()
        cls.folder.cleanup()

    @classmethod
    def logged(cls):
        with open(cls.log.name, encoding="utf-8") as file:
            return file.read()

    def ask(self, *words, status=0, stdin=None):
        ran = run(*words, "--server", self.grpc, stdin=stdin)
        self.assertEqual(ran.returncode, status, ran)
        return ran.stderr if status else ran.stdout

    def log_line(self, has):
        """The first JSON line of the server's log that has these members; it comes soon."""
        for _ in range(300):
            for line in self.logged().splitlines():
                if line.startswith("{") and has.items() <= json.loads(line).items():
                    return json.loads(line)
            time.sleep(0.1)
        return self.fail(f"no line with {has} in:\n{self.logged()}")

    def test_a_worker_from_its_coming_to_its_going(self):
        self.assertEqual(self.ask("register", WORKER), "w9 registered\n")
        self.assertRegex(self.ask("list"), r"(?m)^w9 +0 m +api +\S+ +cold ")
        listed = json.loads(self.ask("list", "--json"))
        self.assertEqual(listed["workers"][0]["worker"]["event_endpoint"], "tcp://127.0.0.1:9")
        self.log_line({"worker": "w9", "model": "m", "source": "api", "change": "is new"})
        self.log_line({"worker": "w9", "rank": 0, "reason": "refused"})

        routed = json.loads(self.ask("route", "--model", "m", "--tokens-file", "-", "--request-id", "r1", "--json", stdin="[1, 2,\n3]"))
        self.assertEqual((routed["chosen"]["target"]["worker_id"], routed["total_tokens"], routed["request_id"]), ("w9", "3", "r1"))
        self.assertIn("holds 0 of 3 tokens", self.ask("route", "--tokens", "1,2,3"))
        self.assertRegex(self.ask("score", "--model", "m", "--tokens", "1,2,3"), r"(?m)^w9/0 ")
        self.assertRegex(self.ask("explain", "--tokens", "1,2,3", "--policy", "prefix"), r"(?m)^ +\d+\.\d  - +w9/0 ")
        self.assertEqual(self.ask("complete", "r1", "--prompt-tokens", "3", "--output-tokens", "1"), "r1 ended\n")
        self.assertIn("there is no lease of request \"r1\"", self.ask("complete", "r1", status=3))

        self.assertEqual(self.ask("drain", "w9"), "w9 drains\n")
        self.assertIn(" draining ", self.ask("list"))
        self.assertIn("no worker can serve", self.ask("route", "--model", "m", "--tokens", "1", status=1))
        self.assertEqual(self.ask("drain", "w9", "--undo"), "w9 serves again\n")
        top = run("top", "--server", "http://" + self.http, "--once", "--sort", "trust")
        self.assertRegex(top.stdout, r"(?m)^w9 +0 m +\S+ +cold ")
        self.assertNotIn("\x1b", top.stdout)
        self.assertIn("event_endpoint: tcp://127.0.0.1:9", run("top", "--server", self.http, "--once", "--worker", "w9").stdout)
        self.assertEqual(self.ask("deregister", "w9"), "w9 deregistered\n")
        self.log_line({"worker": "w9", "change": "is gone"})
        self.assertIn("w9", self.ask("deregister", "w9", status=3))

    def test_what_cannot_be_asked_is_status_2(self):
        self.assertIn("did you mean \"model\"?", self.ask("register", "id=a,modle=m", status=2))
        self.assertIn("policy", self.ask("route", "--tokens", "1", "--policy", "best", status=2))
        self.assertIn("no token id", self.ask("score", "--tokens", "one", status=2))
        self.assertIn("--tokens, --tokens-file", self.ask("score", status=2))

    def test_nobody_there_is_said_soon_with_the_address(self):
        commands = (("list",), ("top", "--once"), ("fleet", "--requests", "1"), ("load", "--seconds", "1"))
        for command in commands:
            with self.subTest(command=command):
                began = time.monotonic()
                ran = run(*command, "--server", "http://127.0.0.1:9")
                self.assertLess(time.monotonic() - began, 10)  # 2 s, and a busy machine
                self.assertIn("127.0.0.1:9", ran.stderr)
                self.assertRegex(ran.stderr, "refused|Couldn't connect|Failed to connect")
                self.assertIn(ran.returncode, (1, 2))

    def test_the_wrong_port_is_said(self):
        ran = run("list", "--server", self.http)
        self.assertEqual(ran.returncode, 1)
        self.assertIn(f"{self.http}: cannot be reached", ran.stderr)

    def test_a_misspelt_variable_is_warned_about(self):
        self.assertIn("kvroute: warning: environment: KVROUTE_GRPC_LISEN: no field has this variable; did you mean \"KVROUTE_GRPC_LISTEN\"?",
                      self.logged())

    def test_metrics_are_openmetrics_for_who_accepts_them(self):
        request = urllib.request.Request(f"http://{self.http}/metrics", headers={"Accept": "application/openmetrics-text;version=1.0.0,text/plain;q=0.5"})
        with urllib.request.urlopen(request, timeout=60) as answer:
            self.assertTrue(answer.headers["Content-Type"].startswith("application/openmetrics-text; version=1.0.0"))
            text = answer.read().decode()
        self.assertTrue(text.endswith("\n# EOF\n"))
        family, families = "", set()
        for line in text.splitlines()[:-1]:
            if line.startswith("# TYPE "):
                family = line.split()[2]
                self.assertNotIn(family, families)  # each stands together
                families.add(family)
            elif not line.startswith("# HELP " + family + " "):
                self.assertRegex(line, rf"^{family}(_total|_bucket|_count|_sum)?({{.*}})? (\S+)$")
        with urllib.request.urlopen(f"http://{self.http}/metrics", timeout=60) as answer:
            self.assertTrue(answer.headers["Content-Type"].startswith("text/plain; version=0.0.4"))

    def test_head_is_answered(self):
        for page in ("metrics", "healthz", "readyz", "status"):
            with urllib.request.urlopen(urllib.request.Request(f"http://{self.http}/{page}", method="HEAD"), timeout=60) as answer:
                self.assertEqual((answer.status, answer.read()), (200, b""))

    def test_a_port_in_use_is_said(self):
        ran = run("serve", "--grpc-listen", "127.0.0.1:0", "--http-listen", self.http)
        self.assertEqual(ran.returncode, 1)
        self.assertIn(f"kvroute: http.listen: cannot listen on \"{self.http}\": Address already in use", ran.stderr)
        checked = run("serve", "--check-config", "--grpc-listen", "127.0.0.1:0", "--http-listen", self.http)
        self.assertEqual(checked.returncode, 0, "it may be the kvroute that runs")

    def test_check_refuses_what_serve_refuses(self):
        worker = "--worker=id={},address=x,model=m,events=tcp://127.0.0.1:9"
        for words in (["--set", "grpc.tls.certificate_file=/no/crt", "--set", "grpc.tls.key_file=/no/key"],
                      [worker.format("a"), worker.format("b")], ["--grpc-listen", "192.0.2.1:5"], ["--set", "http.thread=1"]):
            with self.subTest(words=words):
                checked, served = run("serve", "--check-config", *words), run("serve", "--http-listen", "127.0.0.1:0", *words)
                said = [[line.split(": ")[1] for line in ran.stderr.splitlines() if line.startswith("kvroute: ")] for ran in (checked, served)]
                self.assertEqual((checked.returncode, said[0]), (served.returncode, said[1]))
                self.assertIn(checked.returncode, (1, 2))

    def test_ipv6_and_a_port_alone(self):
        for listen in (":0", "[::]:0", "[::1]:0"):
            with self.subTest(listen=listen):
                ready = os.path.join(self.folder.name, "ready6")
                process = subprocess.Popen([KVROUTE, "serve", "--grpc-listen", listen, "--http-listen", listen, "--ready-file", ready],
                                           stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
                while not os.path.exists(ready) and process.poll() is None:
                    time.sleep(0.05)
                if process.poll() is not None:
                    self.skipTest("no IPv6 here: " + process.stderr.read())
                with open(ready, encoding="utf-8") as file:
                    line = file.read()
                os.unlink(ready)
                grpc, http = (re.search(rf"\b{name}=\S*:(\d+)", line)[1] for name in ("grpc", "http"))
                try:
                    for host in ("[::1]", "localhost") if listen == "[::1]:0" else ("[::1]", "127.0.0.1", "localhost", ""):
                        self.assertEqual(run("list", "--server", f"{host}:{grpc}").returncode, 0, host)
                        self.assertEqual(run("top", "--once", "--server", f"{host}:{http}").returncode, 0, host)
                finally:
                    process.terminate()
                    process.communicate(timeout=60)

    def test_config_init_writes_a_file_that_is_taken(self):
        path = os.path.join(self.folder.name, "init.yaml")
        self.assertEqual(run("config", "init", path).returncode, 0)
        self.assertEqual(run("config", "init", path).returncode, 2, "it is there already")
        ran = run("serve", "--config", path, "--print-config", "--policy", "prefix", KVROUTE_LOG_LEVEL="debug")
        self.assertEqual((ran.returncode, ran.stderr), (0, ""))
        self.assertIn('policy: "prefix"  # --policy\n', ran.stdout)
        self.assertIn('level: "debug"  # KVROUTE_LOG_LEVEL\n', ran.stdout)


if __name__ == "__main__":
    KVROUTE = sys.argv.pop(1)
    unittest.main()
