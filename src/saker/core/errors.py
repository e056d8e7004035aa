"""Every error that the platform raises on purpose, in one small tree.

SakerError
├── InvalidInput        the request is wrong and stays wrong
│   ├── TooLarge        longer than a stated limit
│   └── Unsupported     understood, but nothing here can do it
├── Unauthenticated     the caller did not prove who it is
├── PermissionDenied    the caller is known and may not
├── NotFound            nothing of that name, or nothing that the caller may see
├── Conflict            the resource's state forbids it
│   └── AlreadyExists
├── Throttled           too many requests at once
├── Unavailable         nothing serves it at the moment; trying again may help
├── DeadlineExceeded    it took longer than the caller or a limit allows
├── EngineFailure       the model process failed while it worked on the request
└── Internal            a fault of Saker's own

Rooms raise these; each door translates them once, in one table.
A message names things by id and number and never holds a prompt, a document or a secret.
"""

from __future__ import annotations

from typing import ClassVar, Literal


class SakerError(Exception):
    """What happened, why, and what to do about it: three sentences; the last two may be left out."""

    fault: ClassVar[Literal["client", "server"]] = "client"
    is_retry_safe: ClassVar[bool] = False

    def __init__(self, what: str, *, why: str = "", fix: str = "", code: str = "") -> None:
        """
        Args:
            what: One sentence, with the offending value quoted.
            why: One sentence: the limit beside the actual, the state that forbids it.
            fix: A command, a setting or the nearest right word.
            code: A more exact wire code than the class's own, where AWS defines one (e.g. "SignatureDoesNotMatch").
        """
        self.what = what
        self.why = why
        self.fix = fix
        self.code = code
        super().__init__(" ".join(part for part in (what, why, fix) if part))


class InvalidInput(SakerError):
    """The request is wrong and stays wrong."""


class TooLarge(InvalidInput):
    """Something is longer or bigger than a stated limit."""


class Unsupported(InvalidInput):
    """The request is understood, but nothing here can do it."""


class Unauthenticated(SakerError):
    """The caller did not prove who it is."""


class PermissionDenied(SakerError):
    """The caller is known and may not do this."""


class NotFound(SakerError):
    """Nothing of that name exists, or nothing that the caller may see; the two read alike."""


class Conflict(SakerError):
    """The state of the resource forbids the operation."""


class AlreadyExists(Conflict):
    """A resource of that name exists."""


class Throttled(SakerError):
    """More requests at once than a stated limit."""

    is_retry_safe = True


class Unavailable(SakerError):
    """Nothing serves the request at the moment."""

    fault = "server"
    is_retry_safe = True


class DeadlineExceeded(SakerError):
    """It took longer than the caller, or a stated limit, allows."""

    fault = "server"


class EngineFailure(SakerError):
    """The model process failed while it worked on this request."""

    fault = "server"


class Internal(SakerError):
    """A fault of Saker's own; the log holds the cause under the request id."""

    fault = "server"


# The names that cross a process border (worker to gateway), each way.
BY_NAME: dict[str, type[SakerError]] = {
    cls.__name__: cls
    for cls in (
        InvalidInput,
        TooLarge,
        Unsupported,
        Unauthenticated,
        PermissionDenied,
        NotFound,
        Conflict,
        AlreadyExists,
        Throttled,
        Unavailable,
        DeadlineExceeded,
        EngineFailure,
        Internal,
    )
}
