"""Lets `python -m saker` stand for the `saker` command."""

from __future__ import annotations

from saker.cli import main

if __name__ == "__main__":
    main()
