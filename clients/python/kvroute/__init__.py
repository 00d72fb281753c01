"""Asks a kvroute server where a request should go, and tells it what became of it.

kvroute.v1 is generated from proto/; this package adds what every gateway needs besides: a connection whose calls are
tried again where that mends something, a request with its end, and the reason of a refusal.
"""

from kvroute.client import Client, Routed, reason_of

__version__ = "0.1.0"
__all__ = ["Client", "Routed", "reason_of", "__version__"]
