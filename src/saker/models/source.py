"""Reads what a person or CreateModel names as a model: a folder, a GGUF file, a hub id, or "embedded"."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from saker.core.errors import InvalidInput, Unsupported
from saker.core.suggest import nearest

_PART = r"[A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?"
_HUB = re.compile(rf"(?P<id>{_PART}(?:/{_PART})?)(?P<file>/[^@]+\.gguf)?(?:@(?P<revision>[^@\s]+))?", re.ASCII)
_REVISION = re.compile(r"[A-Za-z0-9][A-Za-z0-9._/-]*", re.ASCII)
_MAX_HUB_ID = 96  # Source: huggingface_hub, validate_repo_id
_MAX_LENGTH = 4096
_EXAMPLES = "Name a folder (/models/mine), a GGUF file, a hub id (HuggingFaceTB/SmolLM2-360M-Instruct) or 'embedded'."

SourceKind = Literal["folder", "gguf", "hub", "embedded"]


@dataclass(frozen=True, slots=True)
class ModelSource:
    """Where a model comes from.

    >>> ModelSource.parse("hf://HuggingFaceTB/SmolLM2-360M-Instruct@main")
    ModelSource(kind='hub', location='HuggingFaceTB/SmolLM2-360M-Instruct', revision='main', file='')
    >>> str(ModelSource.parse("HuggingFaceTB/SmolLM2-360M-Instruct"))
    'hf://HuggingFaceTB/SmolLM2-360M-Instruct'
    """

    kind: SourceKind
    location: str
    """An absolute path, a hub id, or empty for "embedded"."""
    revision: str = ""
    """A hub branch, tag or commit; empty is the default branch."""
    file: str = ""
    """One GGUF file of a hub repository; empty lets Saker choose."""

    def __str__(self) -> str:
        if self.kind == "embedded":
            return "embedded"
        if self.kind != "hub":
            return self.location
        file = f"/{self.file}" if self.file else ""
        return f"hf://{self.location}{file}" + (f"@{self.revision}" if self.revision else "")

    @classmethod
    def parse(cls, text: str, *, revision: str = "", relative_to: Path | None = None) -> ModelSource:
        """Read a source.

        Args:
            text: As the user wrote it.
            revision: For hub ids that carry none themselves.
            relative_to: Where relative paths start; None (a server has no such place) refuses them. A relative path
                that exists wins over a hub id of the same spelling.

        Raises:
            InvalidInput: Nothing that can be a model.
            Unsupported: An S3 address.
        """
        _check_text(text)
        if text == "embedded":
            return cls("embedded", "")
        if "://" in text:
            return _from_address(text, revision)
        path = _as_path(text, relative_to)
        if path is not None:
            return cls("gguf" if path.suffix.lower() == ".gguf" else "folder", str(path))
        return _from_hub_id(text, revision)


def _check_text(text: str) -> None:
    if not text.strip():
        raise InvalidInput("No model was named.", fix=_EXAMPLES)
    if len(text) > _MAX_LENGTH or any(not c.isprintable() for c in text):
        raise InvalidInput(
            f"{text[:60]!r} is not a model source.", why="It is too long or holds control characters.", fix=_EXAMPLES
        )


def _from_address(text: str, revision: str) -> ModelSource:
    scheme, _, rest = text.partition("://")
    if scheme == "hf":
        return _from_hub_id(rest, revision)
    if scheme == "s3":
        raise Unsupported(
            f"Model source {text!r} cannot be read yet.",
            why="S3 sources come with the S3 door.",
            fix="Copy the files into a local folder and name that folder.",
        )
    if scheme in ("http", "https") and rest.startswith("huggingface.co/"):
        raise InvalidInput(
            f"{text!r} is a web page, not a model source.", fix=f"Name the hub id: {rest.split('/', 1)[1][:96]!r}."
        )
    raise InvalidInput(
        f"Unknown kind of model source {scheme + '://'!r} in {text[:100]!r}.",
        why="Known: hf://.",
        fix=_EXAMPLES,
    )


def _as_path(text: str, relative_to: Path | None) -> Path | None:
    """The path that the text names, or None when it must be a hub id."""
    if text.startswith(("/", "~")):
        try:
            return Path(text).expanduser().absolute()
        except RuntimeError:
            raise InvalidInput(f"The home folder in {text!r} is unknown.", fix="Name an absolute path.") from None
    if relative_to is not None and (_is_plainly_relative(text) or (relative_to / text).exists()):
        return Path(relative_to / text).absolute()
    if _is_plainly_relative(text):
        raise InvalidInput(
            f"{text!r} is a relative path.",
            why="The platform runs in a folder of its own, so a relative path has no place to start from.",
            fix="Name the absolute path.",
        )
    return None


def _is_plainly_relative(text: str) -> bool:
    if text in (".", "..") or text.startswith(("./", "../")):
        return True
    return text.lower().endswith(".gguf") and text.count("/") < 2


def _from_hub_id(text: str, revision: str) -> ModelSource:
    match = _HUB.fullmatch(text)
    if match is None or not _is_hub_id(match["id"]):
        raise InvalidInput(
            f"{text[:200]!r} is not a model source.",
            why="A hub id has letters, digits, '-', '_' and '.' in at most two parts, and at most 96 characters.",
            fix=_EXAMPLES,
        )
    if "/" not in text and nearest(text, ["embedded"]):
        raise InvalidInput(f"Unknown model source {text!r}.", fix="Did you mean 'embedded'?")
    revision = match["revision"] or revision
    if revision and (_REVISION.fullmatch(revision) is None or ".." in revision):
        raise InvalidInput(
            f"{revision[:100]!r} is not a hub revision.", fix="Name a branch, a tag or a commit: hf://ID@main."
        )
    return ModelSource("hub", match["id"], revision, (match["file"] or "").lstrip("/"))


def _is_hub_id(text: str) -> bool:
    return len(text) <= _MAX_HUB_ID and "--" not in text and ".." not in text and not text.endswith(".git")
