"""What stands behind a gateway in these tests, and a client in front of it."""

import http.client
import json
import os

import rig


def configuration(name):
    return os.path.join(rig.SOURCE_DIR, "deploy", "envoy", name + ".yaml")


def text_of(reply, streamed):
    """What the engine generated, and the usage that it told."""
    if not streamed:
        value = json.loads(reply)
        choice = value["choices"][0]
        return choice["message"]["content"] if "message" in choice else choice["text"], value["usage"]
    text, usage, done = "", None, False
    for line in reply.decode().splitlines():
        if not line.startswith("data: "):
            continue
        if line == "data: [DONE]":
            done = True
            continue
        event = json.loads(line[len("data: "):])
        usage = event.get("usage") or usage
        for choice in event["choices"]:
            text += choice["delta"].get("content") or "" if "delta" in choice else choice["text"]
    assert done, "the stream was cut off"
    return text, usage


def cached_tokens(usage):
    """None: it does not say."""
    return (usage["prompt_tokens_details"] or {}).get("cached_tokens")


class Client:
    """One connection that is kept; what it sends is what stock clients send."""

    def __init__(self, address):
        self._address = address
        self._connection = None

    def ask(self, path, body, headers=None, chunked=False):
        """Status, headers and body. Chunked: what is sent does not say its length."""
        if self._connection is None:
            self._connection = http.client.HTTPConnection(self._address, timeout=rig.PATIENCE_S)
        try:
            sent = json.dumps(body).encode()
            self._connection.request("POST", path, iter([sent]) if chunked else sent, {"content-type": "application/json", **(headers or {})})
            reply = self._connection.getresponse()
            return reply.status, reply.headers, reply.read()
        except (OSError, http.client.HTTPException):
            self.close()
            raise

    def close(self):
        if self._connection is not None:
            self._connection.close()
            self._connection = None


class Gateway:
    """Engines, a picker and an Envoy; and an engine apart, which says what the answer to a request is."""

    def __init__(self, arguments, folder, config_name, tls=False, picker_settings=(), engines=4, engine_words=(), body_mode=None):
        defaults = {"--model": "m", "--speedup": "1000", "--max-model-len": "2000000", "--blocks-per-worker": "200000"}
        words = [*engine_words, *(word for name in defaults if name not in engine_words for word in (name, defaults[name]))]
        self.engines = rig.Engines(arguments.binary, folder, engines, *words)
        os.makedirs(os.path.join(folder, "reference"))
        self.reference = rig.Engines(arguments.binary, os.path.join(folder, "reference"), 1, *words)
        self.picker_words = [arguments.binary, "serve", "--grpc-listen", "127.0.0.1:0", "--http-listen", "127.0.0.1:0",
                             "--set", "picker.listen=127.0.0.1:0", "--set", "picker.health_listen=127.0.0.1:0", "--set", "picker.tls=" + ("self_signed" if tls else "off"),
                             "--set", "picker.pick_timeout=%ds" % rig.PATIENCE_S, "--set", "picker.buffered_pick_timeout=%ds" % (rig.PATIENCE_S - 10),
                             "--set", "discovery.file=" + self.engines.endpoints_file, *picker_settings]
        self.picker = rig.Process(folder, "picker", self.picker_words, until="serving")
        at = rig.words_of(self.picker.lines[-1])
        self.picker_address, self.page = at["picker"], at["http"]
        rig.wait_until(lambda: rig.get(self.page, "/readyz")[0] == 200, "kvroute to be ready")
        rig.wait_until(lambda: self.renderers() == ["ready"] * engines, "the engines to have said what they can render")
        config = rig.envoy_config(configuration(config_name), self.picker_address, list(self.engines.at.values()), tls)
        if body_mode:
            rig.set_request_body_mode(config, body_mode)
        self.envoy = rig.Envoy(arguments.envoy, folder, config_name, config)

    def renderers(self):
        return [renderer["state"] for renderer in rig.get_json(self.page, "/status")["renderers"]]

    def kill_picker(self):
        self.picker.kill()

    def metrics(self):
        return rig.get(self.page, "/metrics")[1].decode()

    def settle(self):
        """Until kvroute has applied what the engines have published; its metrics then."""
        def settled():
            published = sum(rig.metric(rig.get(address, "/metrics")[1].decode(), "simulated:published_batches")
                            for address in self.engines.at.values())
            page = self.metrics()
            return page if rig.metric(page, "kvroute_batches_total") >= published else None
        return rig.wait_until(settled, "events to be applied")

    def end(self):
        statuses = [self.envoy.end(), self.picker.end()]
        self.engines.process.end()
        self.reference.process.end()
        return statuses
