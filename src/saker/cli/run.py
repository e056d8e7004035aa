"""Runs a command line and turns whatever happens into an exit code and a readable text.

0: done. 1: it failed. 2: the command line itself is wrong. 130: interrupted.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence

import click

from saker.cli.report import show_error, show_fault
from saker.cli.root import root

FAILED, MISUSED, INTERRUPTED = 1, 2, 130


def run(arguments: Sequence[str]) -> int:
    """Run one command line; returns its exit code."""
    state: dict[str, object] = {}  # filled by the shared options, and read here when it fails
    try:
        code = root.main(list(arguments), prog_name="saker", standalone_mode=False, obj=state)
        sys.stdout.flush()
    except BrokenPipeError:  # the reader of our output has left: `saker endpoints | head -1`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return FAILED
    except click.Abort as abort:
        return _aborted(abort)
    except click.ClickException as error:
        error.show()
        return error.exit_code
    except Exception as error:
        return _failed(error, is_debug=bool(state.get("debug")))
    return code if isinstance(code, int) else 0


def _aborted(abort: click.Abort) -> int:
    if isinstance(abort.__context__, KeyboardInterrupt):
        return INTERRUPTED
    click.echo("Nothing was done.", err=True)  # a question was answered with no, or by nobody
    return FAILED


def _failed(error: Exception, *, is_debug: bool) -> int:
    from saker.core.errors import SakerError

    is_debug = is_debug or os.environ.get("SAKER_LOG_LEVEL", "").lower() == "debug"
    if isinstance(error, SakerError) and not is_debug:
        show_error(error)
    else:
        show_fault(error, is_debug=is_debug)
    return FAILED
