"""saker watermark"""

from __future__ import annotations

import math
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import click

from saker.cli.groups import Group
from saker.cli.options import complete_endpoint, json_option, platform_options

if TYPE_CHECKING:
    from saker.engine.paged.watermark import Detection
    from saker.engine.text import FastTokenizer
    from saker.settings import Settings

# Written out, since importing them would import numpy; a test holds them together.
GAMMA = 0.5
KEY = 15485863

THRESHOLD = 1e-5
"""A verdict accuses, and may be asked for many texts: one false alarm in 100,000. The paper's z of 4 is 1 in 30,000."""
MIN_SCORED = 16
"""Fewer tokens are a sentence at most, whatever the threshold."""

Verdict = Literal["marked", "not found", "too short"]


def _proper(_context: click.Context, _parameter: click.Parameter, value: float) -> float:
    if not 0 < value < 1:  # not click.FloatRange, which lets nan pass
        raise click.BadParameter(f"{value} is not between 0 and 1.")
    return value


@click.group("watermark", cls=Group)
def command() -> None:
    """Detect the mark that the engine 'paged' puts into text."""


@command.command("detect")
@click.argument("file", default="-")
@click.option("--model", "-m", help="The model that may have written it: as `saker deploy` takes it, on this machine.")
@click.option("--endpoint", "-e", metavar="NAME", shell_complete=complete_endpoint, help="The endpoint that may have.")
@click.option(
    "--threshold",
    type=float,
    default=THRESHOLD,
    show_default=True,
    callback=_proper,
    help="Call a text marked whose p-value is below.",
)
@click.option("--gamma", type=float, default=GAMMA, show_default=True, callback=_proper, help="The mark's green share.")
@click.option("--key", type=int, default=KEY, show_default=True, help="The mark's key.")
@json_option
@platform_options
def detect(
    settings: Settings,
    file: str,
    model: str | None,
    endpoint: str | None,
    threshold: float,
    gamma: float,
    key: int,
    as_json: bool,
) -> None:
    """Tell whether a text carries the mark of `"watermark": true`.

    The text is FILE, or what comes on standard input, best without the prompt.
    The exit code is 0 whatever is found.

    \b
    saker watermark detect --endpoint demo answer.txt
    saker watermark detect --model ./my-model < answer.txt
    """
    from saker.cli.text_file import read_text

    if (model is None) == (endpoint is None):
        raise click.UsageError("Give either --model or --endpoint: the text is cut into tokens by its tokenizer.")
    tokenizer = _tokenizer(settings, model, endpoint)
    found = _score(tokenizer.encode(read_text(file), special=False), gamma, key)
    _show(found, gamma, threshold, as_json=as_json)


def judge(found: Detection, gamma: float, threshold: float) -> Verdict:
    """What the counts say at a threshold."""
    if found.scored < needed(gamma, threshold):
        return "too short"
    return "marked" if found.p_value < threshold else "not found"


def needed(gamma: float, threshold: float) -> int:
    """How many tokens a text must have to come below the threshold if all of them are green."""
    return max(MIN_SCORED, math.floor(math.log(threshold) / math.log(gamma)) + 1)


def _tokenizer(settings: Settings, model: str | None, endpoint: str | None) -> FastTokenizer:
    from saker.engine.text import FastTokenizer
    from saker.models.local import find_tokenizer
    from saker.models.source import ModelSource

    here = Path.cwd()
    if endpoint is not None:
        from saker.cli.client import Client
        from saker.cli.models import source_of_endpoint

        source = ModelSource.parse(source_of_endpoint(Client(settings), endpoint))
    else:
        source = ModelSource.parse(model or "", relative_to=here)
    return FastTokenizer(find_tokenizer(source, settings.home / "models" / "downloads", here))


def _score(tokens: list[int], gamma: float, key: int) -> Detection:
    try:
        from saker.engine.paged import watermark
    except ModuleNotFoundError as error:
        if error.name != "numpy":
            raise
        from saker.core.errors import Unsupported

        raise Unsupported(
            "The text cannot be scored without numpy.",
            why="It comes with OpenVINO, which this installation of Saker leaves out.",
            fix=f"Run: {sys.executable} -m pip install 'saker-llm[openvino]'",
        ) from None
    return watermark.detect(tokens, gamma, key)


def _show(found: Detection, gamma: float, threshold: float, *, as_json: bool) -> None:
    from saker.cli import output

    share = found.green / found.scored if found.scored else 0.0
    verdict = judge(found, gamma, threshold)
    if as_json:
        numbers: dict[str, Any] = {"scored": found.scored, "green": found.green, "share": share, "gamma": gamma}
        numbers |= {"z": found.z, "p_value": found.p_value, "threshold": threshold}
        output.show_json({"verdict": verdict} | numbers)
        return
    output.show_fields(
        {
            "Scored tokens": found.scored,
            "Green tokens": f"{found.green} ({share:.1%}; {gamma:.1%} expected without the mark)",
            "z-score": f"{found.z:.2f}",
            "p-value": f"{found.p_value:.1e}" if found.p_value else "below 1e-300",
        }
    )
    click.echo(f"\n{_sentence(verdict, found, gamma, threshold)}")


def _sentence(verdict: Verdict, found: Detection, gamma: float, threshold: float) -> str:
    match verdict:
        case "marked":
            return f"The text carries the mark: an unmarked one scores so high with a probability below {threshold:g}."
        case "not found":
            return "No mark was found. A short, edited or predictable text may have had one all the same."
        case "too short":
            wanted = needed(gamma, threshold)
            return f"The text is too short to tell: at the threshold {threshold:g} it needs {wanted} scored tokens."
