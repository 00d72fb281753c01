"""The tree keeps the link rule, and the checker finds each kind of violation when one is planted."""

import unittest

import link_rule
import rules


def problems(path, *includes):
    text = "".join(f"#include {include}\n" for include in includes)
    return [problem for _, problem in link_rule.problems_of_file(path, text)]


class TreeTest(unittest.TestCase):
    def test_nothing_breaks_a_rule_but_the_listed_exceptions(self):
        found = link_rule.problems_of_tree()
        self.assertEqual([problem for key, problem in sorted(found.items()) if key not in rules.EXCEPTIONS], [])

    def test_every_exception_is_still_needed(self):
        needless = rules.EXCEPTIONS - set(link_rule.problems_of_tree())
        self.assertEqual(needless, set(), "delete these lines from EXCEPTIONS in test/structure/rules.py")

    def test_every_facade_exists(self):
        paths = {path for path, _ in link_rule.tree()}
        self.assertEqual([facade for facade in rules.FACADES if facade not in paths], [])

    def test_all_of_the_tree_is_read(self):
        paths = {path for path, _ in link_rule.tree()}
        for path in ("indexer/base/check.h", "indexer/index/runs/run.h", "router/edge/page/build_info.h.in", "tools/main.cc",
                     "test/support/vectors.h", "router/serve/CMakeLists.txt"):
            self.assertIn(path, paths)
        self.assertGreater(sum(path.endswith(".cc") for path in paths), 200)


class PlantedIncludeTest(unittest.TestCase):
    def assertBreaks(self, text, path, *includes):
        found = problems(path, *includes)
        self.assertEqual(len(found), len(includes), found)
        for problem in found:
            self.assertIn(text, problem)

    def test_upwards(self):
        self.assertBreaks("not below indexer/base", "indexer/base/clock.h", '"indexer/event/event.h"')
        self.assertBreaks("not below indexer/index", "indexer/index/run.h", '"indexer/stream/stream.h"')
        self.assertBreaks("not below indexer/stream", "indexer/stream/stream.h", '"indexer/source/event_source.h"')
        self.assertBreaks("not below router/route", "router/route/query.cc", '"router/edge/page/page.h"', '"router/serve/a.h"')
        self.assertBreaks("not below indexer/event", "indexer/event/event.cc", '"router/policy/policy.h"', '"tools/load/a.h"')

    def test_sideways(self):
        self.assertBreaks("not below router/policy", "router/policy/policy.cc", '"router/load/load_tracker.h"')
        self.assertBreaks("not below indexer/telemetry", "indexer/telemetry/exposition.cc", '"indexer/index/prefix_index.h"')
        self.assertBreaks("not below router/edge/page", "router/edge/page/page.cc", '"router/edge/grpc_v1/server.h"')
        self.assertBreaks("not below tools/top", "tools/top/top.cc", '"tools/load/load_run.h"')

    def test_the_particular_source_behind_the_general_one(self):
        self.assertBreaks("not below router/fleet", "router/fleet/fleet.h", '"indexer/source/zmq/zmq_options.h"')
        self.assertBreaks("not below indexer/source", "indexer/source/event_source.h", '"indexer/source/zmq/zmq_options.h"')

    def test_libraries(self):
        self.assertBreaks("ZeroMQ is for", "indexer/stream/stream.cc", "<zmq.h>")
        self.assertBreaks("gRPC and protobuf is for", "router/route/walk.cc", '"kvroute/v1/router.pb.h"', "<grpcpp/server.h>")
        self.assertBreaks("gRPC and protobuf is for", "indexer/index/run.h", "<google/protobuf/arena.h>")
        self.assertBreaks("msgpack is for", "indexer/stream/stream.cc", "<msgpack.hpp>", '"indexer/event/msgpack_cursor.h"')
        self.assertBreaks("spdlog is for", "indexer/base/clock.cc", "<spdlog/spdlog.h>")
        self.assertBreaks("CLI11 is for", "tools/publisher/a.cc", "<CLI/CLI.hpp>")
        self.assertBreaks("GoogleTest is for", "indexer/base/clock.h", "<gtest/gtest.h>")

    def test_a_part_that_includes_its_facade(self):
        self.assertBreaks("the facade", "indexer/index/runs/run.h", '"indexer/index/prefix_index.h"')
        self.assertBreaks("the facade", "indexer/source/zmq/lane.h", '"indexer/source/zmq/zmq_source.h"')

    def test_production_code_that_includes_a_test_s(self):
        self.assertBreaks("not below indexer/event", "indexer/event/decoder.cc", '"test/support/vectors.h"')

    def test_a_room_that_nobody_listed(self):
        self.assertIn("in no room", problems("indexer/cellar/a.h")[0])
        self.assertBreaks("not below indexer/base", "indexer/base/a.h", '"router/cellar/a.h"')

    def test_what_is_allowed_is_not_found(self):
        self.assertEqual(problems("indexer/source/zmq/lane.cc", "<zmq.h>", '"indexer/base/limits.h"', '"indexer/stream/stream.h"',
                                  '"indexer/source/event_source.h"', "<vector>", '"absl/status/status.h"'), [])
        self.assertEqual(problems("indexer/event/a_test.cc", '"test/support/vectors.h"', "<gtest/gtest.h>", "<zmq.h>"), [])
        self.assertEqual(problems("indexer/index/prefix_index.cc", '"indexer/index/prefix_index.h"'), [])
        self.assertEqual(problems("indexer/stream/stream.h", '"indexer/index/prefix_index.h"'), [])
        self.assertEqual(problems("indexer/event/decoder.cc", '"indexer/event/msgpack_cursor.h"'), [])

    def test_an_include_within_a_comment_does_not_count(self):
        self.assertEqual(link_rule.problems_of_file("indexer/base/a.h", '// #include "router/serve/a.h"\n'), [])


class PlantedLibraryTest(unittest.TestCase):
    def problems(self, folder, call):
        libraries = dict(link_rule.libraries_of("indexer/index", "kvroute_library(NAME kvroute_index SOURCES a.cc DEPS kvroute_event)"))
        libraries.update(link_rule.libraries_of("indexer/event", "kvroute_library(NAME kvroute_event SOURCES a.cc)"))
        libraries.update(link_rule.libraries_of(folder, call))
        return [problem for _, _, problem in link_rule.problems_of_libraries(libraries)]

    def test_a_library_that_links_upwards(self):
        found = self.problems("indexer/base", "kvroute_library(NAME kvroute_base\n  SOURCES a.cc  # all\n  PRIVATE_DEPS kvroute_index)")
        self.assertEqual(found, ["kvroute_base links kvroute_index, which is not below indexer/base"])

    def test_a_library_that_links_what_it_may_not_see(self):
        found = self.problems("router/route", "kvroute_library(NAME kvroute_route SOURCES a.cc DEPS kvroute_index kvroute_proto)")
        self.assertEqual(len(found), 1)
        self.assertIn("gRPC and protobuf is for", found[0])

    def test_one_that_keeps_the_rule(self):
        self.assertEqual(self.problems("indexer/stream", "kvroute_library(NAME kvroute_stream SOURCES a.cc DEPS kvroute_index)"), [])


if __name__ == "__main__":
    unittest.main()
