#!/usr/bin/env python3
"""The suite against kvroute serve, over TLS and plaintext; and the suite's own bytes against those of GATEWAYS' vectors.

  check_kvroute.py BINARY
"""

import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

import wire

HERE = Path(__file__).parent
ENDPOINTS = ("10.0.0.1:8000", "10.0.0.2:8000", "[fd00::3]:8000")
PICK = ("0a3b0a3912350a330a2f0a1e782d676174657761792d64657374696e6174696f6e2d656e64706f696e741a0d31302e302e302e373a38303030180228"
        "0142430a410a08656e766f792e6c6212352a330a310a1e782d676174657761792d64657374696e6174696f6e2d656e64706f696e74120f1a0d31302e30"
        "2e302e373a38303030")


class WireTest(unittest.TestCase):
    def test_headers_with_subset_and_modes(self):
        fields = wire.headers_message(wire.REQUEST_HEADERS, [(":path", "/v1/chat/completions")])
        fields += wire.metadata({"envoy.lb.subset_hint": {"x-gateway-destination-endpoint-subset": ["10.0.0.7:8000"]}})
        fields += wire.modes(wire.FULL_DUPLEX, wire.FULL_DUPLEX, True)
        self.assertEqual(wire.write(fields).hex(), (
            "12210a1f0a1d0a053a706174681a142f76312f636861742f636f6d706c6574696f6e7342580a560a14656e766f792e6c622e7375627365745f68696e"
            "74123e0a3c0a25782d676174657761792d64657374696e6174696f6e2d656e64706f696e742d737562736574121332110a0f1a0d31302e302e302e37"
            "3a383030305a06080410041801"))

    def test_a_body(self):
        self.assertEqual(wire.write(wire.body_message(wire.REQUEST_BODY, b"hi", True)).hex(), "22060a0268691001")

    def test_a_pick(self):
        for kind, first in ((wire.REQUEST_HEADERS, "0a"), (wire.REQUEST_BODY, "1a")):
            reply = wire.Reply(bytes.fromhex(first + PICK[2:]))
            self.assertEqual((reply.kind, reply.pick, reply.metadata_pick), (kind, "10.0.0.7:8000", "10.0.0.7:8000"))

    def test_an_echo_and_a_refusal(self):
        echo = wire.Reply(bytes.fromhex("1a0c0a0a1a081a060a0268691001"))
        self.assertEqual((echo.streamed[1], echo.streamed[2]), ([b"hi"], [1]))
        refusal = wire.Reply(bytes.fromhex("3a180a0308f7031a116e6f20726561647920656e64706f696e74"))
        self.assertEqual((refusal.kind, refusal.status, refusal.body), ("immediate", 503, b"no ready endpoint"))


class KvrouteTest(unittest.TestCase):
    binary = ""

    def run_suite(self, *flags, tls):
        with tempfile.TemporaryDirectory() as folder:
            ready = Path(folder, "ready")
            command = [self.binary, "serve", "--grpc-listen", "127.0.0.1:0", "--http-listen", "127.0.0.1:0", "--picker-listen",
                       "127.0.0.1:0", "--set", "picker.health_listen=127.0.0.1:0", "--set", "readiness.grace=0ms", "--log-level",
                       "warning", "--ready-file", str(ready), *flags]
            for number, endpoint in enumerate(ENDPOINTS):  # engines that nobody hears: load decides
                command += ["--worker", f"id=w{number},address={endpoint},model=m,events=tcp://127.0.0.1:{1 + number}"]
            server = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
            self.addCleanup(server.stdout.close)
            try:
                addresses = dict(part.split("=", 1) for part in server.stdout.readline().split() if "=" in part)
                suite = [sys.executable, str(HERE / "picker_conformance.py"), "--picker", addresses["picker"], "--health",
                         addresses["picker_health"], "--endpoints", ",".join(ENDPOINTS), "--patience", "120"]
                suite += ["--tls"] if tls else []
                self.assertEqual(subprocess.run(suite, timeout=600).returncode, 0)
            finally:
                server.terminate()
                self.assertEqual(server.wait(timeout=60), 0)

    def test_over_tls(self):
        self.run_suite(tls=True)

    def test_in_plaintext(self):
        self.run_suite("--secure-serving", "false", tls=False)


if __name__ == "__main__":
    KvrouteTest.binary = sys.argv.pop(1)
    unittest.main()
