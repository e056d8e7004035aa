"""Counts, per service, which of AWS's operations are answered here."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from saker.aws.catalog import Catalog


@dataclass(frozen=True, slots=True)
class ServiceCoverage:
    """One row of the table."""

    service: str
    implemented: tuple[str, ...]
    """Names of the operations that are answered, sorted."""
    missing: tuple[str, ...]
    """Names of AWS's other operations, sorted."""

    @property
    def total(self) -> int:
        """How many operations AWS offers."""
        return len(self.implemented) + len(self.missing)

    @property
    def share(self) -> float:
        """The answered part, from 0 to 1."""
        return len(self.implemented) / self.total


def coverage(catalog: Catalog, implemented: Collection[tuple[str, str]]) -> list[ServiceCoverage]:
    """One row per service of the catalog, by name. Reads every model.

    Args:
        catalog: The services.
        implemented: Pairs of a service's and an operation's name; what AWS does not offer does not count.
    """
    return [
        ServiceCoverage(
            service=name,
            implemented=tuple(sorted(op for op in service.operations if (name, op) in implemented)),
            missing=tuple(sorted(op for op in service.operations if (name, op) not in implemented)),
        )
        for name, service in sorted(catalog.services.items())
    ]
