"""The pick: subsets, headers, refusals; the response; serving. Rows are those of README.md."""

import json
import socket
import ssl

import grpc

import wire
from cases_request import chat, full_duplex
from proxy import Stream, check, picked
from suite import Skip, case

HEALTH_NAMES = ("", "liveness", "readiness", "envoy.service.ext_proc.v3.ExternalProcessor", "inference-extension")


def subset_pick(target, subset):
    """The reply to a request that may go to these only."""
    stream = Stream(target.channel, subset=subset)
    stream.headers()
    stream.body(chat(target))
    return stream.hear()


def check_refusal(reply, status):
    check(reply.kind == "immediate", f"not refused: {reply}")
    check(reply.status == status, f"refused with {reply.status}, not {status}")


@case("2.1 pick")
def many_picks(target):
    """50 requests: header and metadata say the same endpoint of the pool each time"""
    for _ in range(50):
        full_duplex(target, [chat(target)])


@case("2.1 subset", needs=("endpoints",))
def subset_of_one(target):
    """each endpoint alone: as a list, as one text"""
    for endpoint in target.endpoints:
        for subset in ([endpoint], endpoint):
            names = picked(subset_pick(target, subset))
            check(names == [endpoint], f"{names} is none of the subset {subset!r}")


@case("2.1 subset", needs=("endpoints",))
def subset_of_all(target):
    """the whole pool with a stranger, comma separated"""
    picked(subset_pick(target, ",".join(["192.0.2.1:1", *target.endpoints])), target.endpoints)


@case("2.1 subset", needs=("endpoints",))
def subset_by_address(target):
    """an item without a port means every port of that address"""
    endpoint = target.endpoints[0]
    host = endpoint.rpartition(":")[0]
    names = picked(subset_pick(target, [host.strip("[]")]))
    check(names[0].rpartition(":")[0] == host, f"{names} is not at {host}")


@case("2.1 subset", needs=("endpoints",))
def subset_port_counts(target):
    """the port of an item counts"""
    check_refusal(subset_pick(target, [target.endpoints[0].rpartition(":")[0] + ":1"]), 503)


@case("2.1 subset")
def subset_of_nobody(target):
    """a subset that is empty, or names nobody of the pool: 503, with a body and without"""
    for subset in ([], "", ["192.0.2.1:1"], ["nonsense"]):
        check_refusal(subset_pick(target, subset), 503)
        stream = Stream(target.channel, subset=subset)
        stream.headers("/v1/models", end=True, method="GET")
        check_refusal(stream.hear(), 503)


@case("2.1 subset")
def subset_when_buffered(target):
    """BUFFERED: 503 in the body's turn or before"""
    stream = Stream(target.channel, request=wire.BUFFERED, response=wire.NONE, without_waiting=False, subset=[])
    stream.headers()
    reply = stream.hear()
    if reply.kind != "immediate":
        stream.body(chat(target))
        reply = stream.hear()
    check_refusal(reply, 503)


@case("2.4 errors")
def json_errors(target):
    """a refusal's body is JSON as OpenAI's clients read it, and says so"""
    reply = subset_pick(target, [])
    check_refusal(reply, 503)
    error = json.loads(reply.body)["error"]
    check(isinstance(error["message"], str) and "type" in error and "code" in error, f"not OpenAI's form: {reply.body!r}")
    check(reply.immediate_headers.get("content-type").startswith("application/json"), "content-type is not application/json")


@case("2.3 client's headers", needs=("endpoints",))
def clients_endpoint(target):
    """a client's own choice of an endpoint does not survive"""
    stream = Stream(target.channel)
    stream.headers(more=[("x-gateway-destination-endpoint", "192.0.2.1:1")])
    stream.body(chat(target))
    reply = stream.hear()
    picked(reply, target.endpoints)
    check("x-gateway-destination-endpoint" not in reply.mutation.removed, "set and removed: which wins depends on the proxy")


@case("2.3 client's headers")
def clients_steering(target):
    """a client's own subset, prefiller, rank and tenant are taken off"""
    steering = ("x-gateway-destination-endpoint-subset", "x-gateway-destination-endpoint-served", "x-prefiller-host-port",
                "x-data-parallel-host-port", "x-llm-d-inference-objective", "x-tenant-id")
    stream = Stream(target.channel)
    stream.headers(more=[(name, "192.0.2.1:1") for name in steering])
    stream.body(chat(target))
    removed = stream.hear().mutation.removed
    kept = [name for name in steering if name not in removed]
    check(not kept, f"reach the engine: {kept}")


@case("1 mutations")
def no_echoed_headers(target):
    """the request's own headers are not set again"""
    stream = Stream(target.channel)
    stream.headers(more=[("authorization", "Bearer x"), ("x-mine", "1")])
    stream.body(chat(target))
    names = [name for name, _ in stream.hear().mutation.set]
    check("authorization" not in names and "x-mine" not in names, f"set: {names}")


