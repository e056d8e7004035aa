"""Reads XML bodies by shape."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from saker.aws.parse.malformed import MalformedInput, at
from saker.aws.parse.scalar import read_text
from saker.aws.parse.xml_document import XmlNode


def read_node(shape: Any, node: XmlNode) -> Any:
    """The value that `shape` makes of an element.

    Raises:
        MalformedInput: Some value has another type than its shape.
    """
    kind = shape.type_name
    if kind == "structure":
        return read_members(shape.members.items(), node)
    if kind == "list":
        return _list(shape, node.find_all(shape.member.serialization.get("name", "member")))
    if kind == "map":
        return _map(shape, node.find_all("entry"))
    return read_text(shape, node.text)


def read_members(members: Iterable[tuple[str, Any]], node: XmlNode) -> dict[str, Any]:
    """Those members of a structure that an element holds as attributes or children."""
    found = {}
    for name, member in members:
        with at(name):
            value = _member(name, member, node)
        if value is not None:
            found[name] = value
    return found


def _member(name: str, member: Any, node: XmlNode) -> Any:
    serialization = member.serialization
    wire = serialization.get("name", name)
    if serialization.get("xmlAttribute"):
        value = node.attributes.get(wire)
        return None if value is None else read_text(member, value)
    if serialization.get("flattened") and member.type_name == "list":
        return _list(member, node.find_all(wire)) or None
    if serialization.get("flattened") and member.type_name == "map":
        return _map(member, node.find_all(wire)) or None
    child = node.find(wire)
    return None if child is None else read_node(member, child)


def _list(shape: Any, nodes: list[XmlNode]) -> list[Any]:
    found = []
    for index, inner in enumerate(nodes, start=1):
        with at(f"{index}.member"):
            found.append(read_node(shape.member, inner))
    return found


def _map(shape: Any, entries: list[XmlNode]) -> dict[str, Any]:
    key_name = shape.key.serialization.get("name", "key")
    value_name = shape.value.serialization.get("name", "value")
    found: dict[str, Any] = {}
    for entry in entries:
        key, value = entry.find(key_name), entry.find(value_name)
        if key is None:
            raise MalformedInput("A map's entry has no key")
        with at(f"{key.text}.member"):
            found[key.text] = None if value is None else read_node(shape.value, value)
    return found
