"""A Kubernetes API server for the tests: in memory, over real HTTP, with its controllers and with faults on demand.

It answers as a kube-apiserver 1.36 does in everything that Crewcall uses; `tests/integration/test_apiserver.py`
holds it to that by running the same sentences against a real one. What it leaves out: webhooks, API aggregation,
protobuf, OpenAPI, and every kind not named in `builtins.py`.

`ApiServer` is the whole of it; start it in the test's own event loop, or with `ServerThread` beside it.
"""

from tests.support.apiserver.faults import Fault
from tests.support.apiserver.journal import Entry
from tests.support.apiserver.pods import PodOptions
from tests.support.apiserver.server import ApiServer, ServerOptions
from tests.support.apiserver.thread import ServerThread

__all__ = ["ApiServer", "Entry", "Fault", "PodOptions", "ServerOptions", "ServerThread"]
