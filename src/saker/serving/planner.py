"""Turns a variant into what the fleet can start: reads its container, prepares its model, picks its engine."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

from msgspec.structs import replace

from saker.engine.base import EngineOptions
from saker.fleet.base import ReplicaSpec, Wanted
from saker.models.base import MemoryEstimate, ModelPreparer, Preparation, PreparedModel, Progress
from saker.models.environments import ENVIRONMENT_OF_ENGINE, EngineEnvironments
from saker.models.source import ModelSource
from saker.serving.base import DeployedVariant
from saker.serving.container import ModelPlan, read_container, unknown_variables
from saker.settings import Secret, Settings

Report = Callable[[str], None]
"""Takes one line for people to read."""


class Planner:
    """Makes variants startable."""

    def __init__(self, models: ModelPreparer, environments: EngineEnvironments, settings: Settings) -> None:
        self._models = models
        self._environments = environments
        self._settings = settings

    async def plan(self, deployed: DeployedVariant, report: Report) -> Wanted:
        """What the fleet shall run for this variant. Fetching and converting a model may take minutes.

        Raises:
            SakerError: The container or its model is not usable; says why and what to do.
        """
        plan = read_container(deployed.container, self._settings)
        prepared = await self._models.prepare(self._preparation(plan), _reporter(report))
        for note in prepared.notes:
            report(note)
        for name in unknown_variables(deployed.container.environment):
            report(f"warning: nothing here honours {name!r}; SAKER_STRICT_ENV=warn lets it pass.")
        environment = ENVIRONMENT_OF_ENGINE.get(prepared.engine)
        if environment is not None:
            await self._environments.ensure(environment, _reporter(report))
        return Wanted(self._spec(plan, prepared), deployed.variant.count)

    def _preparation(self, plan: ModelPlan) -> Preparation:
        return Preparation(
            source=ModelSource.parse(plan.source, revision=plan.revision or ""),
            engine=plan.engine,
            weight_format=plan.weight_format,
            trust_remote_code=plan.trust_remote_code,
            hub_token=Secret(plan.token),
            hub_endpoint=self._settings.hf_endpoint,
        )

    def _spec(self, plan: ModelPlan, prepared: PreparedModel) -> ReplicaSpec:
        options = EngineOptions(
            model_path=str(prepared.path),
            precision=plan.precision,
            max_context=plan.max_context,
            kv_cache_bytes=plan.kv_cache_bytes,
            threads=plan.threads,
            continuous_batching=plan.continuous_batching,
            speculation=plan.speculation,
            adapters=plan.adapters,
            adapter_bytes=plan.adapter_bytes,
            fallback="genai" if plan.engine == "auto" and prepared.engine == "paged" else None,
            chat_template=plan.chat_template,
            trust_remote_code=plan.trust_remote_code,
        )
        if plan.max_sequences is not None:
            options = replace(options, max_sequences=plan.max_sequences)
        python, python_path = self._environments.interpreter(prepared.engine)
        return ReplicaSpec(
            engine=prepared.engine,
            options=options,
            python=python,
            python_path=python_path,
            # Adapters that answer together are copied side by side, into as much memory again.
            memory_bytes=_memory(prepared.memory, plan.max_context) + 2 * plan.adapter_bytes,
        )


def _memory(estimate: MemoryEstimate, max_context: int | None) -> int:
    """What a replica is expected to take; a context that was made shorter needs fewer keys and values."""
    if max_context is None or not estimate.max_context:
        return estimate.total_bytes
    return dataclasses.replace(estimate, max_context=min(max_context, estimate.max_context)).total_bytes


def _reporter(report: Report) -> Callable[[Progress], None]:
    """Writes progress as lines: at each change of phase or message, and at each further tenth."""
    last: tuple[str, str, int] | None = None

    def write(progress: Progress) -> None:
        nonlocal last
        if progress.phase == "check":
            return  # takes a moment; its failures are told as such
        tenth = int((progress.fraction or 0.0) * 10)
        now = (progress.phase, progress.message, tenth)
        if now != last:
            last = now
            share = f" {tenth * 10} %" if progress.total else ""
            report(f"{progress.phase}{share}: {progress.message}" if progress.message else f"{progress.phase}{share}")

    return write
