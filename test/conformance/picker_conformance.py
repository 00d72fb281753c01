#!/usr/bin/env python3
"""Whether an endpoint picker (Envoy ext_proc) keeps its contract, asked from outside. README.md tells how and what."""

import argparse
import ssl
import sys

import grpc

import cases_pick  # noqa: F401  (adds its cases)
import cases_request  # noqa: F401
import proxy
import suite


def channel_to(address, tls):
    options = [("grpc.max_receive_message_length", -1), ("grpc.max_send_message_length", -1)]
    if not tls:
        return grpc.insecure_channel(address, options)
    # Pickers sign for themselves: whatever certificate is shown is taken.
    host, _, port = address.rpartition(":")
    certificate = ssl.get_server_certificate((host.strip("[]"), int(port)))
    name = tls if isinstance(tls, str) else common_name(certificate)
    return grpc.secure_channel(address, grpc.ssl_channel_credentials(certificate.encode()),
                               options + [("grpc.ssl_target_name_override", name)])


def common_name(pem):
    """Of the subject; what a certificate without names is called by."""
    der = ssl.PEM_cert_to_DER_cert(pem)
    at = der.rfind(b"\x06\x03\x55\x04\x03")  # the last: issuer stands before subject
    return der[at + 7:at + 7 + der[at + 6]].decode() if at >= 0 else "localhost"


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--picker", required=True, help="host:port of the picker")
    parser.add_argument("--tls", nargs="?", const=True, default=False, metavar="NAME",
                        help="the picker speaks TLS, with any certificate; NAME: by which it is called")
    parser.add_argument("--health", default="", help="host:port of its health in plaintext")
    parser.add_argument("--endpoints", default=[], type=lambda text: text.split(","),
                        help="ip:port,... of all endpoints of its pool; without, less is checked")
    parser.add_argument("--model", default="m", help="one that the pool serves")
    parser.add_argument("--only", default="", help="cases whose row, title or name has this text")
    parser.add_argument("--patience", type=float, default=proxy.patience, metavar="SECONDS",
                        help="for a reply, before the picker is said to hang; more on a busy machine (%(default)s)")
    parser.add_argument("--list", action="store_true", help="print the cases and end")
    target = parser.parse_args()
    if target.list:
        for row, title, _, _ in suite.CASES:
            print(f"{row:<24} {title}")
        return 0
    target.endpoints = target.endpoints or None
    proxy.patience = target.patience
    with channel_to(target.picker, target.tls) as target.channel:
        return 1 if suite.run(target, target.only) else 0


if __name__ == "__main__":
    sys.exit(main())
