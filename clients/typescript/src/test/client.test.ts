// The client beside the server that clients/check has started, with engines of a model "m".

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import test from "node:test";
import { type ServiceError, status } from "@grpc/grpc-js";
import { Client, fleetApi, reasonOf, type Token } from "../index.js";

const address = process.env.KVROUTE_ADDRESS ?? "";
const served = { skip: address === "" && "KVROUTE_ADDRESS: no server" };
const request = { model: "m", prompt: { tokenIds: [1, 2, 3, 4] } };

const token = () => readFileSync(process.env.KVROUTE_TOKEN_FILE ?? "", "utf8").trim();

// How many workers the server lists to who shows the token.
function listed(client: Client): Promise<number> {
  return new Promise((resolve, reject) => {
    client.fleet.list(fleetApi.ListRequest.create(), (error, answer) => error ? reject(error) : resolve(answer.workers.length));
  });
}

test("a request is routed once, however often it is asked", served, async () => {
  const client = new Client(address, undefined, 60_000, token);
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
  const client = new Client(address, undefined, 60_000, token);
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

test("a token belongs to each call", served, async () => {
  const given = ["0123456789-another-token"];
  const tokens: Token[] = [token(), () => given.shift() ?? token()];
  const [constant, renewed] = tokens.map((one) => new Client(address, undefined, 60_000, one));
  try {
    assert.equal(await listed(constant), 3);
    await assert.rejects(listed(renewed), (error: ServiceError) => error.code === status.UNAUTHENTICATED);
    assert.equal(await listed(renewed), 3);
  } finally {
    constant.close();
    renewed.close();
  }
});

test("without a token it is refused", served, async () => {
  const client = new Client(address, undefined, 60_000);
  try {
    await assert.rejects(client.route(request), (error: ServiceError) => {
      assert.deepEqual(reasonOf(error), { reason: "UNAUTHENTICATED", metadata: { roles: "route" } });
      return true;
    });
  } finally {
    client.close();
  }
});

test("an error of somebody else has none", () => {
  for (const error of [new Error("x"), undefined, "y"]) assert.deepEqual(reasonOf(error), { reason: "", metadata: {} });
});
