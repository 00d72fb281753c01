#!/usr/bin/env python3
"""Writes the seed corpus of decoder_fuzz: one small payload of every format and of every kind of damage."""

import pathlib
import sys

import msgpack

DIGEST = bytes(range(32))
TOKENS = [5, 200, 3000, 70000]
STORED = {"type": "BlockStored", "block_hashes": [2**63 + 7], "parent_block_hash": None, "token_ids": TOKENS,
          "block_size": 4, "lora_id": None, "medium": "GPU", "lora_name": None}
EXTRA_KEYS = [["sql", ["image", -4], "salt", DIGEST, 3, ["lora", "a", "b"]]]


def stored(**changes):
    return {**STORED, **changes}


def positional(*after_medium):
    return ["BlockStored", [7], None, TOKENS, 4, None, "GPU", *after_medium]


SEEDS = {
    "vllm_090": [1.5, [["BlockStored", [-5, 6], None, TOKENS + TOKENS, 4, 3], ["BlockRemoved", [-5]], ["AllBlocksCleared"]]],
    "vllm_positional": [1.5, [positional("sql", EXTRA_KEYS, 0, "full_attention", None)], 0],
    "vllm_bytes": [1.5, [stored(block_hashes=[DIGEST], parent_block_hash=DIGEST[::-1])], 1],
    "vllm_map": [1.5, [stored(extra_keys=EXTRA_KEYS, lora_name="sql", group_idx=0, kv_cache_spec_kind="full_attention")], 0],
    "vllm_window": [1.5, [stored(token_ids=TOKENS * 3, group_idx=1, kv_cache_spec_kind="sliding_window",
                                 kv_cache_spec_sliding_window=4)], 0],
    "vllm_placeholder": [1.5, [stored(token_ids=[], block_size=0, medium="CPU")], 0],
    "vllm_lookahead": [1.5, [stored(extra_keys=EXTRA_KEYS, lookahead_token_ids=[[5]])], 0],
    "sglang_metadata": [1.5, [positional({"cache_salt": "tenant"})], 0],
    "sglang_map": [1.5, [stored(block_hashes=[-5], cache_salt="tenant", medium="CPU_PINNED")], None],
    "sglang_bigram": [1.5, [stored(token_ids=[[1, 2], [2, 3], [3, 4], [4, 70000]])], 0],
    "trtllm_bridge": [1.5, [{"type": "BlockRemoved", "block_hashes": [-5]}, {"type": "AllBlocksCleared"}], 0],
    "mooncake": [1757500000250, [{"event_type": "stored", "seq_hashes": [9], "parent_hash": None, "token_ids": None,
                                  "block_size": None, "medium": "CPU"}], 0],
    "llmd_simulator": [1.5, [["BlockStored", [7], 0, TOKENS, 0, None, "GPU", None, None]], 0],
    "type_last": [1.5, [dict(reversed(STORED.items()))], 0],
    "unknown": [1.5, [["Future", 1], stored(future={"x": [1, {"y": None}]}), None, {}, {7: 8}], 0, "later"],
    "bad_fields": [1.5, [stored(block_hashes=[b"short"]), stored(token_ids=[-1]), stored(medium=1),
                         stored(parent_block_hash="x"), stored(group_idx=-1), stored(block_size=-1)], 0],
    "self_parent": [1.5, [stored(parent_block_hash=2**63 + 7), stored(token_ids=TOKENS[:3])], 0],
    "empty": [1.5, [], 0],
}

RAW = {
    "wide_heads": bytes.fromhex("dd00000003cb3ff8000000000000dc000192db0000000c") + b"BlockRemoved"
                  + bytes.fromhex("dd00000001d3ffffffffffffffff00"),
    "huge_claim": bytes.fromhex("93cb3ff8000000000000ddffffffff"),
    "nested": bytes.fromhex("93cb3ff800000000000091" + "91" * 60 + "c000"),
    "duplicate_key": bytes.fromhex("93cb3ff80000000000009183a474797065ac") + b"BlockRemoved"
                     + (b"\xacblock_hashes\x91\x01") * 2 + b"\x00",
}


def main():
    folder = pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else pathlib.Path(__file__).parent / "corpus" / "decoder")
    folder.mkdir(parents=True, exist_ok=True)
    for name, value in SEEDS.items():
        (folder / name).write_bytes(msgpack.packb(value, use_bin_type=True))
    for name, payload in RAW.items():
        (folder / name).write_bytes(payload)


main()
