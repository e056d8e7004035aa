"""Writes results as XML by shape, for rest-xml and query."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from saker.aws.serialize.text import TimestampFormat, write_text
from saker.aws.serialize.tree import check_members
from saker.aws.serialize.xml_writer import element, escape

_XSI = "http://www.w3.org/2001/XMLSchema-instance"


class XmlBody:
    """Writes the elements of one service's results."""

    def __init__(self, timestamp_format: TimestampFormat = "iso8601") -> None:
        self._timestamp_format = timestamp_format

    def members(self, members: Iterable[tuple[str, Any]], value: dict[str, Any]) -> str:
        """Those members that are elements and are there, one after the other."""
        written = []
        for name, member in members:
            inner = value.get(name)
            if inner is not None and not member.serialization.get("xmlAttribute"):
                written.append(self.write(member, inner, member.serialization.get("name", name)))
        return "".join(written)

    def write(self, shape: Any, value: Any, name: str) -> str:
        """One value under its name; the elements of a flattened list or map stand side by side."""
        if shape.type_name == "structure":
            check_members(shape, value)
            return element(name, self.members(shape.members.items(), value), self.attributes(shape, value))
        if shape.type_name == "list":
            return self._list(shape, value, name)
        if shape.type_name == "map":
            return self._map(shape, value, name)
        return element(name, escape(write_text(shape, value, self._timestamp_format)))

    def attributes(self, shape: Any, value: dict[str, Any]) -> dict[str, str]:
        """The attributes of a structure's element: its namespace and the members that are attributes."""
        found: dict[str, str] = {}
        namespace = shape.serialization.get("xmlNamespace")
        if isinstance(namespace, dict) and namespace.get("prefix"):
            found[f"xmlns:{namespace['prefix']}"] = namespace["uri"]
        for name, member in shape.members.items():
            if member.serialization.get("xmlAttribute") and value.get(name) is not None:
                wire = member.serialization.get("name", name)
                if wire.startswith("xsi:"):
                    found["xmlns:xsi"] = _XSI
                found[wire] = write_text(member, value[name], self._timestamp_format)
        return found

    def _list(self, shape: Any, value: Iterable[Any], name: str) -> str:
        inner_name = shape.member.serialization.get("name")
        if shape.serialization.get("flattened"):
            return "".join(self.write(shape.member, inner, inner_name or name) for inner in value)
        return element(name, "".join(self.write(shape.member, inner, inner_name or "member") for inner in value))

    def _map(self, shape: Any, value: dict[str, Any], name: str) -> str:
        is_flat = shape.serialization.get("flattened")
        key_name = shape.key.serialization.get("name", "key")
        value_name = shape.value.serialization.get("name", "value")
        entries = "".join(
            element(
                name if is_flat else "entry",
                element(key_name, escape(key)) + self.write(shape.value, inner, value_name),
            )
            for key, inner in value.items()
        )
        return entries if is_flat else element(name, entries)
