"""Where the parts meet: builds every object once, and lists in order what happens to every request."""

from saker.app.server import serve

__all__ = ["serve"]
