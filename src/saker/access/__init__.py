"""Who the caller is and what they may do; the only place that decides."""

from saker.access.authenticate import Authenticator
from saker.access.policy import allow

__all__ = ["Authenticator", "allow"]
