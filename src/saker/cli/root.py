"""The top of the command tree: the table of commands, and what holds for all of them."""

from __future__ import annotations

import click

from saker.cli.groups import LazyGroup, Section
from saker.cli.options import home_options

SECTIONS: dict[str, Section] = {
    "The platform": {
        "up": "Start the platform.",
        "down": "Stop the platform.",
        "status": "Show whether the platform runs, and its endpoints.",
        "env": "Print what points AWS and OpenAI clients at the platform.",
        "doctor": "Check this machine and the platform, and say the fixes.",
    },
    "Models": {
        "deploy": "Deploy a model: a folder, a GGUF file or a hub id.",
        "invoke": "Send one prompt to an endpoint.",
        "chat": "Talk with a model.",
        "endpoints": "List, describe, watch, scale and delete endpoints.",
        "models": "List and delete models.",
        "watermark": "Detect the mark that the engine 'paged' puts into text.",
    },
    "Administration": {
        "keys": "Make, list and revoke access keys.",
        "engines": "Install, list and remove engine environments.",
        "settings": "Show every setting, its value and where it comes from.",
        "coverage": "Show which AWS operations Saker implements.",
        "version": "Print Saker's version.",
    },
}

EPILOG = """\b
Three lines to a first answer:
  saker up --detach
  eval "$(saker env)"
  saker invoke demo "Once upon a time"

\b
Every setting of `saker settings` is an environment variable too (SAKER_HOME, SAKER_PORT).
Shell completion: eval "$(_SAKER_COMPLETE=bash_source saker)"; zsh_source, fish_source alike.
"""


@click.group(
    cls=LazyGroup,
    package="saker.cli",
    sections=SECTIONS,
    epilog=EPILOG,
    context_settings={"help_option_names": ["-h", "--help"]},
)
@home_options
def root() -> None:
    """Your own SageMaker for open language models, on your own hardware."""
