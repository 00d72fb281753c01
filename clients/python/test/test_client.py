"""The client beside the server that clients/check has started, with engines of a model "m"."""

import os
import pathlib
import unittest

import grpc

import kvroute
from kvroute.v1 import fleet_pb2, router_pb2

ADDRESS = os.environ.get("KVROUTE_ADDRESS")
TOKEN_FILE = pathlib.Path(os.environ.get("KVROUTE_TOKEN_FILE", ""))


@unittest.skipUnless(ADDRESS, "KVROUTE_ADDRESS: no server")
class ClientTest(unittest.TestCase):
    def setUp(self):
        self.client = self.client_with(lambda: TOKEN_FILE.read_text().strip())

    def client_with(self, token):
        client = kvroute.Client(ADDRESS, timeout_s=60, token=token)
        self.addCleanup(client.close)
        return client

    def test_a_request_is_routed_once_however_often_it_is_asked(self):
        with self.client.route("m", [1, 2, 3, 4]) as routed:
            again = self.client.route("m", [1, 2, 3, 4], request_id=routed.response.request_id)
            self.assertTrue(again.response.is_repeat)
            self.assertEqual(again.address, routed.address)
            self.assertTrue(routed.prefilled())
            self.assertTrue(routed.running())
            routed.served({"prompt_tokens": 4, "completion_tokens": 1})
        self.assertFalse(routed.end(), "it has ended, and ending twice is harmless")

    def test_a_refusal_has_its_reason(self):
        with self.assertRaises(grpc.RpcError) as raised:
            self.client.route("M", [1, 2, 3, 4])
        self.assertEqual(raised.exception.code(), grpc.StatusCode.NOT_FOUND)
        self.assertEqual(kvroute.reason_of(raised.exception), ("UNKNOWN_MODEL", {"model": "M"}))

    def test_a_token_is_text_or_what_gives_it_and_belongs_to_every_call(self):
        token = TOKEN_FILE.read_text().strip()
        client = self.client_with(token)
        self.assertTrue(client.fleet.List(fleet_pb2.ListRequest(), timeout=60).workers)
        answers = client.router.RouteStream(iter([router_pb2.RouteRequest(model="m")]), timeout=60)
        self.assertIn("prompt", next(answers).error.message)  # answered, and not refused
        answers.cancel()
        given = iter(["0123456789-another-token", token])
        renewed = self.client_with(lambda: next(given))
        with self.assertRaises(grpc.RpcError) as raised:
            renewed.route("m", [1, 2, 3, 4])
        self.assertEqual(raised.exception.code(), grpc.StatusCode.UNAUTHENTICATED)
        self.assertTrue(renewed.fleet.List(fleet_pb2.ListRequest(), timeout=60).workers)

    def test_without_a_token_it_is_refused(self):
        with self.assertRaises(grpc.RpcError) as raised:
            self.client_with(None).route("m", [1, 2, 3, 4])
        self.assertEqual(kvroute.reason_of(raised.exception), ("UNAUTHENTICATED", {"roles": "route"}))


class ReasonTest(unittest.TestCase):
    def test_an_error_of_somebody_else_has_none(self):
        self.assertEqual(kvroute.reason_of(ValueError("x")), ("", {}))


if __name__ == "__main__":
    unittest.main()
