"""Several operators on one API server, each known by a token of its own, and what its journal says of who wrote when.

A write is a stray one where its writer was not the holder of the lease at that moment, as the server had it.
"""

from __future__ import annotations

from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from pathlib import Path

from tests.support.api_cluster import ApiCluster, Capabilities
from tests.support.apiserver import ApiServer, Entry
from tests.support.apiserver.access import ADMIN, User
from tests.support.operator import RunningOperator, operating

LEASES = "leases.coordination.k8s.io"


@dataclass(slots=True)
class Succession:
    """The operators by token, each of which stands for `user`; `options` are those they are all started with.

    They end with `stack`.
    """

    server: ApiServer
    folder: Path
    stack: AsyncExitStack
    options: tuple[str, ...] = ()
    user: User = ADMIN
    operators: dict[str, RunningOperator] = field(default_factory=dict)

    async def start(self) -> str:
        """One more operator; gives its token."""
        token = self.server.access.issue(self.user)
        folder = self.folder / token
        folder.mkdir()
        cluster = ApiCluster(self.server.url, token, Capabilities(has_pods=False, runs_pods=False))
        running = operating(cluster.write_kubeconfig(folder), *self.options)
        self.operators[token] = await self.stack.enter_async_context(running)
        return token

    @property
    def leader(self) -> str:
        """The token of the lease's holder, empty where nobody holds it."""
        tenures = self.tenures()
        return tenures[-1][1] if tenures else ""

    @property
    def standbys(self) -> list[str]:
        """Those that run and do not lead."""
        running = [token for token, it in self.operators.items() if it.process.returncode is None]
        return [token for token in running if token != self.leader]

    def tenures(self) -> list[tuple[float, str]]:
        """Since when who has held the lease, by the server's clock; empty where nobody did."""
        written = sorted(self.server.journal.writes(LEASES), key=_time)
        return [
            (entry.answered_at, entry.token if entry.body["spec"]["holderIdentity"] else "")
            for entry in written
            if "holderIdentity" in entry.body["spec"]
        ]

    def writes(self, since: float = 0.0) -> list[Entry]:
        """What operators wrote beside the lease, in order."""
        found = [it for it in self.server.journal.writes() if it.token in self.operators and it.resource != LEASES]
        return sorted([it for it in found if it.answered_at >= since], key=_time)

    def strays(self) -> list[Entry]:
        """Writes of operators that did not hold the lease by then."""
        strays, holder, tenures = [], "", self.tenures()
        for entry in self.writes():
            while tenures and tenures[0][0] <= entry.answered_at:
                holder = tenures.pop(0)[1]
            if entry.token != holder:
                strays.append(entry)
        return strays


def _time(entry: Entry) -> float:
    return entry.answered_at
