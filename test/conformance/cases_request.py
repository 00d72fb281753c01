"""The request: every body mode, order and fault. Rows are those of README.md."""

import json

import wire
from proxy import Stream, check, picked
from suite import case

CHAT = "/v1/chat/completions"


def chat(target, size=0):
    body = {"model": target.model, "messages": [{"role": "user", "content": "Say hi." + "x" * size}], "max_tokens": 8}
    return json.dumps(body).encode()


def full_duplex(target, pieces, end_by_trailers=False, **more):
    """A request in full duplex; checks the pick and that the body comes back whole."""
    stream = Stream(target.channel, **more)
    stream.headers()
    for at, piece in enumerate(pieces):
        stream.body(piece, end=at == len(pieces) - 1 and not end_by_trailers)
    if end_by_trailers:
        stream.trailers()
    endpoints = picked(stream.hear(), target.endpoints)
    whole = b"".join(pieces)
    check(stream.echo(until_end=not end_by_trailers, size=len(whole)) == whole, "the body came back changed")
    if end_by_trailers:
        check(stream.hear().kind == wire.REQUEST_TRAILERS, "the trailers are not answered")
    return stream, endpoints


@case("2.2 full duplex")
def one_piece(target):
    """a body in one piece"""
    stream, _ = full_duplex(target, [chat(target)])
    stream.ended()


@case("2.2 full duplex")
def many_pieces(target):
    """a body in many pieces, an empty one last, as HTTP/1.1 has it"""
    body = chat(target, 1000)
    full_duplex(target, [body[at:at + 100] for at in range(0, len(body), 100)] + [b""])


@case("2.2 full duplex")
def without_the_flag(target):
    """send_body_without_waiting_for_header_response is not needed"""
    full_duplex(target, [chat(target)], without_waiting=False)


@case("2.2 full duplex")
def response_of_another_mode(target):
    """request in full duplex, response STREAMED, BUFFERED or not at all"""
    for response in (wire.STREAMED, wire.BUFFERED, wire.NONE):
        full_duplex(target, [chat(target)], response=response)


@case("2.2 full duplex")
def says_nothing_of_modes(target):
    """no protocol_config: a proxy before Envoy 1.32"""
    full_duplex(target, [chat(target)], silent_modes=True)


@case("2.2 full duplex")
def empty_body(target):
    """an empty body is one empty piece with its end"""
    full_duplex(target, [b""])


@case("1 trailers")
def ends_by_trailers(target):
    """trailers end a body whose last piece did not say so"""
    stream, _ = full_duplex(target, [chat(target)], end_by_trailers=True)
    stream.ended()


@case("1 trailers")
def trailers_without_body(target):
    """trailers right behind the headers"""
    stream = Stream(target.channel)
    stream.headers()
    stream.trailers()
    picked(stream.hear(), target.endpoints)
    check(stream.hear().kind == wire.REQUEST_TRAILERS, "the trailers are not answered")


@case("1 long pieces")
def a_piece_over_4_mib(target):
    """one piece of 6 MB, beyond gRPC's default limit"""
    full_duplex(target, [chat(target, 6_000_000)])


@case("2.2 late messages")
def a_second_end(target):
    """a second body message with an end, as Envoy 1.35 to 1.37 may deliver, is ignored"""
    stream, _ = full_duplex(target, [chat(target)])
    stream.send(wire.body_message(wire.REQUEST_BODY, b"again", True))
    stream.response()
    check(stream.hear().kind == wire.RESPONSE_HEADERS, "something else than the response's headers was answered")


@case("2.2 buffered")
def buffered(target):
    """BUFFERED and BUFFERED_PARTIAL: headers at once, the pick in the body's reply"""
    for mode in (wire.BUFFERED, wire.BUFFERED_PARTIAL):
        stream = Stream(target.channel, request=mode, response=wire.STREAMED, without_waiting=False)
        stream.headers()
        headers = stream.hear()
        check(headers.kind == wire.REQUEST_HEADERS, "the headers are not answered first")
        stream.body(chat(target))
        body = stream.hear()
        picked(body, target.endpoints)
        check(body.body_mutation is None, "a body of another length than content-length is a 500")
        stream.ended()


@case("2.2 buffered")
def buffered_with_trailers(target):
    """BUFFERED with trailers: the one body message does not say its end"""
    stream = Stream(target.channel, request=wire.BUFFERED, response=wire.NONE, without_waiting=False)
    stream.headers()
    stream.hear()
    stream.body(chat(target), end=False)
    picked(stream.hear(), target.endpoints)
    stream.trailers()
    check(stream.hear().kind == wire.REQUEST_TRAILERS, "the trailers are not answered")


