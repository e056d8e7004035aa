"""Hypothesis strategies that draw parameters and results for the shapes of service models."""

from __future__ import annotations

import string
from datetime import UTC, datetime
from typing import Any

from hypothesis import strategies as st

_BITS = {"byte": 8, "short": 16, "integer": 32, "long": 53}
_TOKEN = string.ascii_letters + string.digits + "-_."
_DEEPEST = 5

# Characters that XML and HTTP can both carry unharmed; line breaks are tested by hand.
texts = st.text(st.characters(min_codepoint=32, exclude_categories=["Cs", "Cc", "Cn"]), max_size=12)
tokens = st.text(_TOKEN, min_size=1, max_size=12).filter(lambda text: text.strip(".") != "")
header_texts = st.text(_TOKEN + ' ,;:/"\\', min_size=1, max_size=12).filter(lambda text: text == text.strip())
moments = st.integers(0, 4_000_000_000).map(lambda seconds: datetime.fromtimestamp(seconds, UTC))
documents = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**31), 2**31) | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=5,
)


def values(shape: Any, depth: int = 0) -> st.SearchStrategy[Any]:
    """Values that a shape can have in a body; never empty, as some protocols cannot tell empty from absent."""
    kind = shape.type_name
    if kind == "structure":
        return documents.map(lambda inner: {"document": inner}) if shape.is_document_type else structures(shape, depth)
    if kind == "list":
        return st.lists(values(shape.member, depth + 1), min_size=1, max_size=2)
    if kind == "map":
        return st.dictionaries(values(shape.key), values(shape.value, depth + 1), min_size=1, max_size=2)
    return scalars(shape)


def scalars(shape: Any) -> st.SearchStrategy[Any]:
    """Single values."""
    kind = shape.type_name
    if kind in _BITS:
        return st.integers(-(2 ** (_BITS[kind] - 1)), 2 ** (_BITS[kind] - 1) - 1)
    if kind in ("float", "double"):
        return st.floats(allow_nan=False, allow_infinity=False)
    if kind == "boolean":
        return st.booleans()
    if kind == "timestamp":
        return moments
    if kind == "blob":
        return st.binary(min_size=1, max_size=12)
    return st.sampled_from(shape.enum) if shape.enum else texts.filter(bool)


@st.composite
def structures(draw: st.DrawFn, shape: Any, depth: int = 0) -> dict[str, Any]:
    """Structures with all required and some other members; those of a union have one."""
    names = [name for name, member in shape.members.items() if not member.serialization.get("eventstream")]
    optional = [name for name in names if name not in shape.required_members]
    if shape.is_tagged_union:
        chosen = {draw(st.sampled_from(names)) if depth < _DEEPEST else names[0]}
    elif depth >= _DEEPEST:
        chosen = set()
    else:
        chosen = set(draw(st.lists(st.sampled_from(optional), max_size=5))) if optional else set()
        chosen |= set(shape.required_members)
    return {name: draw(located(shape.members[name], depth)) for name in names if name in chosen}


def located(member: Any, depth: int) -> st.SearchStrategy[Any]:
    """Values of one member, in what its place on the wire can carry."""
    location = member.serialization.get("location")
    if location == "headers":
        return st.dictionaries(tokens.map(str.lower), header_texts, min_size=1, max_size=2)
    if location == "header":
        return _header_values(member)
    if location == "uri" and member.type_name == "string":
        return st.sampled_from(member.enum) if member.enum else tokens
    return st.just(200) if location == "statusCode" else values(member, depth + 1)


def _header_values(member: Any) -> st.SearchStrategy[Any]:
    if member.serialization.get("jsonvalue"):
        return st.dictionaries(texts, texts, max_size=2)
    if member.type_name == "list":
        return st.lists(_header_values(member.member), min_size=1, max_size=2)
    return header_texts if member.type_name == "string" and not member.enum else scalars(member)


def without_empty(value: Any) -> Any:
    """The value without empty and absent members, which not every protocol can carry."""
    if isinstance(value, dict):
        inner = {key: without_empty(item) for key, item in value.items()}
        return {key: item for key, item in inner.items() if item not in (None, {}, [], "", b"")}
    if isinstance(value, list):
        return [item for item in map(without_empty, value) if item not in (None, {}, [], "", b"")]
    return value
