"""The examples in docstrings are true."""

from __future__ import annotations

import doctest
import importlib
from pathlib import Path

import pytest

import saker

PACKAGE = Path(saker.__file__).parent
HEAVY = {"openvino", "openvino_genai", "torch", "transformers"}
"""What only engines import; an engine's examples run where its libraries are."""


def _name(path: Path) -> str:
    return ".".join(path.relative_to(PACKAGE.parent).with_suffix("").parts).removesuffix(".__init__")


WITH_EXAMPLES = sorted(_name(path) for path in PACKAGE.rglob("*.py") if ">>> " in path.read_text(encoding="utf-8"))


@pytest.mark.parametrize("name", WITH_EXAMPLES)
def test_the_examples_of_a_module_hold(name: str) -> None:
    try:
        module = importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name in HEAVY:
            pytest.skip(f"{error.name} is not installed")
        raise

    result = doctest.testmod(module)

    assert result.failed == 0
    assert result.attempted > 0
