"""A connection to kvroute, and a request that has a target."""

import json
import uuid

import grpc

from kvroute.rpc import error_pb2
from kvroute.v1 import fleet_pb2_grpc, router_pb2, router_pb2_grpc

# Every call may be asked again: Route is answered with the same target by its request id, and the others change nothing or
# the same. UNAVAILABLE alone is what a retry can mend.
_SERVICE_CONFIG = json.dumps({"methodConfig": [{
    "name": [{"service": "kvroute.v1.Router"}, {"service": "kvroute.v1.Fleet"}],
    "retryPolicy": {"maxAttempts": 4, "initialBackoff": "0.05s", "maxBackoff": "1s", "backoffMultiplier": 2,
                    "retryableStatusCodes": ["UNAVAILABLE"]}}]})


class Client:
    """May be used by many threads at once. Without `credentials` it speaks in plain text, which a server accepts on loopback."""

    def __init__(self, address, credentials=None, timeout_s=10):
        options = [("grpc.service_config", _SERVICE_CONFIG), ("grpc.enable_retries", 1)]
        if credentials is None:
            self.channel = grpc.insecure_channel(address, options)
        else:
            self.channel = grpc.secure_channel(address, credentials, options)
        self.timeout_s = timeout_s
        self.router = router_pb2_grpc.RouterStub(self.channel)
        self.fleet = fleet_pb2_grpc.FleetStub(self.channel)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        self.channel.close()

    def route(self, model="", token_ids=(), **fields):
        """A Routed: use it in a `with`, whose end is the request's. `fields` are RouteRequest's; a request without an id is
        given one, so that asking again is harmless. A refusal is a grpc.RpcError: see reason_of."""
        fields.setdefault("prompt", router_pb2.Prompt(token_ids=token_ids))
        if not fields.get("request_id"):
            fields["request_id"] = "py-" + uuid.uuid4().hex
        request = router_pb2.RouteRequest(model=model, **fields)
        return Routed(self, self.router.Route(request, timeout=self.timeout_s))


class Routed:
    """A request that has a target, and counts as load there until its end."""

    def __init__(self, client, response):
        self._client = client
        self._usage = {}
        self.response = response
        self.address = response.chosen.address

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.end()

    def prefilled(self):
        """The first token is out."""
        return self._complete(router_pb2.CompleteRequest.PROGRESS_PREFILLED)

    def running(self):
        """The request is still under way: its lease gets its whole time limit anew."""
        return self._complete(router_pb2.CompleteRequest.PROGRESS_RUNNING)

    def served(self, usage):
        """What the engine says of the request: `usage` of an OpenAI answer. Told with the end."""
        details = usage.get("prompt_tokens_details") or {}
        said = {"prompt_tokens": usage.get("prompt_tokens"), "output_tokens": usage.get("completion_tokens"),
                "cached_tokens": details.get("cached_tokens")}
        self._usage = {name: count for name, count in said.items() if count is not None}

    def end(self):
        """Finished, failed or cancelled. Twice is harmless. False: there was no such lease any more."""
        return self._complete(router_pb2.CompleteRequest.PROGRESS_ENDED, **self._usage)

    def _complete(self, progress, **usage):
        request = router_pb2.CompleteRequest(request_id=self.response.request_id, progress=progress, **usage)
        return self._client.router.Complete(request, timeout=self._client.timeout_s).known


def reason_of(error):
    """(reason, metadata) of a refusal, e.g. ("UNKNOWN_MODEL", {"model": "m"}); ("", {}) where there is none. docs/api.md
    lists the reasons."""
    trailers = error.trailing_metadata() if hasattr(error, "trailing_metadata") else None
    for name, value in trailers or ():
        if name != "grpc-status-details-bin":
            continue
        status = error_pb2.Status.FromString(value)
        for detail in status.details:
            if detail.type_url.endswith("/google.rpc.ErrorInfo"):
                info = error_pb2.ErrorInfo.FromString(detail.value)
                return info.reason, dict(info.metadata)
    return "", {}
