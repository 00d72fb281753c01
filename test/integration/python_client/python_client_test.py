"""A gateway and two engines in Python against the real process: what a user of another language sees."""

import argparse
import subprocess
import sys
import time
import unittest

import grpc
import zmq
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

import stubs
from engine import Engine, removed_map, stored_array, stored_map

BLOCK = 4
PATIENCE_S = 120
arguments = None  # of the command line


class PythonClientTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        stubs.generate(arguments.source_dir, arguments.stub_dir)
        from kvroute.v1 import fleet_pb2, fleet_pb2_grpc, router_pb2, router_pb2_grpc
        import reflection_pb2, reflection_pb2_grpc
        cls.fleet_pb2, cls.router_pb2, cls.reflection_pb2 = fleet_pb2, router_pb2, reflection_pb2
        cls.server = subprocess.Popen(
            [arguments.binary, "serve", "--grpc-listen", "127.0.0.1:0", "--http-listen", "127.0.0.1:0"],
            stdout=subprocess.PIPE, text=True)
        line = cls.server.stdout.readline()  # "kvroute: serving grpc=… http=…", or nothing when it ended
        words = dict(word.split("=", 1) for word in line.split() if "=" in word)
        if "grpc" not in words:
            raise RuntimeError("kvroute serve said: %r" % line)
        cls.channel = grpc.insecure_channel(words["grpc"])
        cls.fleet = fleet_pb2_grpc.FleetStub(cls.channel)
        cls.router = router_pb2_grpc.RouterStub(cls.channel)
        cls.reflection = reflection_pb2_grpc.ServerReflectionStub(cls.channel)
        cls.zmq = zmq.Context()
        cls.engines = {}
        for name, stored in (("maps", stored_map), ("arrays", stored_array)):
            engine = cls.engines[name] = Engine(cls.zmq)
            # Both hold blocks 1…4 and 5…8; only one holds what follows.
            engine.publish([stored([11, 12], None, [1, 2, 3, 4, 5, 6, 7, 8], BLOCK)])
            if name == "maps":
                engine.publish([stored([13], 12, [9, 10, 11, 12], BLOCK), stored([99], None, [7, 7, 7, 7], BLOCK)])
                engine.publish([removed_map([99])])
            cls.register(name, engine)
        cls.wait_until_exact()

    @classmethod
    def tearDownClass(cls):
        cls.channel.close()
        for engine in cls.engines.values():
            engine.close()
        cls.zmq.term()
        cls.server.terminate()
        status = cls.server.wait(PATIENCE_S)
        cls.server.stdout.close()
        if status != 0:
            raise RuntimeError("kvroute serve ended with %d" % status)

    @classmethod
    def register(cls, name, engine):
        cls.fleet.Register(cls.fleet_pb2.RegisterRequest(worker=cls.fleet_pb2.Worker(
            worker_id=name, address="http://" + name, model="m", engine="vllm", block_size_tokens=BLOCK,
            event_endpoint=engine.endpoint(engine.events), replay_endpoint=engine.endpoint(engine.replay))), timeout=PATIENCE_S)

    @classmethod
    def wait_until_exact(cls):
        deadline = time.monotonic() + PATIENCE_S
        while True:
            for engine in cls.engines.values():
                engine.serve()
            listed = cls.fleet.List(cls.fleet_pb2.ListRequest(), timeout=PATIENCE_S)
            states = {worker.worker.worker_id: worker.streams[0] for worker in listed.workers}
            if all(states[name].trust == cls.router_pb2.TRUST_EXACT and states[name].next_seq == len(engine.batches)
                   for name, engine in cls.engines.items()):
                return
            if time.monotonic() > deadline:
                raise RuntimeError("not exact: %s" % states)

    def score(self, prompt):
        response = self.router.Score(self.router_pb2.ScoreRequest(model="m", prompt=prompt), timeout=PATIENCE_S)
        return {match.target.worker_id: match for match in response.matches}

    def tokens(self, *tokens):
        return self.router_pb2.Prompt(token_ids=tokens)

    def test_score_says_what_each_engine_holds(self):
        matches = self.score(self.tokens(*range(1, 15)))
        self.assertEqual(matches["maps"].matched_blocks, 3)
        self.assertEqual(matches["maps"].matched_tokens, 12)
        self.assertEqual(matches["maps"].uncached_tokens, 2)
        self.assertEqual(matches["maps"].matched_blocks_by_tier.gpu, 3)
        self.assertEqual(matches["maps"].trust, self.router_pb2.TRUST_EXACT)
        self.assertEqual(matches["arrays"].matched_blocks, 2)
        self.assertEqual(self.score(self.tokens(7, 7, 7, 7))["maps"].matched_blocks, 0, "it was removed")

    def test_score_takes_hashes_that_the_client_computed(self):
        hashes = self.router_pb2.BlockHashes
        local = hashes(kind=hashes.KIND_LOCAL, hashes=[14643705804678351452, 16777012769546811212],
                       block_size_tokens=BLOCK)
        prefix = hashes(kind=hashes.KIND_PREFIX, hashes=[14643705804678351452, 4945711292740353085],
                        block_size_tokens=BLOCK)
        for block_hashes in (local, prefix):
            matches = self.score(self.router_pb2.Prompt(block_hashes=block_hashes))
            self.assertEqual({name: match.matched_blocks for name, match in matches.items()}, {"maps": 2, "arrays": 2})

    def test_route_chooses_the_longer_match_and_its_lease_ends(self):
        route = self.router_pb2.RouteRequest(model="m", prompt=self.tokens(*range(1, 13)), request_id="r1", runner_ups=1)
        response = self.router.Route(route, timeout=PATIENCE_S)
        self.assertEqual(response.chosen.target.worker_id, "maps")
        self.assertEqual(response.chosen.address, "http://maps")
        self.assertEqual(response.chosen.matched_blocks, 3)
        self.assertEqual(response.total_blocks, 3)
        self.assertEqual([match.target.worker_id for match in response.runner_ups], ["arrays"])
        self.assertEqual(self.score(self.tokens(1))["maps"].load.requests_in_flight, 1)

        complete = self.router_pb2.CompleteRequest
        for progress in (complete.PROGRESS_PREFILLED, complete.PROGRESS_ENDED):
            self.assertTrue(self.router.Complete(complete(request_id="r1", progress=progress), timeout=PATIENCE_S).known)
        self.assertFalse(
            self.router.Complete(complete(request_id="r1", progress=complete.PROGRESS_ENDED), timeout=PATIENCE_S).known)
        self.assertEqual(self.score(self.tokens(1))["maps"].load.requests_in_flight, 0)

    def test_errors_name_the_field(self):
        with self.assertRaises(grpc.RpcError) as caught:
            self.router.Route(self.router_pb2.RouteRequest(model="m"), timeout=PATIENCE_S)
        self.assertEqual(caught.exception.code(), grpc.StatusCode.INVALID_ARGUMENT)
        self.assertIn("prompt", caught.exception.details())
        with self.assertRaises(grpc.RpcError) as caught:
            self.fleet.Deregister(self.fleet_pb2.DeregisterRequest(worker_id="nobody"), timeout=PATIENCE_S)
        self.assertEqual(caught.exception.code(), grpc.StatusCode.NOT_FOUND)

    def reflect(self, **request):
        call = self.reflection.ServerReflectionInfo(
            iter([self.reflection_pb2.ServerReflectionRequest(**request)]), timeout=PATIENCE_S)
        return next(iter(call))

    def test_reflection_is_enough_to_make_a_call(self):
        listed = self.reflect(list_services="").list_services_response
        services = {service.name for service in listed.service}
        self.assertLessEqual({"kvroute.v1.Router", "kvroute.v1.Fleet", "grpc.health.v1.Health"}, services)

        # As grpc_cli does: build the messages from what the server says of itself, not from the .proto files.
        pool = descriptor_pool.DescriptorPool()
        for file in self.reflect(file_containing_symbol="kvroute.v1.Router").file_descriptor_response.file_descriptor_proto:
            pool.Add(descriptor_pb2.FileDescriptorProto.FromString(file))
        method = pool.FindServiceByName("kvroute.v1.Router").FindMethodByName("Score")
        factory = message_factory.MessageFactory(pool)
        request_type, response_type = factory.GetPrototype(method.input_type), factory.GetPrototype(method.output_type)
        request = request_type(model="m")
        request.prompt.token_ids.extend(range(1, 13))
        response = self.channel.unary_unary(
            "/kvroute.v1.Router/Score", request_serializer=request_type.SerializeToString,
            response_deserializer=response_type.FromString)(request, timeout=PATIENCE_S)
        self.assertEqual([(m.target.worker_id, m.matched_blocks) for m in response.matches], [("maps", 3), ("arrays", 2)])


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    for name in ("--binary", "--source-dir", "--stub-dir"):
        parser.add_argument(name, required=True)
    arguments, rest = parser.parse_known_args()
    unittest.main(argv=[sys.argv[0]] + rest)