@case("2.2 buffered")
def cut_body(target):
    """BUFFERED_PARTIAL cuts the body: picked for all the same"""
    stream = Stream(target.channel, request=wire.BUFFERED_PARTIAL, response=wire.NONE, without_waiting=False)
    stream.headers()
    stream.hear()
    stream.body(chat(target, 5000)[:1000], end=False)
    picked(stream.hear(), target.endpoints)


@case("2.2 buffered")
def after_413(target):
    """after a 413 of the proxy the response comes without any body"""
    stream = Stream(target.channel, request=wire.BUFFERED, response=wire.NONE, without_waiting=False)
    stream.headers()
    stream.hear()
    stream.response("413", end=True)
    check(stream.hear().kind == wire.RESPONSE_HEADERS, "the response's headers are not answered")
    stream.ended()


@case("1 STREAMED")
def streamed(target):
    """STREAMED: one reply for every piece, in order, and a pick in the headers'"""
    for without_waiting in (True, False):
        stream = Stream(target.channel, request=wire.STREAMED, response=wire.STREAMED, without_waiting=without_waiting)
        stream.headers()
        if not without_waiting:
            picked(stream.hear(), target.endpoints)
        for at in range(3):
            stream.body(b"{", end=at == 2)
        if without_waiting:
            picked(stream.hear(), target.endpoints)
        for _ in range(3):
            check(stream.hear().kind == wire.REQUEST_BODY, "a piece is not answered")
        stream.ended()


@case("1 NONE")
def none(target):
    """NONE: the headers' reply carries the pick"""
    stream = Stream(target.channel, request=wire.NONE, response=wire.NONE, without_waiting=False)
    stream.headers()
    picked(stream.hear(), target.endpoints)
    stream.ended()


@case("1 observability")
def observability(target):
    """observability_mode: nothing is answered"""
    stream = Stream(target.channel, silent_modes=True)
    stream.send(wire.headers_message(wire.REQUEST_HEADERS, [(":path", CHAT)]) + wire.OBSERVE)
    stream.ended()


@case("2.2 headers only")
def headers_only(target):
    """a request without a body is picked for at once, in every mode"""
    for mode in (wire.FULL_DUPLEX, wire.BUFFERED, wire.STREAMED, wire.NONE):
        stream = Stream(target.channel, request=mode)
        stream.headers("/v1/models", end=True, method="GET")
        reply = stream.hear()
        check(reply.kind == wire.REQUEST_HEADERS, f"{wire.MODE_NAMES[mode]}: answered by {reply}")
        picked(reply, target.endpoints)
        stream.ended()


@case("1 header values")
def old_header_values(target):
    """header values in `value`, as old proxies send them"""
    stream = Stream(target.channel)
    stream.headers(use_value=True)
    stream.body(chat(target))
    picked(stream.hear(), target.endpoints)


@case("2.4 bad bodies")
def bad_bodies(target):
    """bodies that are no JSON, deep, truncated, binary: a pick, or a 400 with JSON"""
    bad = [b"not json", b"[" * 100_000, b'{"model":', b"\x00\xff\xfe", b'{"model":7,"messages":"x"}', b'{"model":"\\ud800"}',
           b"\x1f\x8b\x08\x00" + b"x" * 100, b"{}", b'{"messages":[{"role":"user","content":"no model"}]}']
    for body in bad:
        stream = Stream(target.channel)
        stream.headers()
        stream.body(body)
        reply = stream.hear()
        if reply.kind == "immediate":
            check(reply.status == 400, f"{body[:20]!r} is refused with {reply.status}")
            json.loads(reply.body)["error"]["message"]
            continue
        picked(reply, target.endpoints)
        check(stream.echo() == body, f"{body[:20]!r} came back changed")


@case("2.3 paths")
def paths(target):
    """other APIs, unknown paths, queries, no path at all"""
    for path in ("/v1/completions?x=1", "/v1/embeddings", "/v1/messages/count_tokens", "/some/prefix/v1/chat/completions", "/", ""):
        stream = Stream(target.channel)
        stream.headers(path)
        stream.body(chat(target))
        picked(stream.hear(), target.endpoints)
        stream.echo()


@case("2.2 the client leaves")
def resets(target):
    """a reset at any moment leaves the picker well"""
    for steps in range(4):
        stream = Stream(target.channel)
        if steps > 0:
            stream.headers()
        if steps > 1:
            stream.body(b'{"model"', end=False)
        if steps > 2:
            stream.body(b":1}")
        stream.reset()
    full_duplex(target, [chat(target)])
