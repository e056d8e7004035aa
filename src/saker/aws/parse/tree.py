"""Reads decoded JSON by shape: types checked, members renamed, unknown members left out as AWS does."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import datetime
from typing import Any

from saker.aws import timestamps
from saker.aws.parse.malformed import MAX_DEPTH, MalformedInput, at
from saker.aws.parse.scalar import INTEGER_BITS, check_integer, read_base64, read_float


class TreeReader:
    """Reads a tree as JSON decodes it; a format with more types overrides what it knows better."""

    def __init__(self) -> None:
        self._readers: dict[str, Callable[[Any, Any, int], Any]] = {
            "structure": self._structure,
            "list": self._list,
            "map": self._map,
        }

    def read(self, shape: Any, value: Any, depth: int = 0) -> Any:
        """The value that `shape` makes of a decoded one.

        Raises:
            MalformedInput: Some part has another type than its shape, or the value is nested too deep.
        """
        if value is None:
            return None
        if depth > MAX_DEPTH:
            raise MalformedInput(f"Nested deeper than {MAX_DEPTH} levels")
        nested = self._readers.get(shape.type_name)
        if nested is not None:
            return nested(shape, value, depth + 1)
        return self._scalar(shape, value)

    def members(self, members: Iterable[tuple[str, Any]], value: Any, depth: int = 0) -> dict[str, Any]:
        """Those members of a structure that `value` holds."""
        found = {}
        given = _expect(dict, value, "structure")
        for name, member in members:
            inner = given.get(member.serialization.get("name", name))
            if inner is not None:
                with at(name):
                    found[name] = self.read(member, inner, depth)
        return found

    def _structure(self, shape: Any, value: Any, depth: int) -> Any:
        if shape.is_document_type:
            return _document(value, depth)
        return self.members(shape.members.items(), value, depth)

    def _list(self, shape: Any, value: Any, depth: int) -> list[Any]:
        found = []
        for index, inner in enumerate(_expect(list, value, "list"), start=1):
            with at(f"{index}.member"):
                found.append(self.read(shape.member, inner, depth))
        return found

    def _map(self, shape: Any, value: Any, depth: int) -> dict[str, Any]:
        found = {}
        for key, inner in _expect(dict, value, "map").items():
            with at(f"{key}.member"):
                found[key] = self.read(shape.value, inner, depth)
        return found

    def _scalar(self, shape: Any, value: Any) -> Any:
        kind = shape.type_name
        try:
            if kind in INTEGER_BITS:
                return check_integer(kind, _whole(value))
            if kind in ("float", "double"):
                return read_float(value) if isinstance(value, str) else float(_number(value))
            if kind == "boolean" and isinstance(value, bool):
                return value
            if kind == "timestamp":
                return self.timestamp(value)
            if kind == "blob":
                return self.blob(value)
            if kind in ("string", "character") and isinstance(value, str):
                return value
        except (TypeError, OverflowError, ValueError) as error:
            if isinstance(error, MalformedInput):
                raise
        raise MalformedInput(f"{_token(value)} cannot be converted to {kind.capitalize()}")

    def timestamp(self, value: Any) -> datetime:
        """A moment, from seconds since 1970 or from text."""
        return timestamps.from_text(value) if isinstance(value, str) else timestamps.from_seconds(_number(value))

    def blob(self, value: Any) -> bytes:
        """Bytes, from base64."""
        if not isinstance(value, str):
            raise TypeError
        return read_base64(value)


def _expect(kind: type, value: Any, name: str) -> Any:
    if isinstance(value, kind):
        return value
    raise MalformedInput(f"Expected {name} or null")


def _number(value: Any) -> int | float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise TypeError
    return value


def _whole(value: Any) -> int:
    number = _number(value)
    if number != int(number):
        raise ValueError
    return int(number)


def _token(value: Any) -> str:
    """The name that AWS gives to a JSON token."""
    if isinstance(value, bool):
        return "TRUE_VALUE" if value else "FALSE_VALUE"
    if isinstance(value, int | float):
        return "NUMBER_VALUE"
    return "STRING_VALUE" if isinstance(value, str) else type(value).__name__.upper()


def _document(value: Any, depth: int) -> Any:
    """Free JSON, only held to the depth that can be handled later."""
    if depth > MAX_DEPTH:
        raise MalformedInput(f"Nested deeper than {MAX_DEPTH} levels")
    for inner in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        _document(inner, depth + 1)
    return value
