"""A helper process for tests: does what its request says."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from typing import Any

from saker.core.errors import NotFound
from saker.models.helper import Report, serve


def work(request: dict[str, Any], report: Report) -> dict[str, Any]:
    """Behave as told."""
    print("a library talks")
    report("convert", "at work", 1, 2, "steps")
    match request["do"]:
        case "answer":
            return {"echo": request["value"]}
        case "refuse":
            raise NotFound("No such thing.", why="It never was.", fix="Look elsewhere.")
        case "break":
            raise ZeroDivisionError("a secret of the stack")
        case "die":
            os.kill(os.getpid(), signal.SIGKILL)
        case "exit":
            os._exit(3)
        case "hang":
            child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
            report("convert", f"{os.getpid()} {child.pid}")
            time.sleep(600)
    return {}


if __name__ == "__main__":
    serve(work)
