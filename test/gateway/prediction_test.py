"""What kvroute predicts of each request is what its engine then says it had cached: behind a real Envoy, prompts as text.

In lock-step: a request is sent when kvroute has applied everything that the engines have published, so that its streams are exact and
settled, and nothing is excused. The prediction is read from kvroute's metrics, the truth from the answer that the client got.
"""

import json
import random
import sys
import unittest

import rig
from gateway import Client, Gateway, cached_tokens, text_of

arguments = None  # of the command line


class Conversation:
    """A chat that goes on, or a completion whose prompt grows: its next request, and what its answer adds."""

    def __init__(self, draw, number):
        self._draw = draw
        self.turns = 0
        words = "Subject %d. " % (number % 5) + " ".join(draw.choice(WORDS) for _ in range(draw.choice([3, 40, 400, 4_000])))
        self._messages = [{"role": "system", "content": words}] if draw.random() < 0.6 else None
        self._prompt = words
        self._salt = draw.choice([None, None, None, "tenant"])

    def request(self):
        draw, body = self._draw, {"model": "m", "max_tokens": self._draw.randrange(1, 60)}
        if self._salt:
            body["cache_salt"] = self._salt
        if draw.random() < 0.5:
            body.update(stream=True, stream_options={"include_usage": True})
        question = " ".join(draw.choice(WORDS) for _ in range(draw.randrange(1, 60)))
        if self.turns and draw.random() < 0.1:
            pass  # the same once more: all of it is cached, but for the last token's block
        elif self._messages is not None:
            self._messages.append({"role": "user", "content": question})
        else:
            self._prompt += " " + question
        if self._messages is None:
            return "/v1/completions", dict(body, prompt=self._prompt)
        return "/v1/chat/completions", dict(body, messages=self._messages)

    def answered(self, text):
        self.turns += 1
        if self._messages is None:
            self._prompt += text
        else:
            self._messages.append({"role": "assistant", "content": text})


WORDS = "the a of engine cache block token prompt which holds router Gateway naïve 東京 🙂 x1 == { } \"quoted\" \\ end.\n".split(" ")
TRUST = {"trust": "exact"}


class PredictionTest(unittest.TestCase):
    def run_over(self, config, settings=(), engine_words=(), enough=lambda page: True):
        """Sends --requests requests of conversations that come and go, or more until `enough`; each is compared."""
        folder = rig.temporary_folder()
        self.addCleanup(folder.cleanup)
        gateway = Gateway(arguments, folder.name, config, picker_settings=settings, engine_words=engine_words)
        self.addCleanup(gateway.end)
        client = Client(gateway.envoy.address)
        self.addCleanup(client.close)
        draw = random.Random("%s/%d" % (config, arguments.seed))
        conversations, cached_some, compared, before = [], 0, 0, gateway.settle()
        self.telling = set()
        number = 0
        while number < arguments.requests or not enough(before):
            if len(conversations) < 12:
                conversations.append(Conversation(draw, number))
            conversation = draw.choice(conversations)
            path, body = conversation.request()
            status, headers, reply = client.ask(path, body)
            self.assertEqual(status, 200, reply[:300])
            text, usage = text_of(reply, body.get("stream", False))
            # The lease ends when Envoy has told kvroute of the response's end, which the client sees first.
            rig.wait_until(lambda: rig.metric(gateway.metrics(), "kvroute_leases") == 0, "the lease to end")
            page = gateway.settle()
            compared += self.compare(number, path, body, headers["x-simulated-engine"], usage, before, page)
            before = page
            cached_some += (cached_tokens(usage) or 0) > 0
            conversation.answered(text)
            if conversation.turns >= 8:
                conversations.remove(conversation)
            number += 1
        self.check_totals(before, number, compared)
        print("\n%s: %d requests, %d of them with something cached, every prediction right" % (config, number, cached_some))
        self.assertGreater(cached_some, number // 2)
        client.close()
        self.assertEqual(gateway.end()[1], 0)

    def compare(self, number, path, body, engine, usage, before, page):
        """Whether it was compared. It is not where the engine has not told any number yet: SGLang writes no 0."""
        def grown(name, **labels):
            return rig.metric(page, name, **labels) - rig.metric(before, name, **labels)
        what = "request %d, %s, to %s: %s" % (number, path, engine, json.dumps(body)[:300])
        self.assertEqual(grown("kvroute_audit_answer_tokens_total", kind="prompt"), usage["prompt_tokens"], what)
        self.assertEqual(grown("kvroute_audit_answer_tokens_total", kind="output"), usage["completion_tokens"], what)
        cached = cached_tokens(usage)
        if cached is None and engine not in self.telling:
            self.assertEqual(grown("kvroute_audit_results_total", result="no_cached_tokens"), 1, what)
            return False
        self.telling.add(engine)
        self.assertEqual(grown("kvroute_audit_results_total", result="compared"), 1, what)
        self.assertEqual(grown("kvroute_audit_predicted_tokens_total", **TRUST), cached or 0, what)
        self.assertEqual(grown("kvroute_audit_cached_tokens_total", **TRUST), cached or 0, what)
        return True

    def check_totals(self, page, count, compared):
        """All had a usage, all were exact, all errors are in the class of 0; and by worker it is the same."""
        self.assertEqual(rig.metric(page, "kvroute_audit_answers_total"), count)
        self.assertEqual(rig.metric(page, "kvroute_audit_answers_total", usage="found"), count)
        self.assertEqual(rig.metric(page, "kvroute_audit_other_prompts_total"), 0)
        for prefix in ("kvroute_audit", "kvroute_stream_audit"):
            self.assertEqual(rig.metric(page, prefix + "_error_tokens_count", **TRUST), compared)
            self.assertEqual(rig.metric(page, prefix + "_error_tokens_bucket", le="0", **TRUST), compared)
            self.assertEqual(rig.metric(page, prefix + "_error_tokens_bucket", le="-1", **TRUST), 0)

    def test_in_full_duplex(self):
        self.run_over("full-duplex")

    def test_buffered(self):
        self.run_over("fail-open")

    def test_with_a_cache_that_is_too_small(self):
        # As many as one long conversation needs: whatever goes where, engines soon have to remove some.
        self.run_over("full-duplex", engine_words=("--blocks-per-worker", "500"),
                      enough=lambda page: rig.metric(page, "kvroute_events_total", type="removed") > 0)

    def test_of_sglang_with_pages_of_one_token(self):
        self.run_over("full-duplex", engine_words=("--style", "sglang_map", "--block-size", "1", "--blocks-per-worker", "500000"))

    def test_rendered_by_tokenize(self):
        self.run_over("full-duplex", engine_words=("--no-render",))


if __name__ == "__main__":
    parser = rig.arguments_of_all()
    parser.add_argument("--requests", type=int, default=300, help="of each test")
    arguments, rest = parser.parse_known_args()
    unittest.main(argv=sys.argv[:1] + rest)
