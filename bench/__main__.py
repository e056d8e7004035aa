"""`python -m bench [PART …] [--models MODEL …] [--quick]`."""

from __future__ import annotations

import argparse
import signal
import sys
from collections.abc import Callable
from functools import partial
from types import FrameType

from bench import docs, engine, gateway, paged, perplexity, speculation, start, watermark
from bench.paged import peers
from bench.paths import CACHE, ROOT
from bench.processes import foreign_load
from bench.report import Part, save, show

BUSY = 0.1
"""Processors that others may keep busy before we warn."""
PAGE = ROOT / "docs" / "performance.md"
PARTS = {"gateway": gateway.measure, "start": start.measure, "engine": engine.measure, "perplexity": perplexity.measure}
PARTS |= {"watermark": watermark.measure, "speculation": speculation.measure}
PAGED = "paged"
"""The part that is one part to each model."""


def main() -> None:
    """Measure the parts that were named, or all; print tables, write JSON. Exit code 1 where a target is missed."""
    parser = argparse.ArgumentParser(prog="python -m bench", description="Saker beside its peers, on this machine.")
    names = (*PARTS, PAGED)
    parser.add_argument("parts", nargs="*", metavar="PART", help=f"of {', '.join(names)}; all where none is named")
    parser.add_argument(
        "--models",
        nargs="*",
        metavar="MODEL",
        default=list(paged.SMALL),
        help=f"for {PAGED}: of {', '.join(paged.PLANS)}, all; by default {', '.join(paged.SMALL)}",
    )
    parser.add_argument("--peers", action="store_true", help=f"for {PAGED}: vLLM and llama.cpp, too; installs them")
    parser.add_argument("--quick", action="store_true", help="fewer and shorter rounds; not for publishing")
    parser.add_argument("--docs", action="store_true", help="write the day's figures into docs/performance.md")
    given = parser.parse_args()
    unknown = set(given.parts) - set(names)
    if unknown:
        parser.error(f"there is no part {min(unknown)!r}; there are {', '.join(names)}")
    unknown = set(given.models) - {*paged.PLANS, "all"}
    if unknown:
        parser.error(f"there is no model {min(unknown)!r}; there are {', '.join(paged.PLANS)}")
    signal.signal(signal.SIGTERM, _stop)
    CACHE.mkdir(parents=True, exist_ok=True)
    parts: list[Part] = []
    for measure in _chosen(given):
        foreign = foreign_load()
        if foreign > BUSY:
            print(f"Other work keeps {foreign:.2f} processors busy; the figures will suffer.", file=sys.stderr)
        part = measure(is_quick=given.quick)
        part.foreign_load = foreign
        parts.append(part)
        show(part)
        results = save(CACHE, parts, is_quick=given.quick)
        print(f"Written to {results}\n", flush=True)
        if given.docs:
            docs.write(PAGE, results)
    sys.exit(not all(figure.is_met for part in parts for figure in part.figures))


def _chosen(given: argparse.Namespace) -> list[Callable[..., Part]]:
    """What measures the parts that were named, and of the paged engine the models."""
    models = list(paged.PLANS) if "all" in given.models else given.models
    chosen: list[Callable[..., Part]] = []
    for name in given.parts or (*PARTS, PAGED):
        if name == PAGED:
            chosen += [partial(paged.measure, model) for model in models]
            chosen += [peers.measure] if given.peers else []
        else:
            chosen.append(PARTS[name])
    return chosen


def _stop(_number: int, _frame: FrameType | None) -> None:
    """End as an exception does, so that every process that was started is ended too."""
    sys.exit(143)


if __name__ == "__main__":
    main()
