"""What is killed and started again while requests go through, and when each of it was dead."""

import json
import os
import threading
import time

import kube
import rig
from gateway import configuration

ENGINES, RENDERERS, DEAD_AT_ONCE = 16, 2, 3
WORDS = ["--model", "m", "--speedup", "1000", "--max-model-len", "4000000", "--blocks-per-worker", "260000"]


class Mortal:
    """A process or server, with the times at which it was dead: from the kill to when it served again."""

    def __init__(self, start, kill, until_ready=None):
        self._start, self._kill, self._until_ready = start, kill, until_ready
        self._coming = None
        self.deaths = []  # [from, to]; to is None while it is dead
        self._start()
        if until_ready:
            until_ready()

    def alive(self):
        return not self.deaths or self.deaths[-1][1] is not None

    def dead(self):
        """And nobody has started it again."""
        return not self.alive() and self._coming is None

    def kill(self):
        self.deaths.append([time.monotonic(), None])
        self._kill()

    def revive(self):
        """Starts it; whoever has to be asked whether it is ready is dead until it says so, which is not waited for."""
        self._start()
        if self._until_ready is None:
            self.deaths[-1][1] = time.monotonic()
            return
        self._coming = threading.Thread(target=self._await)
        self._coming.start()

    def _await(self):
        self._until_ready()
        self.deaths[-1][1] = time.monotonic()
        self._coming = None

    def settle(self):
        """Until it is alive, if it was started."""
        coming = self._coming
        if coming:
            coming.join()

    def dead_within(self, begin, end):
        """The time of the last kill by which it was dead at some moment of these; None: it lived."""
        for killed, served in reversed(self.deaths):
            if killed <= end and (served is None or served >= begin):
                return killed
        return None


