"""The client beside the server that clients/check has started, with engines of a model "m"."""

import os
import unittest

import grpc

import kvroute

ADDRESS = os.environ.get("KVROUTE_ADDRESS")


@unittest.skipUnless(ADDRESS, "KVROUTE_ADDRESS: no server")
class ClientTest(unittest.TestCase):
    def setUp(self):
        self.client = kvroute.Client(ADDRESS, timeout_s=60)
        self.addCleanup(self.client.close)

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


class ReasonTest(unittest.TestCase):
    def test_an_error_of_somebody_else_has_none(self):
        self.assertEqual(kvroute.reason_of(ValueError("x")), ("", {}))


if __name__ == "__main__":
    unittest.main()
