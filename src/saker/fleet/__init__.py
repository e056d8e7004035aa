"""Makes the world match the wanted state: starts, watches, drains and stops worker processes."""

from saker.fleet.pending import ChunkStream
from saker.fleet.reconcile import Fleet
from saker.fleet.replica import Replica

__all__ = ["ChunkStream", "Fleet", "Replica"]
