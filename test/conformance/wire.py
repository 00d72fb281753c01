"""The few messages of envoy.service.ext_proc.v3 as bytes, written and read by hand: no generated code is needed.

A message to be written is a list of (field, value): an int is a varint, text and bytes are themselves, a list is a message.
A message that was read is {field: [value, ...]}, each value an int or bytes.
"""


def varint(number):
    out = bytearray()
    while number >= 0x80:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    out.append(number)
    return bytes(out)


def write(fields):
    out = bytearray()
    for field, value in fields:
        if isinstance(value, bool) or isinstance(value, int):
            out += varint(field << 3) + varint(int(value))
            continue
        if isinstance(value, str):
            value = value.encode()
        elif isinstance(value, list):
            value = write(value)
        out += varint(field << 3 | 2) + varint(len(value)) + value
    return bytes(out)


def read(data):
    """Raises ValueError when the bytes are no message."""
    fields, at = {}, 0

    def number():
        nonlocal at
        value = shift = 0
        while True:
            if at >= len(data):
                raise ValueError("ends within a number")
            byte = data[at]
            at += 1
            value |= (byte & 0x7F) << shift
            shift += 7
            if byte < 0x80:
                return value

    while at < len(data):
        tag = number()
        kind = tag & 7
        if kind == 0:
            value = number()
        elif kind in (1, 2, 5):
            length = {1: 8, 5: 4}.get(kind) or (number() if kind == 2 else 0)
            value = data[at:at + length]
            at += length
            if at > len(data):
                raise ValueError("ends within a field")
        else:
            raise ValueError(f"wire type {kind}")
        fields.setdefault(tag >> 3, []).append(value)
    return fields


def first(fields, *path, default=b""):
    """fields[path[0]][0] as a message, and so on; the last as it is."""
    for step in path[:-1]:
        fields = read(fields.get(step, [b""])[-1])
    return fields.get(path[-1], [default])[-1]


# Requests: one field of the oneof, and what may stand beside it.
REQUEST_HEADERS, RESPONSE_HEADERS, REQUEST_BODY, RESPONSE_BODY, REQUEST_TRAILERS, RESPONSE_TRAILERS = 2, 3, 4, 5, 6, 7
NAMES = {2: "request_headers", 3: "response_headers", 4: "request_body", 5: "response_body", 6: "request_trailers",
         7: "response_trailers"}
# Replies are numbered one lower; 7 is the immediate response.
IMMEDIATE = 7

NONE, STREAMED, BUFFERED, BUFFERED_PARTIAL, FULL_DUPLEX = range(5)
MODE_NAMES = ("NONE", "STREAMED", "BUFFERED", "BUFFERED_PARTIAL", "FULL_DUPLEX_STREAMED")


def header_map(headers, use_value=False):
    return [(1, [(1, name), (2 if use_value else 3, value)]) for name, value in headers]


def headers_message(kind, headers, end_of_stream=False, use_value=False):
    return [(kind, [(1, header_map(headers, use_value))] + ([(3, 1)] if end_of_stream else []))]


def body_message(kind, body, end_of_stream):
    return [(kind, ([(1, body)] if body else []) + ([(2, 1)] if end_of_stream else []))]


def struct(values):
    """google.protobuf.Struct of texts, lists of texts, numbers and None."""
    def value_of(value):
        if value is None:
            return [(1, 0)]
        if isinstance(value, list):
            return [(6, [(1, value_of(item)) for item in value])]
        return [(3, value)]
    return [(1, [(1, key), (2, value_of(value))]) for key, value in values.items()]


def metadata(namespaces):
    return [(8, [(1, [(1, name), (2, struct(values))]) for name, values in namespaces.items()])]


def modes(request, response, without_waiting=False):
    return [(11, ([(1, request)] if request else []) + ([(2, response)] if response else []) +
             ([(3, 1)] if without_waiting else []))]


OBSERVE = [(10, 1)]


class Mutation:
    """What a reply does to the headers: set = [(name, value, fields of the option)], removed = [name]."""

    def __init__(self, data):
        fields = read(data)
        self.options = [read(option) for option in fields.get(1, [])]
        self.set = [(first(option, 1, 1).decode(), first(option, 1, 3).decode()) for option in self.options]
        self.removed = [name.decode() for name in fields.get(2, [])]

    def get(self, name):
        return next((value for key, value in self.set if key.lower() == name), "")


class Reply:
    """One ProcessingResponse. kind is the number of the request it answers, or "immediate"."""

    def __init__(self, data):
        self.data = data
        self.fields = read(data)
        kinds = [field for field in self.fields if 1 <= field <= 7]
        if len(kinds) != 1:
            raise ValueError(f"a reply has {len(kinds)} kinds: {data.hex()}")
        self.kind = "immediate" if kinds[0] == IMMEDIATE else kinds[0] + 1
        self.content = read(self.fields[kinds[0]][-1])
        self.common = read(self.content.get(1, [b""])[-1]) if self.kind in (2, 3, 4, 5) else {}
        self.mutation = Mutation(self.common.get(2, [b""])[-1])
        self.body_mutation = read(self.common[3][-1]) if 3 in self.common else None
        self.streamed = read(self.body_mutation[3][-1]) if self.body_mutation and 3 in self.body_mutation else None

    def __str__(self):
        return f"{NAMES.get(self.kind, self.kind)} ({self.data[:200].hex()})"

    @property
    def pick(self):
        return self.mutation.get("x-gateway-destination-endpoint")

    @property
    def metadata_pick(self):
        lb = [read(entry) for entry in read(self.fields.get(8, [b""])[-1]).get(1, [])]
        for entry in lb:
            if entry.get(1, [b""])[-1] != b"envoy.lb":
                continue
            for value in read(first(entry, 2, 5)).get(1, []):
                value = read(value)
                if value[1][-1] == b"x-gateway-destination-endpoint":
                    return first(value, 2, 3).decode()
        return ""

    @property
    def status(self):
        """Of an immediate response."""
        return first(self.content, 1, 1, default=0)

    @property
    def body(self):
        """Of an immediate response."""
        return self.content.get(3, [b""])[-1]

    @property
    def immediate_headers(self):
        return Mutation(self.content.get(2, [b""])[-1])
