"""saker doctor"""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from saker.cli.options import json_option, platform_options

if TYPE_CHECKING:
    from collections.abc import Iterable

    from saker.cli.checks import Context, Finding
    from saker.settings import Settings


@click.command()
@click.option("--offline", "is_offline", is_flag=True, help="Leave out what needs a network.")
@json_option
@platform_options
def command(settings: Settings, is_offline: bool, as_json: bool) -> None:
    """Check this machine and the platform, and say the fixes.

    The exit code is 1 when a check fails; warnings leave it 0.
    """
    from dataclasses import asdict

    from saker.cli import output

    findings = _findings(_context(settings, is_offline=is_offline))
    if as_json:
        found = list(findings)
        output.show_json([asdict(finding) for finding in found])
    else:
        found = [_show(finding) for finding in findings]
    if any(finding.state == "fail" for finding in found):
        click.get_current_context().exit(1)


def _context(settings: Settings, *, is_offline: bool) -> Context:
    import os

    from saker.cli.checks import Context
    from saker.cli.client import Client
    from saker.storage.lock import FolderLock

    holder = FolderLock(settings.home).holder()
    return Context(settings, Client(settings), holder, os.environ, is_offline)


def _findings(context: Context) -> Iterable[Finding]:
    from saker.cli.checks import CHECKS

    for check in CHECKS:
        yield from check(context)


def _show(finding: Finding) -> Finding:
    """Print a finding as soon as it is made; some checks take seconds."""
    import sys

    from saker.cli.output import STYLES
    from saker.cli.report import uses_colour

    state = finding.state.ljust(4)
    shown = click.style(state, fg=STYLES[finding.state]) if uses_colour(sys.stdout) else state
    click.echo(f"{shown}  {finding.name}: {finding.text}")
    if finding.fix:
        click.echo(f"      Fix: {finding.fix}")
    return finding
