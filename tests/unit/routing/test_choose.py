"""Routing picks variants by weight and replicas by load."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from random import Random

import pytest

from saker.core.errors import Unavailable
from saker.routing import Strategy, choose_replica, choose_variant


@dataclass(frozen=True)
class Variant:
    name: str
    weight: float


@dataclass(frozen=True)
class Replica:
    name: str
    in_flight: int = 0
    is_draining: bool = False


LEAST = Strategy.LEAST_OUTSTANDING_REQUESTS


def test_variants_share_the_requests_by_weight() -> None:
    variants = [Variant("a", 3), Variant("b", 1)]
    random = Random(0)

    counts = Counter(choose_variant(variants, random).name for _ in range(4000))

    assert 3000 == pytest.approx(counts["a"], abs=100)


def test_a_variant_of_weight_zero_gets_nothing() -> None:
    variants = [Variant("off", 0), Variant("on", 0.5), Variant("also on", 0.5)]
    random = Random(0)

    assert {"on", "also on"} == {choose_variant(variants, random).name for _ in range(200)}


def test_only_weights_of_zero_are_refused_with_the_way_out() -> None:
    with pytest.raises(Unavailable, match="TargetVariant"):
        choose_variant([Variant("off", 0)], Random(0))


def test_the_replica_with_the_fewest_requests_is_chosen() -> None:
    idle = Replica("idle", 1)

    assert idle is choose_replica([Replica("busy", 5), idle, Replica("busier", 9)], LEAST, Random(0))


def test_equally_loaded_replicas_have_equal_chances() -> None:
    replicas = [Replica("a", 2), Replica("b", 2), Replica("c", 3)]
    random = Random(0)

    counts = Counter(choose_replica(replicas, LEAST, random).name for _ in range(2000))

    assert {"a", "b"} == set(counts)
    assert 1000 == pytest.approx(counts["a"], abs=100)


def test_random_routing_ignores_the_load() -> None:
    replicas = [Replica("a", 0), Replica("b", 50)]
    random = Random(0)

    counts = Counter(choose_replica(replicas, Strategy.RANDOM, random).name for _ in range(2000))

    assert 1000 == pytest.approx(counts["a"], abs=100)


@pytest.mark.parametrize("strategy", list(Strategy))
def test_a_draining_replica_is_passed_over(strategy: Strategy) -> None:
    """A draining replica gets no new request, even when it is the least loaded."""
    busy = Replica("busy", 8)
    leaving = Replica("leaving", 0, is_draining=True)

    assert busy is choose_replica([leaving, busy], strategy, Random(0))


@pytest.mark.parametrize("replicas", [[], [Replica("leaving", is_draining=True)]])
def test_no_replica_at_all_is_unavailable(replicas: list[Replica]) -> None:
    with pytest.raises(Unavailable, match="No replica takes requests"):
        choose_replica(replicas, LEAST, Random(0))
