"""Writes the reference pages that follow from the code: `python tools/make_reference.py`; a test finds stale ones."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

from reference.commands import commands_page
from reference.engines import engines_page
from reference.settings import container_page, settings_page
from reference.wire import errors_page, operations_page

FOLDER = Path(__file__).parents[1] / "docs" / "reference"

PAGES: Mapping[str, Callable[[], str]] = {
    "aws-operations.md": operations_page,
    "cli.md": commands_page,
    "container-environment.md": container_page,
    "engines.md": engines_page,
    "errors.md": errors_page,
    "settings.md": settings_page,
}
"""Every generated page, and the function that writes it."""


def main() -> None:
    """Write all pages."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    for name, write in PAGES.items():
        (FOLDER / name).write_text(write(), encoding="utf-8")


if __name__ == "__main__":
    main()
