"""A real Envoy, a real `kvroute serve` and simulated engines on the loopback, as tests and the demo put them together.

Envoy's configuration is a file of deploy/envoy, whose addresses alone are replaced: what is tested is what a person copies.
"""

import argparse
import http.client
import json
import os
import signal
import subprocess
import tempfile
import time

import yaml

PATIENCE_S = 120
SOURCE_DIR = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))


def arguments_of_all():
    parser = argparse.ArgumentParser()
    parser.add_argument("--binary", required=True, help="kvroute")
    parser.add_argument("--envoy", required=True)
    parser.add_argument("--seed", type=int, default=1)
    return parser


class NotStarted(Exception):
    pass


def wait_until(condition, what, patience_s=PATIENCE_S):
    """Until the condition holds; an error of the network is a no."""
    end = time.monotonic() + patience_s
    while True:
        try:
            value = condition()
        except (OSError, http.client.HTTPException):
            value = None
        if value:
            return value
        if time.monotonic() > end:
            raise NotStarted("waited %d s for %s" % (patience_s, what))
        time.sleep(0.02)


def get(address, path):
    """Status and body."""
    connection = http.client.HTTPConnection(address, timeout=PATIENCE_S)
    try:
        connection.request("GET", path)
        reply = connection.getresponse()
        return reply.status, reply.read()
    finally:
        connection.close()


def get_json(address, path):
    status, body = get(address, path)
    if status != 200:
        raise OSError("GET %s%s: %d" % (address, path, status))
    return json.loads(body)


def post_json(address, path, value, headers=None):
    connection = http.client.HTTPConnection(address, timeout=PATIENCE_S)
    try:
        connection.request("POST", path, json.dumps(value), {"content-type": "application/json", **(headers or {})})
        reply = connection.getresponse()
        return reply.status, reply.read()
    finally:
        connection.close()


class Process:
    """A process whose standard output says when it serves; its standard error goes to a file."""

    def __init__(self, folder, name, words, until=None, environment=None):
        self.name, self.words, self.environment = name, words, environment
        self.log_path = os.path.join(folder, name + ".log")
        self.until = until
        self.process = None
        self.lines = []
        self.start()

    def start(self):
        log = open(self.log_path, "ab")
        self.process = subprocess.Popen(self.words, stdout=subprocess.PIPE if self.until else log, stderr=log, env=self.environment)
        log.close()
        self.lines = []
        while self.until and not (self.lines and self.until in self.lines[-1]):
            line = self.process.stdout.readline().decode()
            if not line:
                raise NotStarted("%s ended with %s: %s" % (self.name, self.process.wait(), self.log()[-2000:]))
            self.lines.append(line.rstrip("\n"))

    def log(self):
        with open(self.log_path, errors="replace") as file:
            return file.read()

    def kill(self):
        self.process.send_signal(signal.SIGKILL)
        self.process.wait(PATIENCE_S)
        if self.process.stdout:
            self.process.stdout.close()

    def end(self):
        """The exit status after SIGTERM; what has ended already keeps its own."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        status = self.process.wait(PATIENCE_S)
        if self.process.stdout:
            self.process.stdout.close()
        return status


def words_of(line):
    """The "key=value" words of a line."""
    return dict(word.split("=", 1) for word in line.split() if "=" in word)


class Engines:
    """One process of simulated engines; `at` maps an engine's name to its address."""

    def __init__(self, binary, folder, count, *words):
        self.endpoints_file = os.path.join(folder, "endpoints.yaml")
        self.process = Process(folder, "engines", [
            binary, "engine", "--engines", str(count), "--port", "0", "--event-port", "0", "--endpoints-file", self.endpoints_file,
            *words], until="kvroute engine: serving")
        self.at = {}
        for line in self.process.lines[:-1]:
            name, words = line.split()[0], words_of(line)
            if "http" in words:
                self.at[name] = words["http"]


