"""Checks parameters against the constraints of their shapes, in AWS's words."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from typing import Any

from saker.aws.dialect import Call
from saker.aws.patterns import find_pattern
from saker.core.errors import InvalidInput

_LONGEST_VALUE = 256
_MOST_VIOLATIONS = 10
_LONGEST_MATCHED = 2048
"""Longer values are not held against patterns: some take time in the square of the length."""

_CODES = ("ValidationException", "ValidationError", "InvalidParameterException")
_SIZED = ("string", "list", "map", "blob")
_NUMBERS = ("integer", "long", "float", "double")


def validate(call: Call, parameters: dict[str, Any]) -> None:
    """Returns when all constraints hold.

    Raises:
        InvalidInput: Some do not; the message lists them as AWS does, at most ten.
    """
    shape = call.operation.input_shape
    if shape is None:
        return
    violations = list(islice(_check_members(shape, parameters, ""), _MOST_VIOLATIONS))
    if violations:
        count = f"{len(violations)} validation error{'s' if len(violations) > 1 else ''} detected"
        raise InvalidInput(f"{count}: {'; '.join(violations)}", code=_code(call))


def _code(call: Call) -> str:
    """The code of broken constraints: what the operation's model calls it, or else "ValidationException"."""
    if call.protocol == "query":
        return "ValidationError"
    modeled = {shape.name for shape in call.operation.error_shapes}
    return next((code for code in _CODES if code in modeled), _CODES[0])


def _check_members(shape: Any, value: dict[str, Any], path: str) -> Iterator[str]:
    for name in shape.required_members:
        if value.get(name) is None:
            yield f"Value null at '{_join(path, name)}' failed to satisfy constraint: Member must not be null"
    for name, inner in value.items():
        if inner is not None:
            yield from _check(shape.members[name], inner, _join(path, name))


def _join(path: str, name: str) -> str:
    """AWS names members in messages with a small first letter."""
    name = name[:1].lower() + name[1:]
    return f"{path}.{name}" if path else name


def _check(shape: Any, value: Any, path: str) -> Iterator[str]:
    for constraint in _broken(shape, value):
        yield f"Value{_quoted(shape, value)} at '{path}' failed to satisfy constraint: {constraint}"
    kind = shape.type_name
    if kind == "structure" and not shape.is_document_type:
        yield from _check_members(shape, value, path)
    elif kind == "list":
        for index, inner in enumerate(value, start=1):
            if inner is not None:
                yield from _check(shape.member, inner, f"{path}.{index}.member")
    elif kind == "map":
        yield from _check_map(shape, value, path)


def _check_map(shape: Any, value: dict[str, Any], path: str) -> Iterator[str]:
    """Keys and plain values are named by their constraints only: they are often secrets."""
    for key, inner in value.items():
        for role, part, part_shape in (("keys", key, shape.key), ("value", inner, shape.value)):
            broken = ", ".join(_broken(part_shape, part)) if isinstance(part, str) else ""
            if broken:
                yield f"Value at '{path}' failed to satisfy constraint: Map {role} must satisfy constraint: [{broken}]"
        if inner is not None and not isinstance(inner, str):
            yield from _check(shape.value, inner, f"{path}.{key[:_LONGEST_VALUE]}.member")


def _broken(shape: Any, value: Any) -> Iterator[str]:
    """The constraints of one shape that a value breaks, without what lies inside it."""
    metadata = shape.metadata
    if not metadata:
        return
    is_right_size = True
    if "min" in metadata or "max" in metadata:
        for broken in _broken_bounds(shape.type_name, metadata, value):
            is_right_size = False
            yield broken
    if isinstance(value, str):
        if "enum" in metadata and value not in metadata["enum"]:
            yield f"Member must satisfy enum value set: [{', '.join(metadata['enum'])}]"
        if "pattern" in metadata and is_right_size and not _matches(metadata["pattern"], value):
            yield f"Member must satisfy regular expression pattern: {metadata['pattern']}"


def _broken_bounds(kind: str, metadata: dict[str, Any], value: Any) -> Iterator[str]:
    if kind in _SIZED:
        measured, what = len(value), "length"
    elif kind in _NUMBERS:
        measured, what = value, "value"
    else:
        return
    if "min" in metadata and measured < metadata["min"]:
        yield f"Member must have {what} greater than or equal to {metadata['min']}"
    if "max" in metadata and measured > metadata["max"]:
        yield f"Member must have {what} less than or equal to {metadata['max']}"


def _matches(pattern: str, value: str) -> bool:
    if len(value) > _LONGEST_MATCHED:
        return True
    compiled = find_pattern(pattern)
    return compiled is None or compiled.fullmatch(value) is not None


def _quoted(shape: Any, value: Any) -> str:
    """The value for the message; left out where it may be a secret or is a document."""
    if shape.metadata.get("sensitive") or not isinstance(value, str | int | float):
        return ""
    text = str(value)
    return f" '{text if len(text) <= _LONGEST_VALUE else text[:_LONGEST_VALUE] + '…'}'"
