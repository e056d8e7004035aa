"""Reads the service models that botocore ships: the first lines of one for routing, all of it for parsing.

botocore's own loader is left aside: it also reads ~/.aws/models, which would change what the server speaks, and it
cannot read a part of a file.
"""

from __future__ import annotations

import gzip
import json
import re
from pathlib import Path
from typing import Any

import botocore

from saker.core.errors import NotFound
from saker.core.suggest import did_you_mean

_DATA = Path(botocore.__file__).parent / "data"
_NAME = re.compile(r"[a-z0-9-]+")
_METADATA = '"metadata":'
_METADATA_BYTES = 8192


def find_model(service: str) -> Path:
    """The newest model of a service, gzipped or plain.

    Raises:
        NotFound: botocore has no model of that service.
    """
    found = sorted(_DATA.glob(f"{service}/*/service-2.json*")) if _NAME.fullmatch(service) else []
    if not found:
        known = [path.name for path in _DATA.iterdir() if path.is_dir()]
        raise NotFound(f"botocore has no model of a service {service!r}.", fix=did_you_mean(service, known))
    return found[-1]


def read_metadata(path: Path) -> dict[str, Any]:
    """The model's metadata: names and protocols. Reads a few kilobytes where they stand at the top, as they do."""
    with _open(path) as file:
        head = file.read(_METADATA_BYTES).decode("utf-8", "replace")
    start = head.find(_METADATA)
    try:
        metadata: dict[str, Any] = json.JSONDecoder().raw_decode(head, head.index("{", start + len(_METADATA)))[0]
    except ValueError:  # not at the top, or longer than what was read
        metadata = read_model(path)["metadata"]
    return metadata


def read_model(path: Path) -> dict[str, Any]:
    """The whole model without its documentation, which is most of its memory and nothing on the wire."""
    with _open(path) as file:
        model: dict[str, Any] = json.loads(file.read(), object_hook=_without_documentation)
    return model


def _open(path: Path) -> Any:
    return gzip.open(path) if path.suffix == ".gz" else path.open("rb")


def _without_documentation(node: dict[str, Any]) -> dict[str, Any]:
    if isinstance(node.get("documentation"), str):  # a member may bear that name too; its value is a dict
        del node["documentation"]
    return node
