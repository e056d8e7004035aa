"""The `saker` command, one file per noun; a client of the platform like any other."""

from __future__ import annotations

import sys

__all__ = ["main"]


def main() -> None:
    """Run the command that the process was started with, and end the process with its exit code."""
    try:
        from saker.cli.run import run

        sys.exit(run(sys.argv[1:]))
    except KeyboardInterrupt:
        sys.exit(130)
