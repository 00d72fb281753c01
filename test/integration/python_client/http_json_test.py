"""The questions of Dynamo's and Mooncake's clients, by curl and by Python's own HTTP client, to a real kvroute that hears real events."""

import argparse
import http.client
import json
import struct
import subprocess
import sys
import time
import unittest

import msgpack
import zmq

from engine import Engine, stored_map

PATIENCE_S = 120
arguments = None  # of the command line


def stored(hashes, parent, tokens, block_size, medium="GPU"):
    return {**stored_map(hashes, parent, tokens, block_size), "medium": medium}


class HttpJsonTest(unittest.TestCase):
    def setUp(self):
        self.server = subprocess.Popen(
            [arguments.binary, "serve", "--grpc-listen", "127.0.0.1:0", "--http-listen", "127.0.0.1:0", "--set",
             "http_json.listen=127.0.0.1:0"], stdout=subprocess.PIPE, text=True)
        line = self.server.stdout.readline()
        words = dict(word.split("=", 1) for word in line.split() if "=" in word)
        if "http_json" not in words:
            raise RuntimeError("kvroute serve said: %r" % line)
        self.address = words["http_json"]
        self.zmq = zmq.Context()
        self.engines = []

    def tearDown(self):
        for engine in self.engines:
            engine.close()
        self.zmq.term()
        self.server.terminate()
        self.assertEqual(self.server.wait(PATIENCE_S), 0)
        self.server.stdout.close()

    def engine(self):
        self.engines.append(Engine(self.zmq))
        return self.engines[-1]

    def curl(self, path, body=None, status=200):
        words = ["curl", "-sS", "--max-time", str(PATIENCE_S), "-w", "\n%{http_code}", "http://%s%s" % (self.address, path)]
        if body is not None:
            words += ["-H", "content-type: application/json", "-d", "@-"]
        text = subprocess.run(words, input=None if body is None else json.dumps(body), check=True, stdout=subprocess.PIPE,
                              text=True).stdout
        reply, code = text.rsplit("\n", 1)
        self.assertEqual(int(code), status, reply)
        return json.loads(reply) if reply.strip().startswith(("{", "[")) else reply

    def stock(self, path, body, content_type="application/json"):
        connection = http.client.HTTPConnection(self.address, timeout=PATIENCE_S)
        connection.request("POST", path, body, {"Content-Type": content_type})
        reply = connection.getresponse()
        answer = reply.status, reply.getheader("content-type"), reply.read()
        connection.close()
        return answer

    def add_rank(self, instance, engine, block_size, rank=0):
        self.assertEqual(self.curl("/register", {
            "instance_id": instance, "endpoint": engine.endpoint(engine.events), "model_name": "m", "block_size": block_size,
            "dp_rank": rank, "replay_endpoint": engine.endpoint(engine.replay)}, 201), {"status": "ok"})

    def await_reply(self, path, body, expected):
        """What was published arrives in a moment: asked by both clients until it has."""
        deadline = time.monotonic() + PATIENCE_S
        while True:
            for engine in self.engines:
                engine.serve()
            reply = self.curl(path, body)
            if reply == expected:
                break
            if time.monotonic() > deadline:
                self.assertEqual(reply, expected)
        status, _, text = self.stock(path, json.dumps(body))
        self.assertEqual((status, json.loads(text)), (200, expected))

    def test_dynamo_golden_1(self):
        seven, eight = self.engine(), self.engine()
        tokens = list(range(11, 23))
        seven.publish([stored([11, 12], None, tokens[:8], 4)])
        seven.publish([stored([13], 12, tokens[8:], 4, "CPU")])
        eight.publish([stored([11, 12], None, tokens[:8], 4)])
        self.add_rank(7, seven, 4)
        self.add_rank(8, eight, 4)
        self.await_reply("/query", {"token_ids": tokens, "model_name": "m"}, {
            "scores": {"7": {"0": 8}, "8": {"0": 8}}, "frequencies": [],
            "instances": {"7": {"longest_matched": 12, "gpu": 8, "dp": {"0": 8}, "cpu": 12, "disk": 12},
                          "8": {"longest_matched": 8, "gpu": 8, "dp": {"0": 8}, "cpu": 8, "disk": 8}}})

    def test_dynamo_golden_2(self):
        ranks = [self.engine(), self.engine()]
        tokens = list(range(80))
        ranks[0].publish([stored([1, 2], None, tokens[:32], 16)])
        ranks[0].publish([stored([3], 2, tokens[32:48], 16, "CPU")])
        ranks[0].publish([stored([4, 5], 3, tokens[48:], 16, "DISK")])
        ranks[1].rank = 1
        ranks[1].publish([stored([1], None, tokens[:16], 16)])
        ranks[1].publish([stored([2], 1, tokens[16:32], 16, "DISK")])
        for rank, engine in enumerate(ranks):
            self.add_rank(7, engine, 16, rank)
        self.await_reply("/query", {"token_ids": tokens, "model_name": "m"}, {
            "scores": {"7": {"0": 32, "1": 16}}, "frequencies": [],
            "instances": {"7": {"longest_matched": 80, "gpu": 32, "dp": {"0": 32, "1": 16}, "cpu": 48, "disk": 80}}})

    def test_dynamo_golden_3(self):
        engine = self.engine()
        engine.publish([stored([1], None, [10, 11, 12, 13], 4)])
        engine.publish([stored([2], 1, [20, 21, 22, 23], 4, "CPU_TIER1")])
        self.add_rank(7, engine, 4)
        self.await_reply("/query", {"token_ids": [10, 11, 12, 13, 20, 21, 22, 23], "model_name": "m"}, {
            "scores": {"7": {"0": 4}}, "frequencies": [],
            "instances": {"7": {"longest_matched": 8, "gpu": 4, "dp": {"0": 4}, "cpu": 8, "disk": 8}}})

    def test_dynamo_golden_4_and_its_end(self):
        engine = self.engine()
        engine.publish([stored([101, 102], None, [1, 2, 3, 4, 5, 6, 7, 8], 4)])
        self.add_rank(7, engine, 4)
        expected = {"scores": {"7": {"0": 8}}, "frequencies": [],
                    "instances": {"7": {"longest_matched": 8, "gpu": 8, "dp": {"0": 8}, "cpu": 8, "disk": 8}}}
        self.await_reply("/query", {"token_ids": [1, 2, 3, 4, 5, 6, 7, 8], "model_name": "m"}, expected)
        self.await_reply("/query_by_hash", {"block_hashes": [-3803038269031200164, -1669731304162740404], "model_name": "m"},
                         expected)
        listed = self.curl("/workers?model_name=m")
        self.assertEqual(listed[0]["listeners"], {"0": {"endpoint": engine.endpoint(engine.events), "status": "active"}})
        self.assertEqual(self.curl("/unregister", {"instance_id": 7, "model_name": "m"}), {"status": "ok"})
        self.assertEqual(self.curl("/query", {"token_ids": [1], "model_name": "m"}, 404),
                         {"error": "no indexer for model=m routing_group=default"})

    def test_mooncake_in_json_and_in_msgpack(self):
        engine = self.engine()
        engine.publish([stored([1, 2], None, list(range(8)), 4)])
        engine.publish([stored([3], 2, list(range(8, 12)), 4, "CPU")])
        self.assertEqual(self.curl("/register", {
            "endpoint": engine.endpoint(engine.events), "replay_endpoint": engine.endpoint(engine.replay), "type": "vLLM",
            "modelname": "m", "tenant_id": "default", "instance_id": "vllm-1", "block_size": 4, "dp_rank": 0,
            "hash_profile": {"strategy": "vllm", "algorithm": "sha256_cbor", "root_digest": "0" * 64}}),
            {"status": "registered successfully", "instance_id": "vllm-1"})
        expected = {"instances": {"vllm-1": {"longest_matched": 12, "gpu": 8, "dp": {"0": 8}, "cpu": 4, "disk": 0}}}
        self.await_reply("/query", {"model": "m", "token_ids": list(range(12)), "block_size": 4}, expected)
        body = msgpack.packb({"model": "m", "token_ids": struct.pack("<12i", *range(12)), "block_size": 4}, use_bin_type=True)
        status, content_type, reply = self.stock("/query", body, "application/msgpack")
        self.assertEqual((status, content_type), (200, "application/msgpack"))
        self.assertEqual(msgpack.unpackb(reply, raw=False), expected)
        self.assertEqual(self.curl("/unregister", {"instance_id": "vllm-1", "tenant_id": "default"}),
                         {"status": "unregistered successfully", "removed_instances": ["vllm-1|default|0"]})

    def test_a_million_tokens_are_answered_and_eight_mebibytes_are_the_most(self):
        engine = self.engine()
        engine.publish([stored([1], None, [1, 2, 3, 4], 4)])
        self.add_rank(7, engine, 4)
        # Of blocks of 4 it has 250,000, below the limit of a prompt.
        status, _, reply = self.stock("/query", json.dumps({"model_name": "m", "token_ids": [1, 2, 3, 4] * 250000}))
        self.assertEqual(status, 200, reply)
        self.assertEqual(self.stock("/query", " " * ((8 << 20) + 1))[0], 413)
        self.assertEqual(self.curl("/health"), "")


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    for name in ("--binary", "--source-dir", "--stub-dir"):
        parser.add_argument(name, required=True)
    arguments, rest = parser.parse_known_args()
    unittest.main(argv=[sys.argv[0]] + rest)
