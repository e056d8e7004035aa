"""What `saker doctor` looks at; each check tells what it found, and what to do when that is wrong."""

from saker.cli.checks.base import Check, Context, Finding
from saker.cli.checks.engines import engine_environments
from saker.cli.checks.folder import credentials_file, data_folder
from saker.cli.checks.machine import disk, memory, open_files, port, python
from saker.cli.checks.network import hub
from saker.cli.checks.platform import clock, platform
from saker.cli.checks.shell import client_environment

CHECKS: tuple[Check, ...] = (
    *(python, memory, disk, open_files),
    *(data_folder, credentials_file),
    *(port, platform, clock),
    *(engine_environments, hub, client_environment),
)
"""In the order in which they are shown."""

__all__ = ["CHECKS", "Check", "Context", "Finding"]
