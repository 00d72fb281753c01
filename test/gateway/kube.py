"""As much of a Kubernetes API server as a list and a watch of pods need. It can be killed and started again: what it knows stays."""

import http.server
import json
import socket
import threading
import urllib.parse


class KubeApi:
    def __init__(self, host, port=6443):
        self.address = "%s:%d" % (host, port)
        self._host, self._port = host, port
        self._changed = threading.Condition()
        self._version, self._pods, self._events = 1, {}, []  # events: (version, type, pod)
        self._server, self._connections = None, set()

    def set_pod(self, name, ip, ready):
        with self._changed:
            known = name in self._pods
            self._version += 1
            self._pods[name] = {
                "metadata": {"name": name, "namespace": "default", "uid": "uid-" + name, "labels": {"app": "engine"},
                             "resourceVersion": str(self._version)},
                "status": {"podIP": ip, "conditions": [{"type": "Ready", "status": "True" if ready else "False"}]}}
            self._events.append((self._version, "MODIFIED" if known else "ADDED", self._pods[name]))
            self._changed.notify_all()

    def start(self):
        api = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def setup(self):
                super().setup()
                with api._changed:
                    api._connections.add(self.connection)

            def finish(self):
                with api._changed:
                    api._connections.discard(self.connection)
                try:
                    super().finish()
                except OSError:
                    pass

            def do_GET(self):
                url = urllib.parse.urlsplit(self.path)
                query = dict(urllib.parse.parse_qsl(url.query))
                if url.path != "/api/v1/namespaces/default/pods":
                    return self.reply(404, {"kind": "Status", "code": 404})
                try:
                    if query.get("watch") == "1":
                        return self.watch(int(query["resourceVersion"]))
                    self.reply(200, api.listing())
                except OSError:  # it went away, or this server did
                    self.close_connection = True

            def reply(self, status, value):
                body = json.dumps(value).encode()
                self.send_response(status)
                self.send_header("content-type", "application/json")
                self.send_header("content-length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def watch(self, version):
                self.send_response(200)
                self.send_header("content-type", "application/json")
                self.send_header("transfer-encoding", "chunked")
                self.end_headers()
                server = self.server
                while True:
                    events = api.events_after(version, server)
                    if events is None:
                        self.close_connection = True
                        return
                    for version, kind, pod in events:
                        line = json.dumps({"type": kind, "object": pod}).encode() + b"\n"
                        self.wfile.write(b"%x\r\n%s\r\n" % (len(line), line))
                        self.wfile.flush()

            def log_message(self, *words):
                pass

        class Server(http.server.ThreadingHTTPServer):
            daemon_threads = True
            allow_reuse_address = True

            def handle_error(self, request, client_address):
                pass

        self._server = Server((self._host, self._port), Handler)
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()

    def kill(self):
        """Nobody listens any more, and what was connected is cut off."""
        server = self._server
        server.shutdown()
        server.server_close()
        with self._changed:
            self._server = None
            for connection in self._connections:
                try:
                    connection.shutdown(socket.SHUT_RDWR)
                except OSError:
                    pass
            self._changed.notify_all()

    def listing(self):
        with self._changed:
            return {"kind": "PodList", "metadata": {"resourceVersion": str(self._version)}, "items": list(self._pods.values())}

    def events_after(self, version, server):
        """None: this server was killed."""
        with self._changed:
            self._changed.wait_for(lambda: self._server is not server or (self._events and self._events[-1][0] > version))
            if self._server is not server:
                return None
            return [event for event in self._events if event[0] > version]
