"""Requests of OpenAI clients through a real Envoy, with kvroute as its endpoint picker, to simulated engines.

Each goes where kvroute said, comes back as the engine sent it, and ends its lease; none fails, whatever its size or kind.
--requests is how many for each combination of body mode and TLS.
"""

import http.client
import json
import random
import sys
import threading
import unittest

import rig
from gateway import Client, Gateway, text_of

CLIENTS = 4
arguments = None  # of the command line


def random_request(draw):
    """A path and a body of an OpenAI client: chats that go on, completions, short and long, streamed and not."""
    size = draw.choice([20, 200, 2_000, 2_000, 20_000, 20_000, 400_000] if draw.random() < 0.99 else [4_500_000])
    topic = draw.randrange(8)
    words = " ".join("word%d" % ((topic * 7919 + i) % 5_000) for i in range(size // 9 + 1))
    body = {"model": "m", "max_tokens": draw.randrange(1, 6)}
    if draw.random() < 0.5:
        body["stream"] = True
        body["stream_options"] = {"include_usage": True}
    if draw.random() < 0.5:
        body["messages"] = [{"role": "system", "content": words}, {"role": "user", "content": "Question %d" % draw.randrange(4)}]
        return "/v1/chat/completions", body
    body["prompt"] = words
    return "/v1/completions", body


class GatewayTest(unittest.TestCase):
    def gateway(self, *words, **named):
        folder = rig.temporary_folder()
        self.addCleanup(folder.cleanup)
        gateway = Gateway(arguments, folder.name, *words, **named)
        self.addCleanup(gateway.end)
        return gateway

    def send_all(self, gateway, count, seed, check_pick=True):
        """Sends random requests by several clients; every one is checked. Returns how many went to each engine."""
        lock, reached, faults = threading.Lock(), {}, []
        left = [count]

        def run(number):
            draw = random.Random("%d/%d" % (seed, number))
            client, reference = Client(gateway.envoy.address), Client(next(iter(gateway.reference.at.values())))
            while True:
                with lock:
                    if left[0] == 0 or len(faults) > 5:
                        break
                    left[0] -= 1
                path, body = random_request(draw)
                try:
                    fault, engine = self.one(gateway, client, reference, path, body, check_pick)
                except (OSError, http.client.HTTPException, AssertionError, ValueError, KeyError) as error:
                    fault, engine = repr(error), None
                with lock:
                    reached[engine] = reached.get(engine, 0) + 1
                    if fault:
                        faults.append("%s, %d bytes: %s" % (path, len(json.dumps(body)), fault))
            client.close()
            reference.close()

        threads = [threading.Thread(target=run, args=(number,)) for number in range(CLIENTS)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.assertEqual(faults, [], gateway.picker.log()[-2000:])
        return reached

    @staticmethod
    def one(gateway, client, reference, path, body, check_pick):
        status, headers, reply = client.ask(path, body)
        engine = headers.get("x-simulated-engine")
        if status != 200:
            return "status %d: %r" % (status, reply[:200]), engine
        if check_pick and headers.get("x-received-destination") != gateway.engines.at[engine]:
            return "%s got what was meant for %s" % (engine, headers.get("x-received-destination")), engine
        text, usage = text_of(reply, body.get("stream", False))
        wanted_status, _, wanted = reference.ask(path, body)
        assert wanted_status == 200, wanted[:200]
        wanted_text, wanted_usage = text_of(wanted, body.get("stream", False))
        if text != wanted_text or usage["prompt_tokens"] != wanted_usage["prompt_tokens"]:
            return "another answer than the engine gives: %r" % text[:100], engine
        return None, engine

    def leases_end(self, gateway):
        rig.wait_until(lambda: rig.metric(gateway.metrics(), "kvroute_leases") == 0, "all leases to have ended")

    def test_every_request_comes_back_from_the_engine_that_was_picked(self):
        for config, tls in (("full-duplex", False), ("full-duplex", True), ("fail-open", False), ("fail-open", True)):
            with self.subTest(config=config, tls=tls):
                gateway = self.gateway(config, tls=tls)
                reached = self.send_all(gateway, arguments.requests, arguments.seed)
                self.assertEqual(sum(reached.values()), arguments.requests)
                self.leases_end(gateway)
                print("\n%s%s: %d requests, by engine %s" % (config, ", TLS" if tls else "", arguments.requests, sorted(reached.values())))
                self.assertEqual(gateway.end()[1], 0)

    def test_a_client_does_not_choose_its_engine(self):
        gateway = self.gateway("full-duplex")
        client = Client(gateway.envoy.address)
        self.addCleanup(client.close)
        body = {"model": "m", "prompt": "the same prompt " * 40, "max_tokens": 1}
        for other in ["127.0.0.1:1", "127.0.0.1:1,127.0.0.1:2", "", "not an address"]:  # none would be reached
            status, headers, _ = client.ask("/v1/completions", body, {
                "x-gateway-destination-endpoint": other, "x-prefiller-host-port": "127.0.0.1:1"})
            self.assertEqual(status, 200)
            self.assertEqual(headers["x-received-destination"], gateway.engines.at[headers["x-simulated-engine"]])

    def test_a_conversation_stays_where_its_cache_is(self):
        gateway = self.gateway("full-duplex")
        client = Client(gateway.envoy.address)
        self.addCleanup(client.close)
        for conversation in range(3):
            # Long enough to outweigh a request that its engine still counts as running.
            messages = [{"role": "system", "content": "Conversation %d. " % conversation * 600}]
            engine = None
            for turn in range(4):
                messages.append({"role": "user", "content": "Question %d" % turn})
                status, headers, reply = client.ask("/v1/chat/completions", {"model": "m", "messages": messages, "max_tokens": 8})
                self.assertEqual(status, 200)
                self.assertIn(engine, (None, headers["x-simulated-engine"]))
                engine = headers["x-simulated-engine"]
                text, usage = text_of(reply, False)
                if turn > 0:
                    self.assertGreater(usage["prompt_tokens_details"]["cached_tokens"], 0)
                messages.append({"role": "assistant", "content": text})
                gateway.settle()

    def test_a_body_with_another_model_arrives_whole(self):
        served, alias = "a-model-with-a-longer-name", "alias"  # whatever Envoy held of the length is wrong now
        for config, mode in (("full-duplex", None), ("fail-open", "BUFFERED"), ("fail-open", "BUFFERED_PARTIAL"), ("fail-open", "STREAMED")):
            with self.subTest(mode=mode or config):
                gateway = self.gateway(config, engines=2, engine_words=("--model", served), body_mode=mode)
                client, reference = Client(gateway.envoy.address), Client(next(iter(gateway.reference.at.values())))
                sizes = [10, 20_000, 400_000, 4_500_000]
                for size, chunked in [(size, chunked) for size in sizes for chunked in (False, True)]:
                    body = {"prompt": "word " * (size // 5), "max_tokens": 4, "model": alias}
                    status, headers, reply = client.ask("/v1/completions", body, {"x-llm-d-model-name-rewrite": served}, chunked)
                    self.assertEqual(status, 200, (size, chunked, reply[:200]))
                    self.assertEqual(headers["x-received-destination"], gateway.engines.at[headers["x-simulated-engine"]])
                    wanted_status, _, wanted = reference.ask("/v1/completions", {**body, "model": served})
                    self.assertEqual(wanted_status, 200)
                    self.assertEqual(text_of(reply, False)[0], text_of(wanted, False)[0])
                    self.assertEqual(text_of(reply, False)[1]["prompt_tokens"], text_of(wanted, False)[1]["prompt_tokens"])
                client.close()
                reference.close()
                self.assertEqual(rig.metric(gateway.metrics(), "kvroute_picker_rewrites_total", result="done"), 2 * len(sizes))
                self.leases_end(gateway)
                self.assertEqual(gateway.end()[1], 0)

    def test_with_a_dead_picker_requests_go_on(self):
        gateway = self.gateway("fail-open")
        self.send_all(gateway, 20, arguments.seed)
        gateway.kill_picker()
        reached = self.send_all(gateway, max(40, arguments.requests // 10), arguments.seed + 1, check_pick=False)
        self.assertGreater(len(reached), 1, "Envoy's own policy spreads them")
        self.assertNotIn(None, reached)

    def test_what_is_no_request_for_a_model_reaches_an_engine_too(self):
        gateway = self.gateway("full-duplex")
        status, body = rig.get(gateway.envoy.address, "/v1/models")
        self.assertEqual(status, 200)
        self.assertEqual(json.loads(body)["data"][0]["id"], "m")
        client = Client(gateway.envoy.address)
        self.addCleanup(client.close)
        client._connection = http.client.HTTPConnection(gateway.envoy.address, timeout=rig.PATIENCE_S)
        client._connection.request("POST", "/v1/completions", b"{ not json", {"content-type": "application/json"})
        reply = client._connection.getresponse()
        self.assertEqual(reply.status, 400, "the engine's own answer")
        self.assertIn("x-simulated-engine", reply.headers)
        reply.read()
        self.leases_end(gateway)


if __name__ == "__main__":
    parser = rig.arguments_of_all()
    parser.add_argument("--requests", type=int, default=200)
    arguments, rest = parser.parse_known_args()
    unittest.main(argv=sys.argv[:1] + rest)
