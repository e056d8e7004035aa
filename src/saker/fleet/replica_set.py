"""One replica set: what is wanted of it, its replicas, and what it has been through."""

from __future__ import annotations

import logging
import math
from collections.abc import Iterator
from dataclasses import replace

from saker.engine.messages import Ready, Unfit
from saker.fleet.backoff import History, after_crash, after_failed_start, after_ready
from saker.fleet.base import Limits, ReplicaState, ReplicaView, SetKey, SetStatus, Wanted
from saker.fleet.replica import Replica

log = logging.getLogger(__name__)


class ReplicaSet:
    """Keeps one set's books; `Fleet` acts."""

    def __init__(self, key: SetKey) -> None:
        self.key = key
        self.wanted: Wanted | None = None
        """None while the set is being removed."""
        self.replicas: dict[str, Replica] = {}
        """Those whose process has not ended."""
        self.history = History()
        self.ready: tuple[Replica, ...] = ()
        self._description: Ready | None = None

    def want(self, wanted: Wanted) -> None:
        """Take a new wish; what went wrong before it is forgiven."""
        if self.wanted is not None and self.wanted.spec == wanted.spec:
            self.history = replace(self.history, failed_starts=0, failure=None, retry_at=-math.inf)
        else:
            self.history = History(restarts=self.history.restarts)
        self.wanted = wanted

    def is_current(self, replica: Replica) -> bool:
        """Whether a replica runs the wanted spec."""
        return self.wanted is not None and replica.spec == self.wanted.spec

    def views(self) -> Iterator[ReplicaView]:
        """The replicas as the pure functions see them."""
        for replica in self.replicas.values():
            yield ReplicaView(
                replica.id, self.key, replica.state, replica.in_flight, replica.since, self.is_current(replica)
            )

    def refresh(self) -> None:
        """Find the ready replicas anew, so that a request need not."""
        self.ready = tuple(r for r in self.replicas.values() if r.state is ReplicaState.READY)

    def status(self) -> SetStatus:
        """The set as serving sees it."""
        states = [replica.state for replica in self.replicas.values()]
        return SetStatus(
            wanted=self.wanted.count if self.wanted is not None else 0,
            ready=states.count(ReplicaState.READY),
            starting=states.count(ReplicaState.STARTING),
            draining=states.count(ReplicaState.DRAINING),
            failure=self.history.failure,
            description=self._description,
            restarts=self.history.restarts,
        )

    def became_ready(self, replica: Replica) -> None:
        """A replica has loaded its model."""
        self._description = replica.description
        if self.is_current(replica):
            self.history = after_ready(self.history)

    def start_failed(self, cause: Unfit, *, is_final: bool, began_at: float, now: float, limits: Limits) -> None:
        """A start of the wanted spec has failed."""
        log.warning("A replica of %s did not start: %s %s", self.key, cause.what, cause.why)
        self.history = after_failed_start(
            self.history, cause, is_final=is_final, began_at=began_at, now=now, attempts=limits.start_attempts
        )

    def ended(self, replica: Replica, cause: str, *, now: float, limits: Limits) -> None:
        """A replica's process has ended, wanted or not."""
        self.replicas.pop(replica.id, None)
        if replica.state is ReplicaState.STOPPING:
            log.info("Replica %s of %s has ended: it %s.", replica.id, self.key, cause)
            return
        log.warning("Replica %s of %s %s.", replica.id, self.key, cause)
        if not self.is_current(replica):
            return
        if replica.state is ReplicaState.STARTING:
            unfit = replica.unfit or self._no_start(cause)
            final = replica.unfit is not None
            self.start_failed(unfit, is_final=final, began_at=replica.since, now=now, limits=limits)
        elif replica.state is ReplicaState.READY:
            self.history = after_crash(self.history, ready_since=replica.since, now=now)

    def _no_start(self, cause: str) -> Unfit:
        fix = f"See its log (`saker endpoints logs {self.key.endpoint}`)."
        return Unfit(f"The worker did not come up: it {cause}.", fix=fix)
