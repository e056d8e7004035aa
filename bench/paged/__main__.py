"""`python -m bench.paged MODEL RESULT [--quick]`: measures one model and writes its part, section after section."""

from __future__ import annotations

import argparse
import sys
import time
import traceback
from collections.abc import Callable
from pathlib import Path

import msgspec

from bench.paged import PLANS, first_token, fresh, prefix, serving, steps, throughput
from bench.paged.pair import Pair, load
from bench.paged.plan import Plan, plan_for
from bench.report import Figure, Part

MOST_REQUESTS = 1000
"""Above every request's id."""


class Recorder:
    """The part in the making; written after each section, so that whatever happens later takes nothing away."""

    def __init__(self, name: str, result: Path) -> None:
        self.part = Part(name)
        self._result = result
        self._failures = 0

    def section(self, title: str, measure: Callable[[], list[Figure]]) -> bool:
        """Measure a section; False, and a note, where that fails."""
        begin = time.perf_counter()
        try:
            self.part.figures += measure()
        except Exception as error:
            traceback.print_exc()
            self._failures += 1
            self.part.notes.append(f"{title} was left out: {error!r:.300}")
            return False
        finally:
            self._write()
            print(f"{self.part.name}: {title}, {time.perf_counter() - begin:.0f} s", file=sys.stderr, flush=True)
        return True

    def finish(self) -> None:
        """Add how many sections failed, for the exit code."""
        self.part.figures.append(Figure("sections that failed", self._failures, "", "lower", target=0))
        self._write()

    def _write(self) -> None:
        self._result.write_bytes(msgspec.json.encode(self.part))


def main() -> None:
    """Measure the model that the command line names."""
    parser = argparse.ArgumentParser(prog="python -m bench.paged")
    parser.add_argument("model", choices=PLANS)
    parser.add_argument("result", type=Path)
    parser.add_argument("--quick", action="store_true")
    given = parser.parse_args()
    plan = plan_for(given.model, is_quick=given.quick)
    recorder = Recorder(f"paged {given.model}", given.result)
    recorder.section("memory and cold start", lambda: fresh.measure(given.model, plan))
    recorder.section("the engines", lambda: _with_engines(recorder, given.model, plan))
    recorder.finish()


def _with_engines(recorder: Recorder, model: str, plan: Plan) -> list[Figure]:
    part = recorder.part
    with load(model) as pair:
        sections: dict[str, Callable[[], list[Figure]]] = {
            "first token": lambda: first_token.measure(pair, plan),
            "shared beginnings": lambda: prefix.measure(pair, plan),
            "steps": lambda: steps.measure(pair, part),
            "the trace": lambda: serving.measure(pair, plan, part),
            "what only our engine has": lambda: throughput.measure_variants(pair, plan),
            "throughput": lambda: throughput.measure(pair, plan),
        }
        for title, measure in sections.items():
            if not recorder.section(title, measure):
                _clear(pair)
    return []


def _clear(pair: Pair) -> None:
    """Forget what a failed section left running."""
    for engine in (pair.own, pair.genai):
        for id in range(MOST_REQUESTS):
            engine.cancel(id)


if __name__ == "__main__":
    main()
