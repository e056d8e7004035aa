"""What is measured of each model, and for how long."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from saker.engine.messages import Sampling

MANY = 128
"""Clients whose rounds take longest."""
GREEDY = "greedy"
SAMPLING: Mapping[str, Sampling] = {
    GREEDY: Sampling(),
    "temperature": Sampling(temperature=0.8, seed=1),
    "top_p": Sampling(temperature=0.8, top_p=0.9, seed=1),
    "top_k and top_p": Sampling(temperature=0.8, top_k=50, top_p=0.9, seed=1),
    "repetition penalty": Sampling(repetition_penalty=1.2),
}


@dataclass(frozen=True)
class Budget:
    """When to stop repeating."""

    seconds: float
    least: int
    """Rounds, whatever they take."""
    most: int = 12


@dataclass(frozen=True)
class Plan:
    """How much to measure of one model."""

    clients: tuple[int, ...] = (1, 8, 32, 128)
    samplings: tuple[str, ...] = tuple(SAMPLING)
    many_clients_only_greedy: bool = False
    """Whether so many are measured greedily alone."""
    round_s: float = 8.0
    """For all rounds of one sampling and number of clients."""
    least_rounds: int = 2
    """Of these, but of the longest ones: one round of 128 clients is enough."""
    variant_clients: tuple[int, ...] = (8, 32)
    """Where what only our engine has is measured; empty leaves it out."""
    firsts: int = 5
    """Rounds of the time to first token."""
    rates: tuple[float, ...] = ()
    """Of the trace, requests a second; the last one is more than the engines can do. Empty leaves it out."""
    trace_requests: int = 48
    shared_requests: int = 32
    distinct_requests: int = 32
    starts: int = 3
    """Processes to start of each engine."""

    def budget(self, clients: int) -> Budget:
        """For so many clients."""
        return Budget(self.round_s, 1 if clients >= MANY else self.least_rounds)


_OTHER_FORMAT = Plan(
    samplings=(GREEDY, "top_p"),
    many_clients_only_greedy=True,
    variant_clients=(),
    firsts=3,
    starts=2,
)
"""What the weights' format does not change is measured with int8 alone."""
_LARGE = Plan(
    samplings=(GREEDY, "top_p"),
    many_clients_only_greedy=True,
    least_rounds=1,
    variant_clients=(),
    firsts=2,
    distinct_requests=8,
    starts=2,
)

PLANS: Mapping[str, Plan] = {
    "15m-int8": Plan(round_s=6, rates=(8, 16, 32), trace_requests=128),
    "15m-fp16": replace(_OTHER_FORMAT, round_s=6, rates=(32,), trace_requests=128),
    "135m-int8": Plan(rates=(1, 2, 4), trace_requests=40),
    "135m-fp16": replace(_OTHER_FORMAT, rates=(4,), trace_requests=40),
    "1b-int8": replace(_LARGE, rates=(0.25, 0.5, 1), trace_requests=16),
    "1b-fp16": replace(_LARGE, clients=(1, 8, 32), samplings=(GREEDY,)),
}
SMALL = ("15m-int8", "15m-fp16", "135m-int8", "135m-fp16")
"""What is measured where nobody says what."""


def plan_for(model: str, *, is_quick: bool) -> Plan:
    """The model's plan; a quick one does a little of everything."""
    plan = PLANS[model]
    if not is_quick:
        return plan
    return replace(
        plan,
        clients=(1, 8),
        round_s=0,
        least_rounds=1,
        variant_clients=plan.variant_clients[:1],
        firsts=1,
        rates=plan.rates[-1:],
        trace_requests=8,
        distinct_requests=8,
        starts=1,
    )
