"""saker invoke"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import click

from saker.cli.options import endpoint_argument, platform_options

if TYPE_CHECKING:
    from saker.cli.client import Client, Service
    from saker.settings import Settings

MARGIN_S = 10.0

PARAMETERS = (
    *("max_new_tokens", "temperature", "top_p", "top_k", "typical_p", "repetition_penalty", "frequency_penalty"),
    *("seed", "truncate", "do_sample", "details", "return_full_text", "watermark"),
)
"""Options that are sent as parameters of the same name, when they are given."""


@click.command()
@endpoint_argument
@click.argument("text", required=False)
@click.option("--max-new-tokens", "-n", type=int, help="The longest answer, in tokens. Default: 100.")
@click.option("--temperature", type=float, help="Above 0; draws tokens instead of taking the likeliest.")
@click.option("--top-p", type=float, help="Draw from the likeliest tokens that make up this share.")
@click.option("--top-k", type=int, help="Draw from this many likeliest tokens.")
@click.option("--typical-p", type=float, help="Typical decoding's share.")
@click.option("--repetition-penalty", type=float, help="Above 1 makes repetitions less likely.")
@click.option("--frequency-penalty", type=float, help="Makes frequent tokens less likely.")
@click.option("--seed", type=int, help="The same seed draws the same answer.")
@click.option("--stop", multiple=True, help="Text that ends the answer. May be given several times.")
@click.option("--truncate", type=int, help="Keep only this many of the prompt's last tokens.")
@click.option("--do-sample", is_flag=True, default=None, help="Draw tokens at temperature 1.")
@click.option("--details", is_flag=True, default=None, help="With --json: tokens and finish reason.")
@click.option("--return-full-text", is_flag=True, default=None, help="Print the prompt before the answer.")
@click.option("--watermark", is_flag=True, default=None, help="Mark the answer; see saker watermark detect.")
@click.option("--variant", help="The production variant to ask, instead of one by weight.")
@click.option("--stream/--no-stream", default=None, help="Print tokens as they come. Default: in a terminal.")
@click.option("--json", "as_json", is_flag=True, help="Print the response as it came.")
@platform_options
def command(
    settings: Settings,
    /,
    name: str,
    text: str | None,
    variant: str | None,
    stream: bool | None,
    as_json: bool,
    **given: Any,
) -> None:
    """Send one prompt to an endpoint.

    The prompt is TEXT, or what comes on standard input. The answer of endpoint NAME is printed.

    \b
    saker invoke demo "Once upon a time" --max-new-tokens 32
    saker invoke demo < prompt.txt
    """
    from saker.cli.client import Client

    members = {"EndpointName": name, "ContentType": "application/json", "Body": _body(_prompt(text), given)}
    if variant is not None:
        members["TargetVariant"] = variant
    client = Client(settings)
    streams = (sys.stdout.isatty() and not as_json) if stream is None else stream
    if streams:
        _stream(client, members, as_json=as_json, with_prompt=text if given["return_full_text"] else None)
    else:
        _invoke(client, members, as_json=as_json)


def _prompt(text: str | None) -> str:
    from saker.core.errors import InvalidInput

    prompt = _read_stdin() if text is None else text
    if not prompt.strip():
        source = "Standard input" if text is None else "The text"
        raise InvalidInput(f"{source} is empty.", fix='Give a prompt: saker invoke NAME "Once upon a time"')
    return prompt


def _read_stdin() -> str:
    from saker.core.errors import InvalidInput

    if sys.stdin.isatty():
        click.echo("Type the prompt, then Ctrl-D:", err=True)
    try:
        text = sys.stdin.buffer.read().decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise InvalidInput("Standard input is not UTF-8 text.", why=f"Byte {error.start} is no part of it.") from None
    return text.removesuffix("\n")  # what ends a file or an echo is not meant as part of the prompt


def _body(prompt: str, given: dict[str, Any]) -> bytes:
    parameters = {name: given[name] for name in PARAMETERS if given[name] is not None}
    if given["stop"]:
        parameters["stop"] = list(given["stop"])
    return json.dumps({"inputs": prompt, "parameters": parameters}).encode()


def _invoke(client: Client, members: dict[str, Any], *, as_json: bool) -> None:
    from saker.cli import output

    runtime = _runtime(client)
    response = runtime("invoke_endpoint", **members)
    with runtime.errors():
        body = response["Body"].read().decode()
    click.echo(body if as_json else output.printable(json.loads(body)[0]["generated_text"]))


def _runtime(client: Client) -> Service:
    """SageMaker's runtime, with more patience than the platform's own, so that its error comes first."""
    settings = client.settings
    return client.aws("sagemaker-runtime", read_timeout_s=settings.hold_s + settings.invoke_timeout_s + MARGIN_S)


def _stream(client: Client, members: dict[str, Any], *, as_json: bool, with_prompt: str | None) -> None:
    from saker.cli import output

    if with_prompt is not None and not as_json:
        click.echo(output.printable(with_prompt), nl=False)
    for event in _events(client, members):
        if as_json:
            click.echo(event)
            continue
        token = json.loads(event)["token"]
        if not token["special"]:
            click.echo(output.printable(token["text"]), nl=False)
    if not as_json:
        click.echo()


def _events(client: Client, members: dict[str, Any]) -> Iterator[str]:
    """The data of the server-sent events in the response stream."""
    from saker.cli import sse

    runtime = _runtime(client)
    response = runtime("invoke_endpoint_with_response_stream", **members)
    with runtime.errors():
        yield from sse.data(part["PayloadPart"]["Bytes"] for part in response["Body"])
