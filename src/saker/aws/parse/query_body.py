"""Reads forms of the query protocol, where a name spells the way to its value: "Tags.member.1.Key".

The names are first gathered into a tree, so that the work grows with the form and not with its square.
"""

from __future__ import annotations

from typing import Any
from urllib.parse import parse_qsl

from saker.aws.parse.malformed import MAX_DEPTH, MalformedInput, at
from saker.aws.parse.scalar import read_text
from saker.core.http import Request


class FormNode:
    """One step of the names, with the value of the name that ends here."""

    __slots__ = ("children", "value")

    def __init__(self) -> None:
        self.value: str | None = None
        self.children: dict[str, FormNode] = {}

    def find(self, name: str) -> FormNode | None:
        """The node below by a name that may itself hold dots."""
        node: FormNode | None = self
        for step in name.split("."):
            node = node.children.get(step) if node else None
        return node

    def numbered(self) -> list[FormNode]:
        """The nodes below named by numbers, in their order."""
        found = [(int(name), node) for name, node in self.children.items() if name.isdecimal() and len(name) < 10]
        return [node for _, node in sorted(found, key=lambda pair: pair[0])]


def read_form(request: Request) -> FormNode:
    """The names of query and body together; the body wins.

    Raises:
        MalformedInput: The body is not UTF-8, or a name has too many steps.
    """
    try:
        body = request.body.decode()
    except UnicodeDecodeError:
        raise MalformedInput("The body is not UTF-8") from None
    root = FormNode()
    for source in (request.query, body):
        for name, value in parse_qsl(source, keep_blank_values=True):
            _insert(root, name, value)
    return root


def _insert(root: FormNode, name: str, value: str) -> None:
    steps = name.split(".", MAX_DEPTH + 1)
    if len(steps) > MAX_DEPTH:
        raise MalformedInput(f"A parameter's name has more than {MAX_DEPTH} steps")
    node = root
    for step in steps:
        node = node.children.setdefault(step, FormNode())
    node.value = value


def read_node(shape: Any, node: FormNode) -> Any:
    """The value that `shape` makes of a node; None when the node holds nothing for it.

    Raises:
        MalformedInput: Some value has another type than its shape.
    """
    kind = shape.type_name
    if kind == "structure":
        return read_members(shape, node)
    if kind == "list":
        return _list(shape, node)
    if kind == "map":
        return _map(shape, node)
    return read_text(shape, node.value) if node.value is not None else None


def read_members(shape: Any, node: FormNode) -> dict[str, Any]:
    """The members of a structure that the form holds."""
    found = {}
    for name, member in shape.members.items():
        inner = node.find(_wire_name(name, member))
        if inner is not None:
            with at(name):
                value = read_node(member, inner)
            if value is not None:
                found[name] = value
    return found


def _wire_name(name: str, member: Any) -> str:
    if member.type_name == "list" and member.serialization.get("flattened"):
        inner: str = member.member.serialization.get("name", "")
        if inner:
            return inner
    wire: str = member.serialization.get("name", name)
    return wire


def _list(shape: Any, node: FormNode) -> list[Any] | None:
    if node.value == "":
        return []  # how botocore writes an empty list
    flattened = shape.serialization.get("flattened")
    holder = node if flattened else node.find(shape.member.serialization.get("name", "member"))
    found = []
    for index, inner in enumerate(holder.numbered() if holder else (), start=1):
        with at(f"{index}.member"):
            found.append(read_node(shape.member, inner))
    return found or None


def _map(shape: Any, node: FormNode) -> dict[str, Any] | None:
    key_name = shape.key.serialization.get("name", "key")
    value_name = shape.value.serialization.get("name", "value")
    holder = node if shape.serialization.get("flattened") else node.find("entry")
    found: dict[str, Any] = {}
    for entry in holder.numbered() if holder else ():
        key, value = entry.find(key_name), entry.find(value_name)
        if key is None or key.value is None:
            raise MalformedInput("A map's entry has no key")
        with at(f"{key.value}.member"):
            found[key.value] = read_node(shape.value, value) if value else None
    return found or None
