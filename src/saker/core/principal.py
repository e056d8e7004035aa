"""Who is calling."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Principal:
    """A caller that has proved itself."""

    account_id: str
    arn: str
    """As AWS writes it: "arn:aws:iam::000000000000:root", "arn:aws:iam::000000000000:user/ada"."""
    key_id: str
    """The access key id that proved it; shown in logs and never secret."""

    @property
    def is_root(self) -> bool:
        """Whether this is the account's root, whom no policy bounds."""
        return self.arn.endswith(":root")
