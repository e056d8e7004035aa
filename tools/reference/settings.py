"""The pages about what can be set: the platform's settings, and the environment of a model's container."""

from __future__ import annotations

import dataclasses
from typing import Any

from reference.markdown import page, table, words
from saker.serving.container import MODEL_VARIABLES
from saker.settings import ALIASES, Secret, Settings, names

TYPES = {
    "Path": "a path",
    "Secret": "text",
    "bool": "true or false",
    "float": "a number",
    "int": "a whole number",
    "str": "text",
}


def settings_page() -> str:
    """Every setting."""
    fields = {field.name: field for field in dataclasses.fields(Settings)}
    rows = [(f"`{name}`", f"`SAKER_{name.upper()}`", *_cells(fields[name])) for name in names()]
    others = ", ".join(f"{words(aliases)} for `{name}`" for name, aliases in ALIASES.items())
    return page(
        "Settings",
        "A setting has the value of the first of these that names it:",
        "",
        "1. the command line (`--home`, `--port`, and the options of `saker up`),",
        "2. the environment, under the name in the second column,",
        "3. the file `settings.toml` in the data folder, under the name in the first column,",
        "4. the default.",
        "",
        "`saker settings` prints every value together with where it came from.",
        "The platform reads its settings once, when it starts.",
        "An unknown name, in the file or with the prefix `SAKER_` in the environment, stops the start.",
        f"Environment names of other tools count too, after Saker's own: {others}.",
        "",
        *table(("setting", "environment", "default", "must be", "meaning"), rows),
    )


def _cells(field: dataclasses.Field[Any]) -> tuple[str, str, str]:
    return _default(field.default), field.metadata["rule"] or TYPES[str(field.type)], field.metadata["help"]


def _default(value: object) -> str:
    """As `settings.toml` spells it; empty where the default is to have none."""
    if isinstance(value, Secret) or str(value) in ("", "."):
        return ""
    if isinstance(value, bool):
        return f"`{str(value).lower()}`"
    return f"`{value:g}`" if isinstance(value, float) else f"`{value}`"


def container_page() -> str:
    """What a model's container may set."""
    rows = [(f"`{name}`", meaning) for name, meaning in MODEL_VARIABLES.items()]
    return page(
        "Container environment",
        "These variables say which model a container holds and how it runs.",
        "`CreateModel` takes them as `PrimaryContainer.Environment`, and `saker deploy --env K=V` sets them.",
        "A variable that is not in this table fails the endpoint, and the message names the nearest right word.",
        "What a container leaves open comes from the platform's [settings](settings.md).",
        "",
        *table(("variable", "meaning"), rows),
    )
