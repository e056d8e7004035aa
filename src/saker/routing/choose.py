"""Picks the variant and the replica that answer a request.

Pure functions over what the caller holds: the same candidates and the same random numbers give the same choice.
"""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum
from random import Random
from typing import Protocol, TypeVar

from saker.core.errors import Unavailable


class Strategy(StrEnum):
    """How requests are spread over a variant's replicas.

    Source: https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_ProductionVariantRoutingConfig.html
    """

    LEAST_OUTSTANDING_REQUESTS = "LEAST_OUTSTANDING_REQUESTS"
    RANDOM = "RANDOM"


class Weighted(Protocol):
    """What routing must know of a variant."""

    @property
    def weight(self) -> float:
        """Its share of the traffic, in proportion to the others'; 0 gets none."""
        ...


class Candidate(Protocol):
    """What routing must know of a replica."""

    @property
    def in_flight(self) -> int:
        """How many requests it works on."""
        ...

    @property
    def is_draining(self) -> bool:
        """Whether it finishes what it has and should get nothing new."""
        ...


W = TypeVar("W", bound=Weighted)
C = TypeVar("C", bound=Candidate)


def choose_variant(variants: Sequence[W], random: Random) -> W:
    """A variant, each with a chance in proportion to its weight.

    Raises:
        Unavailable: No weight is above 0.
    """
    weighted = [variant for variant in variants if variant.weight > 0]
    if not weighted:
        raise Unavailable(
            "No variant takes requests.",
            why=f"All {len(variants)} have the weight 0.",
            fix="Raise one (`aws sagemaker update-endpoint-weights-and-capacities`), or name a TargetVariant.",
        )
    if len(weighted) == 1:
        return weighted[0]
    return random.choices(weighted, [variant.weight for variant in weighted])[0]


def choose_replica(candidates: Sequence[C], strategy: str, random: Random) -> C:
    """The replica for the next request; equally loaded ones have equal chances.

    Raises:
        Unavailable: None takes requests.
    """
    ready = [candidate for candidate in candidates if not candidate.is_draining]
    if not ready:
        raise Unavailable(
            "No replica takes requests.",
            why=f"All {len(candidates)} are draining." if candidates else "None is ready.",
            fix="Try again in a moment.",
        )
    if len(ready) == 1:
        return ready[0]
    if strategy == Strategy.LEAST_OUTSTANDING_REQUESTS:
        least = min(candidate.in_flight for candidate in ready)
        ready = [candidate for candidate in ready if candidate.in_flight == least]
    return random.choice(ready)
