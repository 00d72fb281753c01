"""The link rule as tables: who may include whom, and who sees which library.

A room is a folder of the tree with everything below it that has no row of its own. To add a room, add its row, its line in
docs/architecture.md and its CMakeLists.txt.
"""

# What lies directly below each room: a room, one file, or with "/**" every room of a folder. A room may include itself, what is
# below it, and what is below that; but who may include a fixture of test/ may not therefore include what the fixture does.
BELOW = {
    "indexer/base": (),
    "indexer/event": ("indexer/base",),
    "indexer/index": ("indexer/event",),
    "indexer/stream": ("indexer/index",),
    "indexer/source": ("indexer/stream",),
    "indexer/source/zmq": ("indexer/source",),
    "indexer/telemetry": ("indexer/base",),

    "router/http": ("indexer/base",),
    "router/policy": ("indexer/base",),
    "router/load": ("indexer/stream", "router/prompt"),
    "router/prompt": ("indexer/index",),
    "router/prompt/render": ("router/prompt", "router/http"),
    "router/audit": ("router/load", "router/prompt"),
    "router/fleet": ("indexer/source", "router/load", "router/http"),
    "router/fleet/discovery": ("router/fleet",),
    "router/fleet/scrape": ("router/fleet",),
    "router/route": ("router/audit", "router/fleet", "router/policy", "router/prompt"),
    "router/edge/health": ("router/fleet", "indexer/telemetry"),
    "router/edge/page": ("router/route", "router/prompt/render", "router/edge/health"),
    # What the edges that speak gRPC share.
    "router/edge/grpc_base": ("router/route", "indexer/telemetry"),
    "router/edge/grpc_v1": ("router/edge/grpc_base",),
    "router/edge/ext_proc": ("router/edge/grpc_base",),
    "router/edge/http_json": ("router/route", "indexer/telemetry"),
    # Options belong to whom they are for; config fills them in.
    "router/config": ("router/fleet/discovery", "router/fleet/scrape", "router/policy", "router/prompt/render",
                      "indexer/source/zmq", "router/edge/grpc_base", "router/edge/ext_proc", "router/edge/http_json"),
    "router/serve": ("router/config", "router/edge/ext_proc", "router/edge/grpc_v1", "router/edge/http_json",
                     "router/edge/page"),

    "tools/command_line": ("indexer/base",),
    "tools/publisher": ("indexer/event",),
    "tools/client": ("indexer/base", "tools/command_line"),
    "tools/workload": ("indexer/event",),
    "tools/corpus": ("indexer/index", "tools/workload", "tools/command_line"),
    "tools/decode": ("indexer/event", "tools/command_line"),
    "tools/fleet": ("indexer/index", "router/load", "router/policy", "tools/client", "tools/publisher", "tools/workload", "tools/command_line"),
    "tools/engine": ("tools/fleet", "tools/command_line", "indexer/telemetry"),
    # It asks the router in process.
    "tools/placement": ("tools/fleet", "tools/workload", "tools/command_line", "router/route"),
    "tools/load": ("indexer/index", "tools/client", "tools/publisher", "tools/command_line"),
    # It checks the index against the reference model and measures it against the flat one.
    "tools/replay": ("tools/corpus", "test/support", "test/benchmark/flat_index.h"),
    "tools/ask": ("tools/client", "tools/command_line", "router/config"),
    "tools/config": ("router/config", "tools/command_line"),
    "tools/convert": ("router/config", "tools/command_line"),
    "tools/serve": ("router/serve", "tools/convert", "tools/command_line"),
    "tools/top": ("tools/client", "tools/command_line"),
    "tools/main.cc": ("tools/**",),

    "test/support": ("indexer/**", "router/**", "tools/publisher", "tools/client"),
    "test": ("indexer/**", "router/**", "tools/**", "test/support"),
}

# A file *_test.cc may include these besides what its room may.
BELOW_UNIT_TESTS = ("test/support", "tools/publisher")

# The folders with sources; nothing else is read.
ROOTS = ("indexer", "router", "tools", "test")

# Who sees which library. The first column matches what stands between the quotes or angle brackets of an #include, the second
# what CMake calls the library; the third are the rooms, folders or files that may have it.
LIBRARIES = {
    "msgpack": (r"msgpack\.hpp|indexer/event/msgpack_.*", r"",
                ("indexer/event", "tools/decode", "test")),  # kvroute decode prints values as they came
    "ZeroMQ": (r"zmq\.h(pp)?", r"PkgConfig::zmq",
               ("indexer/source/zmq", "tools/publisher", "test")),
    "gRPC and protobuf": (r"(grpc|grpcpp|google/protobuf|kvroute/v1|kvroute/envoy|kvroute/radix|kvroute/rpc)/.*", r"gRPC::.*|protobuf::.*|kvroute_proto",
                          ("router/edge/grpc_base", "router/edge/grpc_v1", "router/edge/ext_proc", "router/fleet/peers", "tools",
                           "test")),
    "spdlog": (r"spdlog/.*", r"spdlog::.*", ("indexer/base/log.cc",)),
    "CLI11": (r"CLI/.*", r"CLI11.*", ("tools/command_line",)),
    "libmicrohttpd": (r"microhttpd\.h", r"PkgConfig::microhttpd", ("indexer/telemetry", "tools/engine")),
    "prometheus-cpp": (r"prometheus/.*", r"prometheus-cpp::.*", ("indexer/telemetry",)),
    "libcurl": (r"curl/.*", r"PkgConfig::curl", ("router/http", "tools/client")),
    "yaml-cpp": (r"yaml-cpp/.*", r"yaml-cpp", ("router/config", "test")),
    "OpenSSL": (r"openssl/.*", r"OpenSSL::.*", ("indexer/event", "router/edge/grpc_base", "test")),
    "xxHash": (r"xxhash\.h", r"PkgConfig::xxhash", ("indexer/event", "indexer/index", "indexer/stream", "router/prompt", "tools")),
    "JSON for Modern C++": (r"nlohmann/.*", r"nlohmann_json::.*", ("router/edge/page", "router/edge/http_json", "tools", "test")),
    "simdjson": (r"simdjson\.h", r"simdjson::.*", ("router/prompt", "router/fleet/discovery")),
    "GoogleTest": (r"(gtest|gmock)/.*", r"GTest::.*", ("test",)),
}

# Everybody outside talks to a facade; what it is made of, in the same room, does not include it. Its own files begin with its name;
# a unit test of a part may drive it through the facade.
FACADES = (
    "indexer/index/prefix_index.h",
    "indexer/source/zmq/zmq_source.h",
    "router/route/router.h",
    "router/edge/grpc_v1/server.h",
    "router/edge/http_json/http_json_server.h",
    "router/serve/serve_process.h",
)

# What still breaks a rule: (file or CMake library, what it includes or links). A test fails when one of these is no longer needed:
# then delete its line, which is all there is to do.
EXCEPTIONS = set()
