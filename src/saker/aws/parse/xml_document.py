"""Parses XML into nodes. Document types are refused, and with them every entity but the five of XML itself."""

from __future__ import annotations

from typing import Any
from xml.parsers import expat

from saker.aws.parse.malformed import MAX_DEPTH, MalformedInput


class XmlNode:
    """One element; its name without the namespace's prefix."""

    __slots__ = ("attributes", "children", "tag", "text")

    def __init__(self, tag: str, attributes: dict[str, str]) -> None:
        self.tag = tag
        self.attributes = attributes
        self.children: list[XmlNode] = []
        self.text = ""

    def find(self, tag: str) -> XmlNode | None:
        """The first child of that name."""
        return next((child for child in self.children if child.tag == tag), None)

    def find_all(self, tag: str) -> list[XmlNode]:
        """All children of that name."""
        return [child for child in self.children if child.tag == tag]


def parse_xml(body: bytes) -> XmlNode:
    """The root element.

    Raises:
        MalformedInput: The bytes are not XML, declare a document type or are nested too deep.
    """
    builder = _Builder()
    parser = expat.ParserCreate()
    parser.buffer_text = True
    parser.StartElementHandler = builder.start
    parser.EndElementHandler = builder.end
    parser.CharacterDataHandler = builder.data
    parser.StartDoctypeDeclHandler = builder.doctype
    try:
        parser.Parse(body, True)
    except (expat.ExpatError, ValueError, LookupError) as error:
        if isinstance(error, MalformedInput):
            raise
        raise MalformedInput("The body is not well-formed XML") from None
    return builder.root


class _Builder:
    def __init__(self) -> None:
        self._holder = XmlNode("", {})
        self._open = [self._holder]
        self._texts: list[list[str]] = [[]]

    @property
    def root(self) -> XmlNode:
        return self._holder.children[0]

    def start(self, name: str, attributes: dict[str, str]) -> None:
        if len(self._open) > MAX_DEPTH:
            raise MalformedInput(f"Nested deeper than {MAX_DEPTH} levels")
        node = XmlNode(name.rpartition(":")[2], attributes)
        self._open[-1].children.append(node)
        self._open.append(node)
        self._texts.append([])

    def end(self, _name: str) -> None:
        self._open.pop().text = "".join(self._texts.pop())

    def data(self, text: str) -> None:
        self._texts[-1].append(text)

    def doctype(self, *_declaration: Any) -> None:
        raise MalformedInput("A document type declaration is not allowed")
