"""Writes the measured figures into docs/performance.md, between its two marks."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from bench.report import Figure, format_number

BEGIN = "<!-- figures: written by `python -m bench --docs` -->"
END = "<!-- end of figures -->"


def write(page: Path, results: Path) -> None:
    """Put the parts of a results file into the page; parts that it does not hold stay as they are."""
    before, _, rest = page.read_text(encoding="utf-8").partition(BEGIN)
    written, _, after = rest.partition(END)
    kept = {section.partition("\n")[0]: section for section in written.strip().split("### ") if section}
    parts = json.loads(results.read_text(encoding="utf-8"))
    tables = kept | {name: _table(name, part) for name, part in parts.items()}
    figures = "\n\n".join(f"### {table.strip()}" for table in tables.values())
    page.write_text(f"{before}{BEGIN}\n\n{figures}\n\n{END}{after}", encoding="utf-8")


def _table(name: str, part: dict[str, Any]) -> str:
    figures = [Figure(**figure) for figure in part["figures"]]
    peers = list(dict.fromkeys(peer for figure in figures for peer in figure.peers))
    heading = ["figure", "Saker", "target", *peers]
    lines = [_row(heading), _row(["---"] + ["---:"] * (len(heading) - 1))]
    lines += [_row([figure.name, *_cells(figure, peers)]) for figure in figures]
    run = "a short run" if part["quick"] else "a full run"
    when = f"Measured {part['at']}, {run}; other work kept {part['foreign_load']:.2f} processors busy when it began."
    return "\n".join([name, "", *lines, "", when, *part["notes"]])


def _cells(figure: Figure, peers: list[str]) -> list[str]:
    sign = "≤" if figure.better == "lower" else "≥"
    target = "" if figure.target is None else f"{sign} {format_number(figure.target)}"
    mark = "" if figure.is_met else " (missed)"
    own = f"{format_number(figure.value)} {figure.unit}".strip()
    return [own, target + mark, *(format_number(figure.peers[p]) if p in figure.peers else "" for p in peers)]


def _row(cells: list[str]) -> str:
    return f"| {' | '.join(cells)} |"
