"""Logs in one shape for every process, and counters of what the gateway did."""

from saker.telemetry.logs import configure
from saker.telemetry.metrics import Metrics

__all__ = ["Metrics", "configure"]
