"""Says in Saker's words what a hub refused, and what to do about it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol

from saker.core.errors import NotFound, PermissionDenied, SakerError, Unavailable


class Repository(Protocol):
    """What the messages name."""

    id: str
    asked_revision: str


@contextmanager
def translated(repository: Repository) -> Iterator[None]:
    """Turn the errors of huggingface_hub and its HTTP client into platform errors."""
    try:
        yield
    except SakerError:
        raise
    except Exception as error:
        raise _translate(error, repository) from None


def _translate(error: Exception, repository: Repository) -> SakerError:
    names = {cls.__name__ for cls in type(error).__mro__}
    if "GatedRepoError" in names:
        return _gated(repository)
    if "RepositoryNotFoundError" in names:
        return NotFound(
            f"The hub has no model {repository.id!r}, or does not show it to this token.",
            fix="Check the spelling; a private model needs a token that may read it (HF_TOKEN, or SAKER_HF_TOKEN).",
        )
    if "RevisionNotFoundError" in names:
        return NotFound(
            f"The model {repository.id!r} has no revision {repository.asked_revision!r}.",
            fix="Name a branch, a tag or a commit of it, or leave the revision out.",
        )
    if "DisabledRepoError" in names:
        return PermissionDenied(f"The hub has disabled the model {repository.id!r}.", fix="Choose another model.")
    if names & {"EntryNotFoundError", "RemoteEntryNotFoundError"}:
        return NotFound(
            f"A file of {repository.id!r} vanished while it was fetched.",
            fix="Try again; the repository may have changed meanwhile.",
        )
    if "OfflineModeIsEnabled" in names:
        return Unavailable(
            f"The model {repository.id!r} is not on this machine, and the hub may not be asked.",
            why="HF_HUB_OFFLINE is set.",
            fix="Unset it, or deploy a folder.",
        )
    return _unreachable(error, repository)


def _gated(repository: Repository) -> SakerError:
    return PermissionDenied(
        f"The model {repository.id!r} is gated: its makers ask who downloads it.",
        why="The hub refuses it without a token, or to the token that was given.",
        fix="Accept its conditions on its page on the hub, make a token that may read it, and set HF_TOKEN "
        "for the platform or in the model's environment.",
    )


def _unreachable(error: Exception, repository: Repository) -> SakerError:
    response = getattr(error, "response", None)
    status = getattr(response, "status_code", None)
    if status in (401, 403):
        return PermissionDenied(
            f"The hub refuses the model {repository.id!r}.",
            why=f"It answered {status}.",
            fix="Check the token (HF_TOKEN): it may be wrong, expired, or without the right to read this model.",
        )
    if isinstance(error, OSError) and error.errno is not None and status is None:
        return Unavailable(f"The download of {repository.id!r} could not be written.", why=f"{error.strerror}.")
    cause = f"{type(error).__name__}: {_without_queries(str(error))[:300].rstrip('.')}"
    why = f"It answered {status}." if status else f"{cause}."
    return Unavailable(
        f"The hub could not be reached for {repository.id!r}.",
        why=why,
        fix="Check the network, and HF_ENDPOINT or the proxy variables; what was downloaded is kept. "
        "A model that lies in a folder needs no hub.",
    )


def _without_queries(text: str) -> str:
    """Addresses without their queries, which can hold signatures."""
    return re.sub(r"\?[^\s'\"]*", "", text)
