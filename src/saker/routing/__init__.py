"""Picks the variant and the replica for a request; pure functions."""

from saker.routing.choose import Strategy, choose_replica, choose_variant

__all__ = ["Strategy", "choose_replica", "choose_variant"]
