"""`kvroute engine` behind stock clients, and in front of a real `kvroute serve`: what is predicted is what was cached."""

import argparse
import json
import random
import subprocess
import sys
import tempfile
import time
import unittest
import urllib.error
import urllib.request

import grpc
import yaml

import stubs

ENGINES = 3
BLOCK = 16
PATIENCE_S = 120
arguments = None  # of the command line


def start(*words):
    """A kvroute and the lines it says before it serves."""
    process = subprocess.Popen([arguments.binary] + list(words), stdout=subprocess.PIPE, text=True)
    lines = []
    while not lines or "serving" not in lines[-1]:
        lines.append(process.stdout.readline())
        if not lines[-1]:
            raise RuntimeError("%s said: %r" % (words, lines))
    return process, lines


def stop(process):
    process.terminate()
    status = process.wait(PATIENCE_S)
    process.stdout.close()
    return status


def ask(address, path, body=None, headers=None):
    request = urllib.request.Request("http://%s%s" % (address, path), None if body is None else json.dumps(body).encode(),
                                     {"content-type": "application/json", **(headers or {})})
    with urllib.request.urlopen(request, timeout=PATIENCE_S) as reply:
        text = reply.read().decode()
    return json.loads(text) if text.startswith(("{", "[")) else text


def curl(*words):
    return subprocess.run(["curl", "-sS", "--fail", "--max-time", str(PATIENCE_S)] + list(words), check=True,
                          stdout=subprocess.PIPE, text=True).stdout


class EngineHttpTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        stubs.generate(arguments.source_dir, arguments.stub_dir)
        from kvroute.v1 import fleet_pb2, fleet_pb2_grpc, router_pb2, router_pb2_grpc
        cls.fleet_pb2, cls.router_pb2 = fleet_pb2, router_pb2
        with tempfile.NamedTemporaryFile(suffix=".yaml") as file:
            cls.engines_process, lines = start(
                "engine", "--engines", str(ENGINES), "--port", "0", "--event-port", "0", "--model", "m", "--lora", "poet",
                "--block-size", str(BLOCK), "--speedup", "1000", "--output-tokens", "20", "--endpoints-file", file.name)
            with open(file.name) as written:
                cls.endpoints = yaml.safe_load(written)["endpoints"]
        cls.engines = {}
        workers = []
        for line in lines[:-1]:
            name, *words = line.split()
            at = dict(word.split("=", 1) for word in words)
            cls.engines[name] = at["http"]
            workers += ["--worker", "id=%s,address=http://%s,model=m,events=%s,replay=%s" %
                        (name, at["http"], at["events"], at["replay"])]
        cls.server, lines = start("serve", "--grpc-listen", "127.0.0.1:0", "--http-listen", "127.0.0.1:0", *workers)
        words = dict(word.split("=", 1) for word in lines[-1].split() if "=" in word)
        cls.channel = grpc.insecure_channel(words["grpc"])
        cls.fleet = fleet_pb2_grpc.FleetStub(cls.channel)
        cls.router = router_pb2_grpc.RouterStub(cls.channel)

    @classmethod
    def tearDownClass(cls):
        cls.channel.close()
        for process in (cls.server, cls.engines_process):
            if stop(process) != 0:
                raise RuntimeError("%s did not end well" % process.args)

    def published(self, address):
        line = next(line for line in ask(address, "/metrics").splitlines()
                    if line.startswith("simulated:published_batches{"))
        return int(float(line.split()[1]))

    def settle(self):
        """Until kvroute has applied what every engine has published."""
        deadline = time.monotonic() + PATIENCE_S
        while True:
            listed = self.fleet.List(self.fleet_pb2.ListRequest(), timeout=PATIENCE_S)
            states = {worker.worker.worker_id: worker.streams[0] for worker in listed.workers}
            if all(states[name].trust == self.router_pb2.TRUST_EXACT and states[name].next_seq == self.published(address)
                   for name, address in self.engines.items()):
                return
            if time.monotonic() > deadline:
                raise RuntimeError("not settled: %s" % states)

    def held_by(self, engine, tokens):
        response = self.router.Score(self.router_pb2.ScoreRequest(
            model="m", prompt=self.router_pb2.Prompt(token_ids=tokens)), timeout=PATIENCE_S)
        return next(match.matched_tokens for match in response.matches if match.target.worker_id == engine)

    def test_endpoints_file_says_where_they_are(self):
        self.assertEqual({entry["name"]: "%s:%s" % (entry["address"], entry["port"]) for entry in self.endpoints},
                         self.engines)
        for entry in self.endpoints:
            self.assertIsInstance(entry["port"], str)
            self.assertEqual(entry["labels"]["kvroute.io/model"], "m")

    def test_curl_gets_a_chat_and_a_stream(self):
        address = self.engines["engine-0"]
        body = {"model": "m", "messages": [{"role": "user", "content": "Hello from curl"}]}
        whole = json.loads(curl("http://%s/v1/chat/completions" % address, "-H", "content-type: application/json", "-d",
                                json.dumps(body)))
        self.assertEqual(whole["usage"]["completion_tokens"], 21)
        body.update(stream=True, stream_options={"include_usage": True})
        stream = curl("-N", "http://%s/v1/chat/completions" % address, "-H", "content-type: application/json", "-d",
                      json.dumps(body))
        events = [line[len("data: "):] for line in stream.splitlines() if line.startswith("data: ")]
        self.assertEqual(events[-1], "[DONE]")
        parts = [json.loads(event) for event in events[:-1]]
        self.assertEqual("".join(part["choices"][0]["delta"]["content"] for part in parts[:-1]),
                         whole["choices"][0]["message"]["content"])
        self.assertEqual(parts[-1]["usage"]["completion_tokens"], 21)

    def test_what_kvroute_predicts_is_what_the_engine_had(self):
        seed = random.randrange(1 << 32)
        draw = random.Random(seed)
        adapter_turns = hits = 0
        for conversation in range(6):
            model = draw.choice(("m", "poet"))
            salt = draw.choice((None, "tenant"))
            body = {"model": model, "messages": [{"role": "system", "content": "Be brief. " * 20}]}
            if salt is not None:
                body["cache_salt"] = salt
            for turn in range(4):
                body["messages"].append({"role": "user", "content": " ".join(
                    draw.choice(("red", "green", "blue", "12", "?!")) for _ in range(draw.randrange(5, 80)))})
                rendered = ask(self.engines["engine-0"], "/v1/chat/completions/render", body)
                self.settle()
                route = self.router_pb2.RouteRequest(
                    model="m", prompt=self.router_pb2.Prompt(token_ids=rendered["token_ids"]), cache_salt=salt or "",
                    lora_name="poet" if model == "poet" else "", request_id="%d-%d" % (conversation, turn))
                chosen = self.router.Route(route, timeout=PATIENCE_S).chosen
                reply = ask(chosen.address[len("http://"):], "/v1/chat/completions", body)
                usage = reply["usage"]
                self.assertEqual(usage["prompt_tokens"], len(rendered["token_ids"]))
                most = (usage["prompt_tokens"] - 1) // BLOCK * BLOCK  # the last token is computed in any case
                self.assertEqual(usage["prompt_tokens_details"]["cached_tokens"], min(chosen.matched_tokens, most),
                                 "seed %d, conversation %d, turn %d" % (seed, conversation, turn))
                hits += chosen.matched_tokens > 0
                adapter_turns += model == "poet"
                body["messages"].append(reply["choices"][0]["message"])
                self.router.Complete(self.router_pb2.CompleteRequest(
                    request_id=route.request_id, progress=self.router_pb2.CompleteRequest.PROGRESS_ENDED), timeout=PATIENCE_S)
        self.assertGreater(hits, 0, "seed %d" % seed)

    def test_an_engine_that_dies_comes_back_empty_and_kvroute_knows(self):
        address = self.engines["engine-2"]
        body = {"model": "m", "prompt": list(range(1000, 1100)), "max_tokens": 1}
        ask(address, "/v1/completions", body)
        ask(address, "/v1/completions", body)
        ask(address, "/simulate", {"die_for_ms": 200})
        deadline = time.monotonic() + PATIENCE_S
        seen_dead = False
        while time.monotonic() < deadline:
            try:
                ask(address, "/health")
                if seen_dead:
                    break
            except (urllib.error.URLError, ConnectionError):
                seen_dead = True
        self.assertTrue(seen_dead)
        other = {"model": "m", "prompt": list(range(2000, 2100)), "max_tokens": 1}
        self.assertEqual(ask(address, "/v1/completions", other)["usage"]["prompt_tokens_details"]["cached_tokens"], 0)
        while time.monotonic() < deadline:
            held = [self.held_by("engine-2", prompt) for prompt in (body["prompt"], other["prompt"])]
            if held == [0, 96]:
                break
        self.assertEqual(held, [0, 96], "what it held before, and what it holds now")
        self.assertEqual(ask(address, "/v1/completions", body)["usage"]["prompt_tokens_details"]["cached_tokens"], 0)


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    for name in ("--binary", "--source-dir", "--stub-dir"):
        parser.add_argument(name, required=True)
    arguments, rest = parser.parse_known_args()
    unittest.main(argv=[sys.argv[0]] + rest)
