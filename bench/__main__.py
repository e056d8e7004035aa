"""`python -m bench [PART …] [--quick]`."""

from __future__ import annotations

import argparse
import signal
import sys
from types import FrameType

from bench import docs, engine, gateway, perplexity, start
from bench.paths import CACHE, ROOT
from bench.processes import foreign_load
from bench.report import Part, save, show

BUSY = 0.1
"""Processors that others may keep busy before we warn."""
PAGE = ROOT / "docs" / "performance.md"
PARTS = {"gateway": gateway.measure, "start": start.measure, "engine": engine.measure, "perplexity": perplexity.measure}


def main() -> None:
    """Measure the parts that were named, or all; print tables, write JSON. Exit code 1 where a target is missed."""
    parser = argparse.ArgumentParser(prog="python -m bench", description="Saker beside its peers, on this machine.")
    parser.add_argument("parts", nargs="*", metavar="PART", help=f"of {', '.join(PARTS)}; all where none is named")
    parser.add_argument("--quick", action="store_true", help="fewer and shorter rounds; not for publishing")
    parser.add_argument("--docs", action="store_true", help="write the day's figures into docs/performance.md")
    given = parser.parse_args()
    unknown = set(given.parts) - PARTS.keys()
    if unknown:
        parser.error(f"there is no part {min(unknown)!r}; there are {', '.join(PARTS)}")
    signal.signal(signal.SIGTERM, _stop)
    CACHE.mkdir(parents=True, exist_ok=True)
    parts: list[Part] = []
    for name in given.parts or PARTS:
        foreign = foreign_load()
        if foreign > BUSY:
            print(f"Other work keeps {foreign:.2f} processors busy; the figures will suffer.", file=sys.stderr)
        part = PARTS[name](is_quick=given.quick)
        part.foreign_load = foreign
        parts.append(part)
        show(parts[-1])
        results = save(CACHE, parts, is_quick=given.quick)
        print(f"Written to {results}\n", flush=True)
        if given.docs:
            docs.write(PAGE, results)
    sys.exit(not all(figure.is_met for part in parts for figure in part.figures))


def _stop(_number: int, _frame: FrameType | None) -> None:
    """End as an exception does, so that every process that was started is ended too."""
    sys.exit(143)


if __name__ == "__main__":
    main()
