"""A vLLM-like publisher out of pyzmq and msgpack alone."""

import struct
import time

import msgpack
import zmq

END_OF_REPLAY = b"\xff" * 8


def stored_map(hashes, parent, tokens, block_size):
    """BlockStored as vLLM 0.24 and later."""
    return {
        "type": "BlockStored", "block_hashes": hashes, "parent_block_hash": parent, "token_ids": tokens,
        "block_size": block_size, "lora_id": None, "medium": "GPU", "lora_name": None,
        "extra_keys": [None] * len(hashes), "group_idx": 0, "kv_cache_spec_kind": "full_attention",
    }


def stored_array(hashes, parent, tokens, block_size):
    """BlockStored as vLLM 0.22."""
    return ["BlockStored", hashes, parent, tokens, block_size, None, "GPU", None, [None] * len(hashes), 0,
            "full_attention", None]


def removed_map(hashes):
    return {"type": "BlockRemoved", "block_hashes": hashes, "medium": "GPU", "group_idx": 0}


class Engine:
    """One rank's PUB and replay sockets on free loopback ports."""

    def __init__(self, context):
        self.events = context.socket(zmq.PUB)
        self.replay = context.socket(zmq.ROUTER)
        for socket in (self.events, self.replay):
            socket.setsockopt(zmq.LINGER, 0)
            socket.bind("tcp://127.0.0.1:*")
        self.batches = []
        self.rank = 0

    def endpoint(self, socket):
        return socket.getsockopt(zmq.LAST_ENDPOINT).decode()

    def publish(self, events):
        payload = msgpack.packb([time.time(), events, self.rank])
        self.events.send_multipart([b"", struct.pack(">Q", len(self.batches)), payload])
        self.batches.append(payload)

    def serve(self):
        """Answers the replay requests that have come."""
        while self.replay.poll(0):
            client, _, start = self.replay.recv_multipart()
            for seq in range(struct.unpack(">Q", start)[0], len(self.batches)):
                self.replay.send_multipart([client, b"", b"", struct.pack(">Q", seq), self.batches[seq]])
            self.replay.send_multipart([client, b"", b"", END_OF_REPLAY, b""])

    def close(self):
        self.events.close()
        self.replay.close()
