"""Python modules out of the same .proto files the server is built from."""

import os
import sys

import grpc_tools
from grpc_tools import protoc


def generate(source_dir, stub_dir, names=("kvroute/v1/router.proto", "kvroute/v1/fleet.proto")):
    os.makedirs(stub_dir, exist_ok=True)
    protos = os.path.join(source_dir, "proto")
    here = os.path.dirname(os.path.abspath(__file__))
    well_known = os.path.join(os.path.dirname(grpc_tools.__file__), "_proto")
    for include, files in ((protos, names), (here, ("reflection.proto",))):
        status = protoc.main(["protoc", "-I" + include, "-I" + well_known, "--python_out=" + stub_dir, "--grpc_python_out=" + stub_dir] +
                             list(files))
        if status != 0:
            raise RuntimeError("protoc: status %d" % status)
    sys.path.insert(0, stub_dir)
