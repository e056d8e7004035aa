from __future__ import annotations

import pytest

from saker.aws import Catalog
from support.aws_wire import SERVICES


@pytest.fixture(scope="session")
def catalog() -> Catalog:
    return Catalog(SERVICES)
