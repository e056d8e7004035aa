"""What a benchmark found: figures with their targets and peers, as a table and as JSON."""

from __future__ import annotations

import datetime
import json
import os
import platform
from dataclasses import asdict, dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import Literal

from rich.console import Console
from rich.table import Table

Better = Literal["lower", "higher"]


@dataclass(frozen=True)
class Figure:
    """One measured number."""

    name: str
    value: float
    unit: str
    better: Better = "higher"
    target: float | None = None
    """What the value must reach, or stay under where lower is better; None where there is no target."""
    peers: dict[str, float] = field(default_factory=dict)
    """The same measured of others in the same run."""

    @property
    def is_met(self) -> bool:
        """Whether the target is reached; there being none counts."""
        if self.target is None:
            return True
        return self.value <= self.target if self.better == "lower" else self.value >= self.target

    def ratio(self, peer: str) -> float:
        """Saker over the peer; 0 where the peer has nothing to compare with."""
        return self.value / self.peers[peer] if self.peers[peer] else 0.0


@dataclass
class Part:
    """The outcome of one part."""

    name: str
    figures: list[Figure] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    """What was left out and why, and what a reader must know."""
    foreign_load: float = 0.0
    """How many processors others kept busy just before."""


def show(part: Part) -> None:
    """Print the part as a table."""
    table = Table(title=part.name, title_justify="left", title_style="bold")
    for heading in ("figure", "Saker", "target", "", "peer", "peer's", "Saker / peer"):
        table.add_column(heading, justify="left" if heading in ("figure", "peer") else "right")
    for figure in part.figures:
        sign = "≤" if figure.better == "lower" else "≥"
        target = "" if figure.target is None else f"{sign} {format_number(figure.target)}"
        mark = "" if figure.target is None else "yes" if figure.is_met else "[bold]no[/bold]"
        table.add_row(
            figure.name,
            f"{format_number(figure.value)} {figure.unit}",
            target,
            mark,
            "\n".join(figure.peers),
            "\n".join(map(format_number, figure.peers.values())),
            "\n".join(format_number(figure.ratio(peer)) for peer in figure.peers),
        )
    console = Console(width=max(Console().width, 120))
    console.print(table)
    for note in part.notes:
        console.print(f"  {note}", highlight=False)


def save(folder: Path, parts: list[Part], *, is_quick: bool) -> Path:
    """Write the parts into the day's file; parts measured earlier that day and not now stay in it."""
    now = datetime.datetime.now(datetime.UTC)
    path = folder / f"results-{now:%Y-%m-%d}.json"
    found = json.loads(path.read_text()) if path.exists() else {}
    for part in parts:
        found[part.name] = {"at": f"{now:%Y-%m-%dT%H:%M:%SZ}", "quick": is_quick, "machine": _machine()} | asdict(part)
    folder.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(found, indent=1, ensure_ascii=False) + "\n")
    return path


def _machine() -> dict[str, object]:
    return {
        "architecture": platform.machine(),
        "cores": len(os.sched_getaffinity(0)),
        "memory_gib": round(os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") / 2**30, 1),
        "python": platform.python_version(),
        "openvino_genai": version("openvino-genai"),
        "uvicorn": version("uvicorn"),
    }


def format_number(value: float) -> str:
    """Three significant digits, and no exponent."""
    if value == int(value) and abs(value) < 100:
        return f"{value:.0f}"
    if abs(value) >= 100:
        return f"{value:,.0f}"
    return f"{value:.1f}" if abs(value) >= 10 else f"{value:.2f}" if abs(value) >= 0.1 else f"{value:.3f}"