@case("2.2 response")
def response_in_every_mode(target):
    """each message of a response is answered in its own kind, in every mode"""
    for mode in (wire.FULL_DUPLEX, wire.STREAMED, wire.BUFFERED, wire.NONE):
        stream, _ = full_duplex(target, [chat(target)], response=mode)
        stream.response()
        check(stream.hear().kind == wire.RESPONSE_HEADERS, "the headers are not answered")
        pieces = [] if mode == wire.NONE else [b"data: 1\n\n", b"data: [DONE]\n\n"]
        for at, piece in enumerate(pieces):
            stream.body(piece, end=at == len(pieces) - 1, kind=wire.RESPONSE_BODY)
            if mode != wire.FULL_DUPLEX:
                check(stream.hear().kind == wire.RESPONSE_BODY, "a piece is not answered")
        if mode == wire.FULL_DUPLEX:
            check(stream.echo(wire.RESPONSE_BODY) == b"".join(pieces), "the response came back changed")
        stream.ended()


@case("2.2 response")
def response_with_trailers(target):
    """trailers of the response, with and without a body before them"""
    stream, _ = full_duplex(target, [chat(target)])
    stream.response()
    stream.hear()
    stream.body(b"x", end=False, kind=wire.RESPONSE_BODY)
    stream.trailers(wire.RESPONSE_TRAILERS)
    check(stream.echo(wire.RESPONSE_BODY, until_end=False, size=1) == b"x", "the response came back changed")
    check(stream.hear().kind == wire.RESPONSE_TRAILERS, "the trailers are not answered")
    stream.ended()


@case("2.7 never close first")
def not_closed_first(target):
    """count_tokens: the stream stays open until the proxy ends it"""
    stream = Stream(target.channel)
    stream.headers("/v1/messages/count_tokens")
    stream.body(chat(target))
    picked(stream.hear(), target.endpoints)
    stream.echo()
    stream.response()
    check(stream.hear().kind == wire.RESPONSE_HEADERS, "closed before the response came: answers are lost")
    stream.body(b'{"input_tokens":1}', kind=wire.RESPONSE_BODY)
    check(stream.echo(wire.RESPONSE_BODY) == b'{"input_tokens":1}', "the response came back changed")


@case("2.2 response")
def large_response(target):
    """a response in pieces of 1 MB comes back whole"""
    stream, _ = full_duplex(target, [chat(target)])
    stream.response()
    stream.hear()
    piece = bytes(range(256)) * 4096
    for at in range(3):
        stream.body(piece, end=at == 2, kind=wire.RESPONSE_BODY)
    check(stream.echo(wire.RESPONSE_BODY) == piece * 3, "the response came back changed")


@case("2.1 served")
def served_elsewhere(target):
    """the metadata of the served endpoint is taken, whatever it says"""
    for served in ("192.0.2.1:1", "nonsense", ""):
        stream, _ = full_duplex(target, [chat(target)])
        stream.response(served=served, end=True)
        check(stream.hear().kind == wire.RESPONSE_HEADERS, "the headers are not answered")
        stream.ended()


@case("2.5 many streams")
def many_streams(target):
    """500 requests open at once"""
    streams = [Stream(target.channel) for _ in range(500)]
    for stream in streams:
        stream.headers()
    for stream in streams:
        stream.body(chat(target))
    for stream in streams:
        picked(stream.hear(), target.endpoints)
        stream.reset()


def health(address_channel, service):
    call = address_channel.unary_unary("/grpc.health.v1.Health/Check")
    return wire.read(call(wire.write([(1, service)] if service else []), timeout=10)).get(1, [0])[-1]


@case("2.1 health")
def health_on_the_main_port(target):
    """all names by which gateways and charts ask are SERVING on the main port"""
    for name in HEALTH_NAMES:
        check(health(target.channel, name) == 1, f"health of {name!r} is not SERVING")


@case("2.1 health", needs=("health",))
def health_on_its_own_port(target):
    """the same on the health port, in plaintext"""
    with grpc.insecure_channel(target.health) as channel:
        for name in HEALTH_NAMES:
            check(health(channel, name) == 1, f"health of {name!r} is not SERVING")


@case("2.5 TLS")
def alpn(target):
    """TLS with ALPN h2"""
    if not target.tls:
        raise Skip("needs --tls")
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    context.set_alpn_protocols(["h2"])
    host, _, port = target.picker.rpartition(":")
    with socket.create_connection((host.strip("[]"), int(port)), timeout=10) as plain:
        with context.wrap_socket(plain) as secure:
            check(secure.selected_alpn_protocol() == "h2", f"ALPN chose {secure.selected_alpn_protocol()}")
