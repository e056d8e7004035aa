"""What a person types to run this very program."""

from __future__ import annotations

import shlex
import shutil
import sys
from pathlib import Path

NAME = "saker"


def is_on_path() -> bool:
    """Whether typing `saker` in this shell runs this program and no other."""
    found = shutil.which(NAME)
    return found is not None and Path(found).resolve() == _own_path()


def typed() -> str:
    """`saker`, or else its full path, quoted for a shell."""
    return NAME if is_on_path() else shlex.quote(str(_own_path()))


def shell_function(shell: str) -> list[str]:
    """Makes `saker` mean this program in a shell whose PATH does not hold it; nothing where it does, or for a file.

    A function and not a longer PATH: the folder holds a `python` too, which would take the place of the person's own.
    """
    if is_on_path():
        return []
    path = _own_path()
    quoted = str(path).replace("'", "''")
    functions = {
        "sh": f'{NAME}() {{ {shlex.quote(str(path))} "$@"; }}',
        "fish": f"function {NAME}; {shlex.quote(str(path))} $argv; end",
        "powershell": f"function {NAME} {{ & '{quoted}' @args }}",
    }
    return [functions[shell]] if shell in functions else []


def _own_path() -> Path:
    """The program's own file; under `python -m saker` the one installed beside that Python."""
    started = Path(sys.argv[0])
    return (started if started.name == NAME else Path(sys.executable).with_name(NAME)).resolve()
