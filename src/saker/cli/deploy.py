"""saker deploy"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from saker.cli.options import platform_options

if TYPE_CHECKING:
    from saker.cli.client import Client
    from saker.cli.deployment import Plan
    from saker.settings import Settings

# Written out, since importing the server's own lists would double the time of --help; a test holds them together.
ENGINES = ("auto", "genai", "paged", "transformers", "fake")
WEIGHT_FORMATS = ("int8", "int4", "fp16", "bf16", "fp32")
PRECISIONS = ("default", "fp32")

VARIABLES = {
    "engine": "SAKER_ENGINE",
    "weight_format": "SAKER_WEIGHT_FORMAT",
    "precision": "SAKER_PRECISION",
    "max_context": "MAX_TOTAL_TOKENS",
    "revision": "HF_MODEL_REVISION",
}
"""Options and the variables of the container's environment that they set."""


@click.command()
@click.argument("model", metavar="MODEL")
@click.option("--endpoint", "-e", metavar="NAME", help="The endpoint's name. Default: made of the model's name.")
@click.option("--engine", type=click.Choice(ENGINES), help="Default: the fastest that can load the model.")
@click.option("--weight-format", type=click.Choice(WEIGHT_FORMATS), help="Weights on CPU. Default: int8.")
@click.option("--precision", type=click.Choice(PRECISIONS), help="Arithmetic and KV cache; fp32 equals the reference.")
@click.option("--count", type=click.IntRange(1), default=1, show_default=True, help="Replicas.")
@click.option("--max-context", type=click.IntRange(1), help="The longest prompt and answer together, in tokens.")
@click.option("--revision", help="A hub model's branch, tag or commit.")
@click.option("--chat-template", type=click.File(), help="A Jinja chat template in place of the model's own.")
@click.option("--trust-remote-code", is_flag=True, help="Run Python code that comes with the model.")
@click.option("--env", "variables", metavar="K=V", multiple=True, help="A further variable of the container's.")
@click.option("--instance-type", default="ml.m5.large", help="Stored and shown; replicas run on this machine.")
@click.option("--update", is_flag=True, help="Replace what an endpoint of that name serves, without asking.")
@click.option("--wait/--no-wait", default=True, help="Whether to wait until it serves. Default: wait.")
@platform_options
def command(settings: Settings, /, model: str, **given: Any) -> None:
    """Deploy a model: a folder, a GGUF file or a hub id.

    MODEL may be 'embedded' too, the small model that Saker brings along.
    A relative path that exists here wins over a hub id of the same spelling.

    \b
    saker deploy ./my-model --endpoint mine
    saker deploy HuggingFaceTB/SmolLM2-360M-Instruct
    """
    from saker.cli import deployment, watch
    from saker.cli.client import Client

    client = Client(settings)
    plan = make_plan(model, given)
    is_update = deployment.exists(client, plan.endpoint)
    if is_update and not given["update"]:
        _ask(plan.endpoint)
    try:
        with watch.progress(f"Deploying {model} as {plan.endpoint!r}") as tell:
            deployment.deploy(client, plan, tell, is_update=is_update, waits=given["wait"])
    except KeyboardInterrupt:
        click.echo(f"It goes on without us. Watch it: saker endpoints wait {plan.endpoint}", err=True)
        raise
    _show_next(client, plan.endpoint, waited=given["wait"])


def make_plan(model: str, given: dict[str, Any]) -> Plan:
    """What the command line asks for.

    Raises:
        InvalidInput: The model's name means nothing, or names a file that does not exist.
    """
    from saker.cli import deployment
    from saker.models.source import ModelSource

    source = ModelSource.parse(model, revision=given["revision"] or "", relative_to=Path.cwd())
    if source.kind in ("folder", "gguf"):
        _check_exists(model, Path(source.location))
    environment = {
        "HF_MODEL_ID": f"{source.location}/{source.file}".strip("/") if source.kind == "hub" else str(source)
    }
    environment |= {VARIABLES[name]: str(given[name]) for name in VARIABLES if given[name] is not None}
    if source.revision:
        environment["HF_MODEL_REVISION"] = source.revision
    if given["trust_remote_code"]:
        environment["SAKER_TRUST_REMOTE_CODE"] = "1"
    if given["chat_template"] is not None:
        environment["SAKER_CHAT_TEMPLATE"] = given["chat_template"].read()
    environment |= dict(_split(variable) for variable in given["variables"])
    return deployment.Plan(
        endpoint=given["endpoint"] or deployment.default_name(source),
        environment=environment,
        count=given["count"],
        instance_type=given["instance_type"],
    )


def _check_exists(model: str, path: Path) -> None:
    if not path.exists():
        from saker.core.errors import InvalidInput

        raise InvalidInput(
            f"There is no model {model!r}.",
            why=f"{str(path)!r} does not exist.",
            fix="Name a folder, a .gguf file, or a hub id such as HuggingFaceTB/SmolLM2-360M-Instruct.",
        )


def _split(variable: str) -> tuple[str, str]:
    name, sign, value = variable.partition("=")
    if not name or not sign:
        raise click.BadParameter(f"{variable!r} is not of the form K=V.", param_hint="--env")
    return name, value


def _ask(endpoint: str) -> None:
    import sys

    if not sys.stdin.isatty():
        from saker.core.errors import AlreadyExists

        raise AlreadyExists(
            f"Endpoint {endpoint!r} exists already.",
            fix="Replace what it serves with --update, or name another with --endpoint.",
        )
    click.confirm(f"Endpoint {endpoint!r} exists. Replace what it serves?", abort=True)


def _show_next(client: Client, endpoint: str, *, waited: bool) -> None:
    if not waited:
        click.echo(f"Endpoint {endpoint!r} is coming up. Watch it: saker endpoints wait {endpoint}")
        return
    click.echo(
        f"Endpoint {endpoint!r} is in service. Three ways to ask it:\n\n"
        f'  saker invoke {endpoint} "Once upon a time"        saker chat {endpoint}\n\n'
        f'  eval "$(saker env)"\n'
        f"  aws sagemaker-runtime invoke-endpoint --endpoint-name {endpoint} --content-type application/json \\\n"
        f'      --cli-binary-format raw-in-base64-out --body \'{{"inputs": "Once upon a time"}}\' out.json\n\n'
        f'  curl {client.url}/v1/chat/completions -H "Authorization: Bearer $OPENAI_API_KEY" \\\n'
        f"      -H 'Content-Type: application/json' \\\n"
        f'      -d \'{{"model": "{endpoint}", "messages": [{{"role": "user", "content": "Hello"}}]}}\''
    )