class World:
    """16 engines, two renderers, an API server, kvroute, an Envoy: each at addresses of its own, so that it comes back where it was.

    body_mode: "full-duplex" or "buffered"; upstream: "override_host" or "original_dst".
    """

    def __init__(self, arguments, folder, body_mode, upstream, tls):
        self.arguments, self.folder, self.upstream = arguments, folder, upstream
        self._net = "127.%d.%d." % (64 + (os.getpid() >> 8) % 64, os.getpid() % 256)
        self.fails_open = body_mode == "buffered" and upstream == "override_host"
        self.addresses = ["%s%d:8000" % (self._net, i + 1) for i in range(ENGINES)]
        self._processes = []
        self.kube = kube.KubeApi(self._net + "120")
        for i in range(ENGINES):
            self._tell_pod(i, True)
        self.api = Mortal(self.kube.start, self.kube.kill)
        self.engines = [self._engine("engine-%d" % i, "%d" % (i + 1)) for i in range(ENGINES)]
        self.renderers = [self._engine("renderer-%d" % i, "%d" % (110 + i)) for i in range(RENDERERS)]
        self._engine("reference", "100")
        self.reference = self._net + "100:8000"
        self.page = self._net + "130:8080"
        self.kvroute = self._mortal("kvroute", self._serve_words(tls), "serving", self._ready)
        self.log_path = os.path.join(folder, "access.log")
        self.envoy = rig.Envoy(arguments.envoy, folder, "envoy", self._envoy_config(body_mode, upstream, tls), "--file-flush-interval-msec", "50")

    def _mortal(self, name, words, until, until_ready=None):
        process = []

        def start():
            if process:
                process[0].start()
            else:
                process.append(rig.Process(self.folder, name, words, until))

        mortal = Mortal(start, lambda: process[0].kill(), until_ready)
        self._processes.append(process[0])
        return mortal

    def _engine(self, name, number):
        return self._mortal(name, [self.arguments.binary, "engine", "--host", self._net + number, "--port", "8000", "--event-port", "5557",
                                   "--name", name, "--output-tokens", "40", *WORDS], "kvroute engine: serving")

    def _serve_words(self, tls):
        host = self._net + "130:"
        words = [self.arguments.binary, "serve", "--grpc-listen", host + "50051", "--http-listen", host + "8080"]
        settings = {
            "picker.listen": host + "9002", "picker.health_listen": host + "9003", "picker.tls": "self_signed" if tls else "off",
            "picker.fallback_endpoints": 2 if self.upstream == "override_host" else 0,
            "discovery.kubernetes.api_server": "http://" + self.kube.address, "discovery.kubernetes.namespace": "default",
            "discovery.kubernetes.selector": "app=engine", "discovery.engines.replay_port": 5558,
            "readiness.grace": "24h"}  # ready when it knows its engines, however long the API server is dead
        for name, value in settings.items():
            words += ["--set", "%s=%s" % (name, value)]
        path = os.path.join(self.folder, "kvroute.yaml")
        with open(path, "w") as file:
            json.dump({"prompts": {"renderers": [{"url": "http://%s%d:8000" % (self._net, 110 + i)} for i in range(RENDERERS)]}}, file)
        words += ["--config", path]
        return words

    def _ready(self):
        rig.wait_until(lambda: rig.get(self.page, "/readyz")[0] == 200, "kvroute to be ready")

    def _envoy_config(self, body_mode, upstream, tls):
        """The filter of one of our files, the engines' cluster and its retries of the other, if need be; and an access log."""
        named = {"full-duplex": "full-duplex", "buffered": "fail-open"}
        clusters_of = {"original_dst": "full-duplex", "override_host": "fail-open"}
        config, other = (rig.envoy_config(configuration(name), self._net + "130:9002", self.addresses, tls)
                         for name in (named[body_mode], clusters_of[upstream]))
        config["static_resources"]["clusters"] = other["static_resources"]["clusters"]
        manager, of_other = (rig.connection_manager(each) for each in (config, other))
        manager["route_config"] = of_other["route_config"]
        manager["access_log"] = [{"name": "envoy.access_loggers.file", "typed_config": {
            "@type": "type.googleapis.com/envoy.extensions.access_loggers.file.v3.FileAccessLog", "path": self.log_path,
            "log_format": {"json_format": {
                "id": "%REQ(X-CHAOS-ID)%", "code": "%RESPONSE_CODE%", "flags": "%RESPONSE_FLAGS%", "details": "%RESPONSE_CODE_DETAILS%",
                "host": "%UPSTREAM_HOST%", "attempts": "%UPSTREAM_REQUEST_ATTEMPT_COUNT%", "picked": "%REQ(X-GATEWAY-DESTINATION-ENDPOINT)%"}}}}]
        return config

    def _tell_pod(self, i, ready):
        self.kube.set_pod("engine-%d" % i, self.addresses[i].rsplit(":", 1)[0], ready)

    def all(self):
        return [*self.engines, *self.renderers, self.api, self.kvroute]

    def do(self, draw, kill_kvroute):
        """One thing more is killed, or what has been dead for longest is back; what it was."""
        dead = [mortal for mortal in self.all() if mortal.dead()]
        if dead and (draw.random() < 0.5 or len(dead) >= DEAD_AT_ONCE + 2):
            self.revive(min(dead, key=lambda mortal: mortal.deaths[-1][0]))
            return
        kinds = [self.engines] * 6 + [self.renderers] * 3 + [[self.api]] * 2 + [[self.kvroute]] * (2 if kill_kvroute else 0)
        candidates = [mortal for mortal in draw.choice(kinds) if mortal.alive()]
        dead_engines = sum(not engine.alive() for engine in self.engines)
        if not candidates or (candidates[0] in self.engines and dead_engines >= DEAD_AT_ONCE):
            return
        chosen = draw.choice(candidates)
        chosen.kill()
        if chosen is self.kvroute and not self.fails_open:
            # Nothing goes through meanwhile: it is started at once, and what it needs to be ready is there.
            self.revive(chosen)
            if self.api.dead():
                self.revive(self.api)
        if chosen in self.engines and draw.random() < 0.5:  # else it is back before Kubernetes notices
            self._tell_pod(self.engines.index(chosen), False)

    def revive(self, mortal):
        mortal.revive()
        if mortal in self.engines:
            self._tell_pod(self.engines.index(mortal), True)

    def revive_all(self):
        for mortal in self.all():
            if mortal.dead():
                self.revive(mortal)
        for mortal in self.all():
            mortal.settle()

    def end(self):
        """kvroute's exit status; a second time does nothing."""
        self.envoy.end()
        statuses = {process.name: process.end() for process in self._processes}
        if self.api.alive():
            self.api.kill()
        return statuses["kvroute"]

    def access_log(self, ids):
        """What Envoy wrote of these requests, by id."""
        def entries():
            with open(self.log_path) as file:
                found = {}
                for line in file:
                    if line.endswith("\n"):
                        entry = json.loads(line)
                        found[entry["id"]] = entry
            return found if all(id in found for id in ids) else None
        return rig.wait_until(entries, "Envoy to have written of %d requests" % len(ids))


class Pacer:
    """Does something each time that so many more requests have ended: no time passes but that of requests."""

    def __init__(self, every, act):
        self._every, self._act = every, act
        self._done, self._ending = 0, False
        self._changed = threading.Condition()
        self.error = None
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def one_more(self):
        with self._changed:
            self._done += 1
            self._changed.notify()

    def end(self):
        with self._changed:
            self._ending = True
            self._changed.notify()
        self._thread.join()
        if self.error:
            raise self.error

    def _run(self):
        due = self._every
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._ending or self._done >= due)
                if self._ending:
                    return
                due = self._done + self._every
            try:
                self._act()
            except Exception as error:
                self.error = error
                return
