"""Reads JSON bodies into typed requests, strictly: an unknown field is an error that names the nearest right one."""

from __future__ import annotations

import re
from typing import Any, TypeVar

import msgspec

from saker.core.errors import InvalidInput
from saker.core.suggest import did_you_mean

T = TypeVar("T", bound=msgspec.Struct)

_UNKNOWN_FIELD = re.compile(r"Object contains unknown field `(?P<field>.*?)`(?: - at `\$.*`)?", re.DOTALL)


def read_json(body: bytes, kind: type[T]) -> T:
    """The body as a request of this type.

    Raises:
        InvalidInput: It is empty or no JSON, has a field of a wrong type, lacks one, or has one too many.
    """
    if not body.strip():
        raise InvalidInput("The request body is empty.", fix=f"Send a JSON object with {_required(kind)}.")
    try:
        return msgspec.json.decode(body, type=kind)
    except msgspec.ValidationError as error:
        raise _explain(str(error), kind) from None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise InvalidInput("The request body is not valid JSON.", why=f"{error}.") from None


def _explain(text: str, kind: type[msgspec.Struct]) -> InvalidInput:
    unknown = _UNKNOWN_FIELD.fullmatch(text)
    if unknown is None:
        return InvalidInput(f"The request body does not fit: {text}.")
    field = unknown["field"][:100]
    return InvalidInput(f"Unknown field {field!r}.", fix=did_you_mean(field, _known(kind)))


def _known(kind: type[msgspec.Struct]) -> set[str]:
    """The fields of a type and of the types nested in it: an unknown one belongs to any of them."""
    found: set[str] = set()
    pending: list[Any] = [kind]
    while pending:
        entry = pending.pop()
        if isinstance(entry, type) and issubclass(entry, msgspec.Struct):
            if not found.issuperset(entry.__struct_encode_fields__):
                found.update(entry.__struct_encode_fields__)
                pending += [field.type for field in msgspec.structs.fields(entry)]
        else:
            pending += getattr(entry, "__args__", ())
    return found


def _required(kind: type[msgspec.Struct]) -> str:
    names = [field.encode_name for field in msgspec.structs.fields(kind) if field.required]
    return " and ".join(repr(name) for name in names) or "its fields"
