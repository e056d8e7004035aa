"""How long the command line takes to answer: the help of every command, and the ones that shells call often."""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from bench.report import Figure, Part

HELP_TARGET_MS = 150.0
ROUNDS, QUICK_ROUNDS = 9, 3


def measure(*, is_quick: bool) -> Part:
    """Median wall time of each help text, each in a process of its own."""
    rounds = QUICK_ROUNDS if is_quick else ROUNDS
    helps = {name: _median_ms([*name.split(), "--help"], rounds) for name in ("", *_commands())}
    slowest = max(helps, key=helps.__getitem__)
    return Part(
        "command line",
        [
            Figure("saker --help", helps[""], "ms", "lower", HELP_TARGET_MS),
            Figure(f"the slowest help: saker {slowest}", helps[slowest], "ms", "lower", HELP_TARGET_MS),
            Figure("saker version", _median_ms(["version"], rounds), "ms", "lower"),
            Figure("python -c pass", _median_ms(None, rounds), "ms", "lower"),
        ],
    )


def _commands() -> list[str]:
    """Every command, without importing the command line into this process."""
    script = "from saker.cli.root import SECTIONS; print(*[n for names in SECTIONS.values() for n in names])"
    return subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout.split()


def _median_ms(arguments: list[str] | None, rounds: int) -> float:
    command = [sys.executable, "-c", "pass"] if arguments is None else [_saker(), *arguments]
    with tempfile.TemporaryDirectory() as home:
        environment = os.environ | {"SAKER_HOME": home}
        return statistics.median(_time_ms(command, environment) for _ in range(rounds))


def _time_ms(command: list[str], environment: dict[str, str]) -> float:
    begin = time.perf_counter()
    subprocess.run(command, env=environment, capture_output=True, check=True)
    return (time.perf_counter() - begin) * 1000


def _saker() -> str:
    """The installed command beside this interpreter."""
    return str(Path(sys.executable).with_name("saker"))


def main() -> None:
    """Print the figures."""
    for figure in measure(is_quick="--quick" in sys.argv).figures:
        print(f"{figure.value:7.1f} {figure.unit}  {figure.name}")


if __name__ == "__main__":
    main()
