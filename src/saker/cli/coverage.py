"""saker coverage"""

from __future__ import annotations

import click

from saker.cli.options import json_option


@click.command()
@click.argument("service", required=False)
@json_option
def command(service: str | None, as_json: bool) -> None:
    """Show which AWS operations Saker implements.

    How many of each service; with SERVICE, each of its operations.
    """
    from dataclasses import asdict

    from saker.aws import Catalog, coverage
    from saker.cli import output
    from saker.doors import SERVICES, implemented

    if service is not None:
        _check(service, SERVICES)
    rows = coverage(Catalog([service] if service else SERVICES), implemented())
    if as_json:
        output.show_json([asdict(row) for row in rows])
    elif service is None:
        table = [(row.service, len(row.implemented), row.total) for row in rows]
        output.show_table(("SERVICE", "IMPLEMENTED", "OF"), table, empty="")
    else:
        names = sorted((name, name in row.implemented) for row in rows for name in (*row.implemented, *row.missing))
        output.show_table(("OPERATION", "IMPLEMENTED"), names, empty="")


def _check(service: str, known: tuple[str, ...]) -> None:
    from saker.core.errors import NotFound
    from saker.core.suggest import did_you_mean

    if service not in known:
        raise NotFound(f"Saker has no operations of service {service!r}.", fix=did_you_mean(service, known))
