"""Brings every endpoint to what is wanted of it.

One task per endpoint, started anew whenever its record changes. A task looks at the record only, so it can be stopped
at any point, by a newer change or by the end of the process, and the next one goes on from what is true then.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterable
from contextlib import suppress
from functools import partial
from pathlib import Path

from saker.core.clock import Clock
from saker.core.errors import Internal, NotFound, SakerError, Unavailable
from saker.fleet import Fleet
from saker.fleet.base import SetKey, Wanted
from saker.fleet.launch.output import OutputFile
from saker.serving import lifecycle
from saker.serving.base import Deployment, Endpoint, EndpointStatus
from saker.serving.endpoints import Endpoints
from saker.serving.planner import Planner
from saker.serving.records import Records

RETRY_S = 5.0
"""Pause after a fault of the controller's own."""

_log = logging.getLogger(__name__)


class Controller:
    """Keeps endpoints at what is wanted. The only caller of `Fleet.want` and `Fleet.forget`."""

    def __init__(
        self,
        endpoints: Endpoints,
        records: Records[Endpoint],
        planner: Planner,
        fleet: Fleet,
        logs: Path,
        clock: Clock,
    ) -> None:
        """
        Args:
            logs: The folder of endpoint logs; progress goes to `<endpoint>/deployment.log` below it.
        """
        self._endpoints = endpoints
        self._records = records
        self._planner = planner
        self._fleet = fleet
        self._logs = logs
        self._clock = clock
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._changed: dict[str, asyncio.Event] = {}
        self._fleet_changed = asyncio.Event()

    async def start(self) -> None:
        """Go on with every stored endpoint."""
        self._fleet.on_change.append(self._notice_fleet)
        for endpoint in self._records.all():
            if lifecycle.after_restart(endpoint) is not endpoint:
                await self._endpoints.transition(endpoint.name, lifecycle.after_restart)
        self._endpoints.on_change = self.wake
        for endpoint in self._records.all():
            self.wake(endpoint.name)

    async def close(self) -> None:
        """Stop working on endpoints; their records stay."""
        self._endpoints.on_change = lambda _: None  # a change that is being stored now starts nothing any more
        for task in self._tasks.values():
            task.cancel()
        await asyncio.gather(*self._tasks.values(), return_exceptions=True)
        await self._endpoints.settle()

    def wake(self, name: str) -> None:
        """Tell that an endpoint's record has changed."""
        self._changed.setdefault(name, asyncio.Event()).set()
        task = self._tasks.get(name)
        if task is None or task.done():
            self._tasks[name] = asyncio.create_task(self._look_after(name), name=f"endpoint {name}")

    def _notice_fleet(self) -> None:
        self._fleet_changed.set()
        self._fleet_changed = asyncio.Event()

    async def _look_after(self, name: str) -> None:
        changed = self._changed[name]
        while self._records.find(name) is not None:
            changed.clear()
            work = asyncio.create_task(self._converge(name), name=f"converge {name}")
            waiter = asyncio.create_task(changed.wait())
            try:
                await asyncio.wait({work, waiter}, return_when=asyncio.FIRST_COMPLETED)
                if work.done() and self._records.find(name) is not None:
                    await asyncio.wait({waiter}, timeout=RETRY_S if self._has_failed(name, work) else None)
            finally:
                for task in (work, waiter):
                    task.cancel()
                await asyncio.gather(work, waiter, return_exceptions=True)
        self._changed.pop(name, None)
        self._tasks.pop(name, None)

    def _has_failed(self, name: str, work: asyncio.Task[None]) -> bool:
        """Whether a fault of our own ended the work, such as a full disk under the database; it is tried again then."""
        error = None if work.cancelled() else work.exception()
        if error is not None:
            _log.error("endpoint %s: the controller failed; it tries again", name, exc_info=error)
        return error is not None

    async def _converge(self, name: str) -> None:
        endpoint = self._records.find(name)
        if endpoint is None:
            return
        self._forget_others(endpoint)
        if endpoint.status == EndpointStatus.DELETING:
            await self._finish_deletion(name)
        elif endpoint.status in lifecycle.COMING_UP:
            deployment = lifecycle.wanted_deployment(endpoint)
            assert deployment is not None  # every state that comes up has one
            await self._keep_up(endpoint)
            await self._bring_up(name, deployment)

    async def _keep_up(self, endpoint: Endpoint) -> None:
        """Run what requests are routed to while something else comes up: after a restart it has to be started too."""
        current, target = endpoint.current, endpoint.target
        running = {key.deployment for key in _of(endpoint.name, self._fleet.keys())}
        if current is None or target is None or current.id in running | {target.id}:
            return
        try:
            for key, set_ in (await self._plan(endpoint.name, current)).items():
                self._fleet.want(key, set_)
        except SakerError as error:  # it serves no requests then, and the update goes on
            self._report(endpoint.name, f"{current.config_name} could not be kept up: {error}")

    async def _bring_up(self, name: str, deployment: Deployment) -> None:
        try:
            wanted = await self._plan(name, deployment)
            for key, set_ in wanted.items():
                self._fleet.want(key, set_)
            await self._until_up(wanted)
        except Exception as error:  # whatever it is, the endpoint must not stay in between
            failure = error if isinstance(error, SakerError) else _explain(error)
            if failure is not error:
                _log.error("endpoint %s: bringing up %s failed", name, deployment.id, exc_info=error)
            self._report(name, f"failed: {failure}")
            change = partial(lifecycle.after_failure, deployment=deployment, error=failure)
        else:
            self._report(name, "in service")
            change = partial(lifecycle.after_success, deployment=deployment)
        with suppress(NotFound):
            await self._endpoints.transition(name, change)

    async def _plan(self, name: str, deployment: Deployment) -> dict[SetKey, Wanted]:
        wanted = {}
        for deployed in deployment.variants:
            variant = deployed.variant.name
            self._report(name, f"variant {variant}: preparing model {deployed.variant.model_name!r}")
            plan = await self._planner.plan(deployed, partial(self._report_variant, name, variant))
            wanted[SetKey(name, deployment.id, variant)] = plan
            self._report(name, f"variant {variant}: starting {plan.count} replica(s), engine {plan.spec.engine}")
        return wanted

    async def _until_up(self, wanted: dict[SetKey, Wanted]) -> None:
        """Return when every set has all its replicas ready.

        Raises:
            Unavailable: A set cannot come up; the text is its failure.
        """
        while True:
            changed = self._fleet_changed
            statuses = {key: self._fleet.status(key) for key in wanted}
            for status in statuses.values():
                if status.failure is not None:
                    failure = status.failure
                    raise Unavailable(failure.what, why=failure.why, fix=failure.fix)
            if all(status.ready >= wanted[key].count for key, status in statuses.items()):
                return
            await changed.wait()

    async def _finish_deletion(self, name: str) -> None:
        while True:
            changed = self._fleet_changed
            if not any(key.endpoint == name for key in self._fleet.keys()):  # noqa: SIM118  # a method of the fleet, which is no dict
                break
            await changed.wait()
        await self._endpoints.remove(name)

    def _forget_others(self, endpoint: Endpoint) -> None:
        kept = lifecycle.kept_deployments(endpoint)
        for key in _of(endpoint.name, self._fleet.keys()):
            if key.deployment not in kept:
                self._fleet.forget(key)

    def _report_variant(self, name: str, variant: str, line: str) -> None:
        self._report(name, f"variant {variant}: {line}")

    def _report(self, name: str, line: str) -> None:
        """A line of progress, for the log and for people who wait."""
        _log.info("endpoint %s: %s", name, line)
        with suppress(OSError):  # a full disk must not stop a deployment; the process log has the line too
            log = OutputFile(self._logs / name / "deployment.log")
            log.write(f"{self._clock.now():%Y-%m-%dT%H:%M:%S.%fZ} {line}\n".encode())
            log.close()


def _of(endpoint: str, keys: Iterable[SetKey]) -> list[SetKey]:
    return [key for key in keys if key.endpoint == endpoint]


def _explain(error: Exception) -> SakerError:
    return Internal(
        f"A fault in Saker stopped the deployment: {type(error).__name__}.",
        fix="The platform's log has the details; please report them.",
    )