def envoy_config(path, picker, engines, tls=False):
    """The configuration of a file with the addresses of this run, the picker's and those of engines it lists; and with patience."""
    with open(path) as file:
        config = yaml.safe_load(file)
    for each in connection_manager(config)["http_filters"]:
        if "message_timeout" in each["typed_config"]:
            each["typed_config"]["message_timeout"] = "%ds" % PATIENCE_S  # a busy machine is no fault
    config["admin"]["address"]["socket_address"] = {"address": "127.0.0.1", "port_value": 0}
    resources = config["static_resources"]
    resources["listeners"][0]["address"]["socket_address"] = {"address": "127.0.0.1", "port_value": 0}
    for cluster in resources["clusters"]:
        if cluster["name"] == "picker":
            cluster["load_assignment"]["endpoints"] = [{"lb_endpoints": [lb_endpoint(picker)]}]
            if tls:
                cluster["transport_socket"] = {"name": "envoy.transport_sockets.tls", "typed_config": {
                    "@type": "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.UpstreamTlsContext",
                    "common_tls_context": {"alpn_protocols": ["h2"]}}}
        elif "load_assignment" in cluster:
            cluster["load_assignment"]["endpoints"] = [{"lb_endpoints": [lb_endpoint(engine) for engine in engines]}]
    return config


def set_request_body_mode(config, mode):
    """How the filter shows requests' bodies; STREAMED without waiting for the answer to the headers, else no pick can be made by them."""
    for each in connection_manager(config)["http_filters"]:
        if "processing_mode" in each["typed_config"]:
            each["typed_config"]["processing_mode"]["request_body_mode"] = mode
            each["typed_config"]["send_body_without_waiting_for_header_response"] = mode == "STREAMED"


def connection_manager(config):
    return config["static_resources"]["listeners"][0]["filter_chains"][0]["filters"][0]["typed_config"]


def lb_endpoint(address):
    host, port = address.rsplit(":", 1)
    return {"endpoint": {"address": {"socket_address": {"address": host.strip("[]"), "port_value": int(port)}}}}


class Envoy:
    def __init__(self, binary, folder, name, config, *words):
        path, admin_path = (os.path.join(folder, name + suffix) for suffix in (".json", ".admin"))
        with open(path, "w") as file:
            json.dump(config, file)
        if os.path.exists(admin_path):
            os.unlink(admin_path)
        self.process = Process(folder, name, [
            binary, "-c", path, "--admin-address-path", admin_path, "--use-dynamic-base-id", "--concurrency", "1", "-l", "warning", *words])

        def admin_address():
            if self.process.process.poll() is not None:
                raise NotStarted("Envoy ended: " + self.process.log()[-2000:])
            if not os.path.exists(admin_path):
                return None
            with open(admin_path) as file:
                return file.read().strip()

        self.admin = wait_until(admin_address, "Envoy's admin address")
        wait_until(lambda: get(self.admin, "/ready")[0] == 200, "Envoy to be ready")
        listeners = get_json(self.admin, "/listeners?format=json")["listener_statuses"]
        address = listeners[0]["local_address"]["socket_address"]
        self.address = "%s:%d" % (address["address"], address["port_value"])

    def stat(self, name):
        """The sum of the counters and gauges whose name ends so."""
        text = get(self.admin, "/stats?filter=" + name.replace(".", "%5C."))[1].decode()
        return sum(int(line.rsplit(": ", 1)[1]) for line in text.splitlines() if line.rsplit(": ", 1)[0].endswith(name))

    def end(self):
        return self.process.end()


def temporary_folder():
    return tempfile.TemporaryDirectory(prefix="kvroute-gateway-")


def metric(page, name, **labels):
    """The sum of a metric's samples that have these labels."""
    total = 0.0
    for line in page.splitlines():
        if line.startswith(name + "{") or line.startswith(name + " "):
            if all('%s="%s"' % item in line for item in labels.items()):
                total += float(line.rsplit(" ", 1)[1])
    return total
