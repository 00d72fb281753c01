"""A proxy as Envoy 1.40 is one: it sends the messages of an HTTP request and takes only the replies that Envoy would take."""

import queue
import threading

import grpc

import wire

METHOD = "/envoy.service.ext_proc.v3.ExternalProcessor/Process"
FORBIDDEN = (":authority", ":method", ":scheme", "host")
patience = 10  # seconds for a reply; a picker that needs longer hangs a request


class Broken(AssertionError):
    """The picker did what Envoy would not take, or did not do what it must."""


def check(condition, text):
    if not condition:
        raise Broken(text)


class Stream:
    """One HTTP request. `request` and `response` are body modes; None: the proxy does not say (before Envoy 1.32)."""

    def __init__(self, channel, request=wire.FULL_DUPLEX, response=wire.FULL_DUPLEX, without_waiting=True, subset=None,
                 silent_modes=False):
        self.request_mode, self.response_mode = request, response
        self._first = [] if silent_modes else wire.modes(request, response, without_waiting)
        self._always = [] if subset is None else wire.metadata(
            {"envoy.lb.subset_hint": {"x-gateway-destination-endpoint-subset": subset}})
        self._out, self._in = queue.Queue(), queue.Queue()
        self._call = channel.stream_stream(METHOD)(iter(self._out.get, None))
        self._unanswered = []  # kinds, in the order they were sent
        self._echoed = {wire.REQUEST_BODY: False, wire.RESPONSE_BODY: False}  # the end was said
        threading.Thread(target=self._listen, daemon=True).start()

    def _listen(self):
        try:
            for reply in self._call:
                self._in.put(reply)
            self._in.put(None)
        except grpc.RpcError as error:
            self._in.put(error)

    # What the proxy says.
    def send(self, fields):
        """Fields of a ProcessingRequest, as they are."""
        self._out.put(wire.write(fields + self._first + self._always))
        self._first = []

    def headers(self, path="/v1/chat/completions", more=(), end=False, use_value=False, method="POST"):
        self._unanswered.append(wire.REQUEST_HEADERS)
        self.send(wire.headers_message(wire.REQUEST_HEADERS, [(":method", method), (":path", path), *more], end, use_value))

    def body(self, data, end=True, kind=wire.REQUEST_BODY):
        self._unanswered.append(kind)
        self.send(wire.body_message(kind, data, end))

    def trailers(self, kind=wire.REQUEST_TRAILERS):
        self._unanswered.append(kind)
        self.send([(kind, [(1, wire.header_map([("x-checksum", "1")]))])])

    def response(self, status="200", end=False, served=None):
        self._unanswered.append(wire.RESPONSE_HEADERS)
        more = [] if served is None else wire.metadata({"envoy.lb": {"x-gateway-destination-endpoint-served": served}})
        self.send(wire.headers_message(wire.RESPONSE_HEADERS, [(":status", status)], end) + more)

    # What it hears.
    def hear(self):
        """The next reply; raises Broken when Envoy would not take it."""
        reply = self._next()
        check(reply is not None, "the picker closed the stream instead of answering")
        if reply.kind == "immediate":
            return reply
        if reply.kind in (wire.REQUEST_BODY, wire.RESPONSE_BODY) and self._mode(reply.kind) == wire.FULL_DUPLEX:
            self._take_piece(reply)
        else:
            check(reply.kind in self._unanswered, f"spurious reply: {reply}")
            earlier = self._unanswered[:self._unanswered.index(reply.kind)]
            same = [kind for kind in earlier if kind % 2 == reply.kind % 2]
            check(not [kind for kind in same if kind != wire.REQUEST_BODY and kind != wire.RESPONSE_BODY],
                  f"answered before what came first: {reply}")
            self._unanswered.remove(reply.kind)
            check(reply.body_mutation is None or reply.streamed is None, f"streamed_response outside full duplex: {reply}")
        self._check_mutation(reply)
        return reply

    def _mode(self, kind):
        return self.request_mode if kind == wire.REQUEST_BODY else self.response_mode

    def _take_piece(self, reply):
        headers = reply.kind - 2
        check(headers not in self._unanswered, f"a body before its headers, which Envoy calls spurious: {reply}")
        check(reply.streamed is not None, f"in full duplex a body must come back as streamed_response: {reply}")
        check(not self._echoed[reply.kind], f"a piece after the end of the body: {reply}")
        self._echoed[reply.kind] = bool(reply.streamed.get(2, [0])[-1])

    def _check_mutation(self, reply):
        for option in reply.mutation.options:
            name = wire.first(option, 1, 1).decode()
            check(3 in wire.read(option[1][-1]), f"{name}: only raw_value counts, value alone sets an empty header")
            check(2 not in option, f"{name}: append true leaves the client's own value first")
            check(name.lower() not in FORBIDDEN and not name.startswith("x-envoy-"), f"{name}: Envoy's rules forbid it")
        check(9 not in reply.fields, "mode_override: ignored or refused")

    def _next(self):
        try:
            reply = self._in.get(timeout=patience)
        except queue.Empty:
            raise Broken(f"no reply in {patience} s: the request hangs") from None
        if isinstance(reply, grpc.RpcError):
            raise Broken(f"the stream ended with {reply.code().name}, which fails the request: {reply.details()}")
        return None if reply is None else wire.Reply(reply)

    def echo(self, kind=wire.REQUEST_BODY, until_end=True, size=None):
        """The body that comes back, to its end or to so many bytes."""
        data = b""
        while (until_end and not self._echoed[kind]) or (size is not None and len(data) < size):
            reply = self.hear()
            check(reply.kind == kind, f"{wire.NAMES[kind]} is not whole yet: {reply}")
            data += reply.streamed.get(1, [b""])[-1]
        self._unanswered = [waiting for waiting in self._unanswered if waiting != kind]
        return data

    def ended(self):
        """Nothing more comes; the picker ends its side in order."""
        self._out.put(None)
        reply = self._next()
        check(reply is None, f"nobody asked for {reply}")

    def reset(self):
        self._call.cancel()
        self._out.put(None)

    def drain(self):
        """Until the picker ends the stream by itself."""
        check(self._next() is None, "a reply where none may come")


def picked(reply, endpoints=None):
    """The endpoints that a reply names, checked."""
    check(reply.kind != "immediate", f"refused with {reply.status}: {reply.body[:200]!r}")
    check(reply.pick, f"no x-gateway-destination-endpoint in {reply}")
    check(reply.pick == reply.metadata_pick, f"header says {reply.pick!r}, metadata {reply.metadata_pick!r}")
    names = reply.pick.split(",")
    for name in names:
        host, _, port = name.rpartition(":")
        check(host and port.isdigit(), f"{name!r} is no ip:port")
        check(":" not in host or host.startswith("["), f"{name!r}: IPv6 stands in brackets")
        check(endpoints is None or name in endpoints, f"{name} is none of {endpoints}")
    return names
