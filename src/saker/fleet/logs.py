"""Where the replicas' output lies: `<folder>/<endpoint>/<variant>/<replica id>.log`."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

from saker.fleet.base import SetKey
from saker.fleet.launch.output import rotated

KEPT_REPLICAS = 10
"""Per variant; the output of older ones is removed."""


class LogFolder:
    """The log files of all replicas, present and past."""

    def __init__(self, root: Path) -> None:
        self._root = root

    def path(self, key: SetKey, replica_id: str) -> Path:
        """The file for a replica's output; not made yet."""
        parts = (key.endpoint, key.variant, replica_id)
        assert all(part and "/" not in part and part not in (".", "..") for part in parts)
        return self._root / key.endpoint / key.variant / f"{replica_id}.log"

    def files(self, endpoint: str) -> list[Path]:
        """An endpoint's log files, the one written last at the end."""
        return sorted((self._root / endpoint).glob("*/*.log*"), key=_changed_at)

    def prune(self, key: SetKey, living: Collection[str]) -> None:
        """Remove the output of replicas that ended long ago; `living` ones are kept in any case."""
        folder = self._root / key.endpoint / key.variant
        dead = [path for path in folder.glob("*.log") if path.stem not in living]
        for path in sorted(dead, key=_changed_at)[: max(0, len(dead) + len(living) - KEPT_REPLICAS)]:
            path.unlink(missing_ok=True)
            rotated(path).unlink(missing_ok=True)


def _changed_at(path: Path) -> float:
    try:
        return path.stat().st_mtime
    except FileNotFoundError:
        return 0.0
