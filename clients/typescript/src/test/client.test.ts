// The client beside the server that clients/check has started, with engines of a model "m".

import assert from "node:assert/strict";
import test from "node:test";
import { type ServiceError, status } from "@grpc/grpc-js";
import { Client, reasonOf } from "../index.js";

const address = process.env.KVROUTE_ADDRESS ?? "";
const served = { skip: address === "" && "KVROUTE_ADDRESS: no server" };
const request = { model: "m", prompt: { tokenIds: [1, 2, 3, 4] } };

test("a request is routed once, however often it is asked", served, async () => {
  const client = new Client(address, undefined, 60_000);
  try {
    const routed = await client.route(request);
    const again = await client.route({ ...request, requestId: routed.response.requestId });
    assert.equal(again.response.isRepeat, true);
    assert.equal(again.address, routed.address);
    assert.equal(await routed.prefilled(), true);
    assert.equal(await routed.running(), true);
    assert.equal(await routed.end({ prompt_tokens: 4, completion_tokens: 1 }), true);
    assert.equal(await routed.end(), false, "it has ended, and ending twice is harmless");
  } finally {
    client.close();
  }
});

test("a refusal has its reason", served, async () => {
  const client = new Client(address, undefined, 60_000);
  try {
    await assert.rejects(client.route({ ...request, model: "M" }), (error: ServiceError) => {
      assert.equal(error.code, status.NOT_FOUND);
      assert.deepEqual(reasonOf(error), { reason: "UNKNOWN_MODEL", metadata: { model: "M" } });
      return true;
    });
  } finally {
    client.close();
  }
});

test("an error of somebody else has none", () => {
  for (const error of [new Error("x"), undefined, "y"]) assert.deepEqual(reasonOf(error), { reason: "", metadata: {} });
});
