"""Requests through a real Envoy while what stands behind it is killed and started again at random.

Engines, renderers and the API server first, then kvroute itself as well. Each answer is the engine's, whole; each request reached the
engine that kvroute chose; no lease is left. A request may fail for one reason only, and it is looked up for each that does: what it
needed was dead while it ran (docs/gateways/envoy.md says what may fail in which configuration).
"""

import http.client
import json
import random
import sys
import threading
import time
import unittest

import chaos
import rig
from gateway import Client, text_of

arguments = None  # of the command line
COMBINATIONS = [(mode, upstream, tls) for mode in ("full-duplex", "buffered") for upstream in ("override_host", "original_dst") for tls in (False, True)]


def request_pool(draw, reference, count, biggest):
    """So many different requests, from 100 B to `biggest`, each with the answer that an engine gives to it."""
    client, pool, history = Client(reference), [], None
    sizes = [10, 100, 100, 1_000, 1_000, 4_000, 4_000, 20_000, 20_000, 100_000]
    for number in range(count):
        size = biggest if number == 0 else biggest // 8 if number == 1 else draw.choice(sizes)
        words = " ".join("word%d" % draw.randrange(5_000) for _ in range(size // 9 + 1))
        body = {"model": "m", "max_tokens": draw.randrange(1, 30)}
        if number % 2:
            body.update(stream=True, stream_options={"include_usage": True})
        if draw.random() < 0.5:
            path, body["prompt"] = "/v1/completions", words
        else:
            if history is None or len(history) > 8:
                history = [{"role": "system", "content": words}]
            history = history + [{"role": "user", "content": "Question %d of many" % number}]
            path, body["messages"] = "/v1/chat/completions", history
        status, _, reply = client.ask(path, body)
        assert status == 200, reply[:200]
        text, usage = text_of(reply, body.get("stream", False))
        if "messages" in body:
            history = history + [{"role": "assistant", "content": text}]
        pool.append((path, json.dumps(body).encode(), body.get("stream", False), text, usage["prompt_tokens"]))
    client.close()
    return pool


class Asked:
    """One request: when it ran, and what came of it."""

    def __init__(self, id):
        self.id, self.begin, self.end = id, time.monotonic(), None
        self.status = self.engine = self.destination = self.fault = self.failure = None

    def send(self, connection, request):
        """The connection to go on with; None: it is spoilt."""
        path, body, streamed, text, prompt_tokens = request
        try:
            connection.request("POST", path, body, {"content-type": "application/json", "x-chaos-id": self.id})
            reply = connection.getresponse()
            self.status = reply.status
            self.engine, self.destination = reply.headers.get("x-simulated-engine"), reply.headers.get("x-received-destination")
            content = reply.read()
            if reply.status != 200:
                self.failure = "status %d: %r" % (reply.status, content[:100])
            else:
                self.judge(content, streamed, text, prompt_tokens)
        except (OSError, http.client.HTTPException) as error:
            self.failure = repr(error)
        self.end = time.monotonic()
        if self.failure is None:
            return connection
        connection.close()
        return None

    def judge(self, content, streamed, text, prompt_tokens):
        if streamed and b"data: [DONE]" not in content:
            self.failure = "the stream was cut off"
            return
        try:
            got, usage = text_of(content, streamed)
        except (ValueError, KeyError) as error:
            self.fault = "not an answer: %r: %r" % (error, content[:100])
            return
        if (got, usage["prompt_tokens"]) != (text, prompt_tokens):
            self.fault = "another answer than the engine gives: %r" % got[:100]


class Judge:
    """Whether a request may have failed, and whether one that did not went where it was to go."""

    def __init__(self, world):
        self._world = world
        self._engines = dict(zip(world.addresses, world.engines))
        self.excused, self.oldest_death = {}, 0.0

    def excuse(self, asked, entry):
        """Why it may have failed; None: it may not."""
        world = self._world
        if not world.fails_open and world.kvroute.dead_within(asked.begin, asked.end) is not None:
            return "kvroute was dead"
        engine = self._engines.get(entry["host"])
        killed = engine.dead_within(asked.begin, asked.end) if engine else None
        if killed is None:
            return None
        # The connection was there when the engine died: it had got the request, or was about to.
        if asked.status == 200 or "UC" in entry["flags"].split(","):
            return "its engine was killed"
        # It was picked when it was dead already: Envoy tries another where it may.
        self.oldest_death = max(self.oldest_death, asked.begin - killed)
        return "its engine was dead" if world.upstream == "original_dst" else None

    def went_astray(self, asked, entry):
        picked = (asked.destination or "").split(",")[0]
        reached = self._world.addresses[int(asked.engine.split("-")[1])]
        if picked == reached or int(entry["attempts"] or 1) > 1:
            return None
        if self._world.fails_open and not picked and self._world.kvroute.dead_within(asked.begin, asked.end) is not None:
            return None
        return "%s got what was meant for %s" % (reached, asked.destination)


class ChaosTest(unittest.TestCase):
    maxDiff = None

    def run_through(self, combination, kill_kvroute):
        folder = rig.temporary_folder()
        self.addCleanup(folder.cleanup)
        world = chaos.World(arguments, folder.name, *combination)
        self.addCleanup(world.end)
        draw = random.Random("%s/%s/%d" % (combination, kill_kvroute, arguments.seed))
        pool = request_pool(draw, world.reference, arguments.pool, arguments.biggest)
        pacer = chaos.Pacer(arguments.every, lambda: world.do(draw, kill_kvroute))
        try:
            asked = self.send_all(world, pool, pacer, arguments.requests)
        finally:
            pacer.end()
        world.revive_all()
        judge = self.check(world, asked)
        rig.wait_until(lambda: rig.metric(rig.get(world.page, "/metrics")[1].decode(), "kvroute_leases") == 0, "all leases to have ended")
        self.tell(combination, kill_kvroute, world, asked, judge)
        self.assertEqual(world.end(), 0)

    @staticmethod
    def send_all(world, pool, pacer, count):
        lock, asked, left = threading.Lock(), [], [count]

        def run(number):
            draw, connection = random.Random(number), None
            while True:
                with lock:
                    if left[0] == 0:
                        break
                    left[0] -= 1
                    one = Asked("r%d" % left[0])
                    asked.append(one)
                if connection is None:
                    connection = http.client.HTTPConnection(world.envoy.address, timeout=rig.PATIENCE_S)
                # The two biggest seldom.
                connection = one.send(connection, pool[draw.randrange(2)] if draw.random() < 0.005 else draw.choice(pool[2:]))
                pacer.one_more()
                if one.failure and not world.fails_open and not world.kvroute.alive() and draw.random() < 0.8:
                    rig.wait_until(world.kvroute.alive, "kvroute to be back")  # as a client that backs off
            if connection is not None:
                connection.close()

        threads = [threading.Thread(target=run, args=(number,)) for number in range(arguments.clients)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        return asked

    def check(self, world, asked):
        judge, log, faults = Judge(world), world.access_log([one.id for one in asked]), []
        for one in asked:
            entry = log[one.id]
            if one.failure:
                why = judge.excuse(one, entry)
                if why:
                    judge.excused[why] = judge.excused.get(why, 0) + 1
                else:
                    faults.append("%s: %s, Envoy says %s" % (one.id, one.failure, entry))
                continue
            fault = one.fault or judge.went_astray(one, entry)
            if fault:
                faults.append("%s: %s, Envoy says %s" % (one.id, fault, entry))
        self.assertEqual(faults[:20], [], "%d of %d requests; seed %d" % (len(faults), len(asked), arguments.seed))
        return judge

    def tell(self, combination, kill_kvroute, world, asked, judge):
        kills = {name: sum(len(mortal.deaths) for mortal in mortals) for name, mortals in (
            ("engines", world.engines), ("renderers", world.renderers), ("API server", [world.api]), ("kvroute", [world.kvroute]))}
        print("\n%s, %s, %s%s: %d requests in %.0f s, killed %s; failed for a good reason: %s%s" % (
            *combination[:2], "TLS" if combination[2] else "plaintext", ", kvroute is killed too" if kill_kvroute else "", len(asked),
            max(one.end for one in asked) - min(one.begin for one in asked), kills, judge.excused or "none",
            "; an engine was picked %.1f s after its death" % judge.oldest_death if judge.oldest_death else ""), flush=True)

    def test_engines_renderers_and_the_api_server_are_killed(self):
        for combination in arguments.combinations:
            with self.subTest(combination=combination):
                self.run_through(combination, kill_kvroute=False)

    def test_kvroute_is_killed_too(self):
        for combination in arguments.combinations:
            with self.subTest(combination=combination):
                self.run_through(combination, kill_kvroute=True)


def combination_of(text):
    words = text.split(",")
    if len(words) != 3 or words[2] not in ("plaintext", "tls") or (words[0], words[1], words[2] == "tls") not in COMBINATIONS:
        raise ValueError
    return words[0], words[1], words[2] == "tls"


if __name__ == "__main__":
    parser = rig.arguments_of_all()
    parser.add_argument("--requests", type=int, default=400, help="of each combination")
    parser.add_argument("--combination", action="append", dest="combinations", type=combination_of, metavar="MODE,UPSTREAM,TLS",
                        help="full-duplex or buffered, override_host or original_dst, plaintext or tls; default: all")
    parser.add_argument("--every", type=int, default=40, help="requests from one kill, or return, to the next")
    parser.add_argument("--clients", type=int, default=6)
    parser.add_argument("--pool", type=int, default=100, help="different requests")
    parser.add_argument("--biggest", type=int, default=8_000_000, help="bytes of a body")
    arguments, rest = parser.parse_known_args()
    arguments.combinations = arguments.combinations or COMBINATIONS
    unittest.main(argv=sys.argv[:1] + rest)
