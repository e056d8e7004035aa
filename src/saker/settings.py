"""Every setting: its default, its unit, and where its value came from.

Order, strongest first: command line, environment (`SAKER_<NAME>`), `settings.toml` in the data folder, default.
Read once when a process starts and passed down; no other code looks at the environment for settings.
"""

from __future__ import annotations

import dataclasses
import os
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from saker.core.errors import InvalidInput
from saker.core.suggest import did_you_mean


class Secret:
    """Text that prints as stars, so that it reaches no log by accident; `reveal` gives it out on purpose.

    Not a `str`: joining, formatting and encoding as JSON would show one.
    """

    __slots__ = ("_text",)

    def __init__(self, text: str) -> None:
        self._text = text

    def __repr__(self) -> str:
        return "Secret('**********')"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and self._text == other._text

    def __hash__(self) -> int:
        return hash(self._text)

    def __bool__(self) -> bool:
        return bool(self._text)

    def reveal(self) -> str:
        """The text itself."""
        return self._text


def _setting(default: Any, help: str, check: Callable[[Any], bool] | None = None, rule: str = "") -> Any:
    """A field with what `saker settings` shows of it; `check` must hold for its value, `rule` says so in words."""
    return field(default=default, metadata={"help": help, "check": check, "rule": rule})


def _choice(default: str, help: str, *words: str) -> Any:
    """A setting that takes one of a few words."""
    return _setting(default, help, lambda value: value in words, f"one of {', '.join(words)}")


def _positive(value: float) -> bool:
    return value > 0


@dataclass(frozen=True)
class Settings:
    """One process's settings. Durations are in seconds, sizes in bytes, unless a name says otherwise."""

    home: Path = _setting(Path("~/.saker"), "The data folder; everything that Saker keeps is under it.")
    host: str = _setting("127.0.0.1", "The address to listen on. Others than loopback let other machines in.")
    port: int = _setting(8750, "The port to listen on.", lambda v: 0 <= v < 65536, "between 0 and 65535 (0: any free)")
    region: str = _setting("us-east-1", "The AWS region that clients are told.")
    account_id: str = _setting(
        "000000000000", "The AWS account id.", lambda v: len(v) == 12 and v.isascii() and v.isdigit(), "12 digits"
    )
    root_access_key_id: str = _setting("", "The root access key id; empty makes one at the first start.")
    root_secret_access_key: Secret = _setting(Secret(""), "The root secret; empty makes one at the first start.")
    demo: bool = _setting(True, "Whether the first start deploys the embedded model as endpoint 'demo'.")
    engine: str = _choice(
        "auto",
        "The engine for models whose container does not name one.",
        *("auto", "genai", "paged", "transformers", "fake"),
    )
    engines_home: Path = _setting(Path(""), "Where engine environments live; empty is `engines` in the data folder.")
    weight_format: str = _choice(
        "int8", "Weights on CPU: int8, int4, fp16, bf16 or fp32.", "int8", "int4", "fp16", "bf16", "fp32"
    )
    precision: str = _choice(
        "default", "Arithmetic and KV cache: default (fastest) or fp32 (equal to the reference).", "default", "fp32"
    )
    max_body_bytes: int = _setting(
        25 * 1024**2, "The largest request body; SageMaker's limit is 25 MiB.", _positive, "above 0"
    )
    header_timeout_s: float = _setting(10.0, "Time for a client to send a request's headers.", _positive, "above 0")
    body_timeout_s: float = _setting(30.0, "Time for a client to send the next part of a body.", _positive, "above 0")
    max_connections: int = _setting(2048, "Open connections; more are answered 503.", _positive, "above 0")
    invoke_timeout_s: float = _setting(
        600.0, "Time to wait for one answer of a model, from first to last token.", _positive, "above 0"
    )
    hold_s: float = _setting(
        60.0, "How long a request waits for a replica when an endpoint has none ready.", lambda v: v >= 0, "0 or above"
    )
    max_queue: int = _setting(
        1024, "Requests in flight at one replica; more are refused (throttled).", _positive, "above 0"
    )
    start_timeout_s: float = _setting(600.0, "Time for a worker to load its model.", _positive, "above 0")
    start_attempts: int = _setting(3, "Failed starts in a row before an endpoint's change fails.", _positive, "above 0")
    drain_timeout_s: float = _setting(
        120.0, "Time for running requests when a replica is replaced.", _positive, "above 0"
    )
    memory_limit_ratio: float = _setting(
        0.9, "The part of the free memory that a new replica may plan with.", lambda v: 0 < v <= 1, "above 0, at most 1"
    )
    log_level: str = _choice("info", "debug, info, warning or error.", "debug", "info", "warning", "error")
    hf_token: Secret = _setting(Secret(""), "Token for gated models; also read from HF_TOKEN.")
    hf_endpoint: str = _setting("https://huggingface.co", "The hub; also read from HF_ENDPOINT.")
    install_engines: bool = _setting(True, "Whether a deployment may install the engine environment it needs, by pip.")
    pip_args: str = _setting("", "Further arguments for pip when `saker engines install` makes an environment.")
    sources: Mapping[str, str] = field(default_factory=dict, compare=False, repr=False)
    """Where each value came from: "default", "command line", "environment SAKER_PORT", or the file's path."""

    @property
    def engines_folder(self) -> Path:
        """Where engine environments live."""
        return self.engines_home if str(self.engines_home) not in ("", ".") else self.home / "engines"

    @property
    def url(self) -> str:
        """Where clients on this machine reach the platform."""
        host = "127.0.0.1" if self.host in ("0.0.0.0", "::", "localhost") else self.host  # noqa: S104  # compared, not bound
        return f"http://[{host}]:{self.port}" if ":" in host else f"http://{host}:{self.port}"


ALIASES = {"hf_token": ("HF_TOKEN",), "hf_endpoint": ("HF_ENDPOINT",)}
"""Environment names of other tools that people have set already; weaker than Saker's own."""


def names() -> list[str]:
    """Every setting's name, in the order of the class."""
    return [f.name for f in dataclasses.fields(Settings) if f.name != "sources"]


def load(overrides: Mapping[str, Any] | None = None, environ: Mapping[str, str] | None = None) -> Settings:
    """Read the settings.

    Args:
        overrides: From the command line; None values are left out.
        environ: The environment; None is this process's own.

    Raises:
        InvalidInput: An unknown setting, or a value outside its range; says where it came from.
    """
    environ = os.environ if environ is None else environ
    for name in overrides or {}:
        if name not in names():
            raise InvalidInput(f"Unknown setting {name!r}.", fix=did_you_mean(name, names()))
    given = _from_environment(environ) | {
        name: (value, "command line") for name, value in (overrides or {}).items() if value is not None
    }
    home = Path(given["home"][0] if "home" in given else Settings.home).expanduser().absolute()
    found = _from_file(home / "settings.toml") | given | {"home": (home, given.get("home", ("", "default"))[1])}
    values = {name: _convert(name, raw, source) for name, (raw, source) in found.items()}
    sources = {name: found[name][1] if name in found else "default" for name in names()}
    return Settings(**values, sources=sources)


def _from_environment(environ: Mapping[str, str]) -> dict[str, tuple[Any, str]]:
    found: dict[str, tuple[Any, str]] = {}
    known = {f"SAKER_{name.upper()}": name for name in names()}
    for variable in environ:
        if variable.startswith("SAKER_") and variable not in known:
            raise InvalidInput(f"Unknown setting {variable!r} in the environment.", fix=did_you_mean(variable, known))
    for name in names():
        for variable in (*ALIASES.get(name, ()), f"SAKER_{name.upper()}"):
            if environ.get(variable):
                found[name] = (environ[variable], f"environment {variable}")
    return found


def _from_file(path: Path) -> dict[str, tuple[Any, str]]:
    try:
        content = tomllib.loads(path.read_text(encoding="utf-8"))
    except (FileNotFoundError, NotADirectoryError):
        return {}
    except (OSError, tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise InvalidInput(f"The settings file {str(path)!r} cannot be read.", why=f"{error}.") from error
    if "home" in content:
        raise InvalidInput(
            f"Setting 'home' is in {str(path)!r}.",
            why="The file is found through it, so it cannot be changed there.",
            fix="Set SAKER_HOME.",
        )
    for name in content:
        if name not in names():
            raise InvalidInput(f"Unknown setting {name!r} in {str(path)!r}.", fix=did_you_mean(name, names()))
    return {name: (value, str(path)) for name, value in content.items()}


def _convert(name: str, raw: Any, source: str) -> Any:
    """The raw value in the setting's own type, checked."""
    entry = next(f for f in dataclasses.fields(Settings) if f.name == name)
    try:
        value = _as_type(str(entry.type), raw)
    except ValueError:
        shown = "is no text" if entry.type == "Secret" else f"is {raw!r}"
        raise InvalidInput(
            f"Setting {name!r} {shown} (from {source}).", fix=f"It must be of type {entry.type}."
        ) from None
    check = entry.metadata["check"]
    if check is not None and not check(value):
        raise InvalidInput(
            f"Setting {name!r} is {value!r} (from {source}).", fix=f"It must be {entry.metadata['rule']}."
        )
    return value


_BOOLEANS = {"1": True, "true": True, "yes": True, "on": True, "0": False, "false": False, "no": False, "off": False}
_PLAIN = {"int": int, "float": float, "str": str, "Secret": Secret}


def _as_type(kind: str, raw: Any) -> Any:
    """
    Raises:
        ValueError: The value means nothing in that type.
    """
    if kind == "bool" and str(raw).lower() in _BOOLEANS:
        return _BOOLEANS[str(raw).lower()]
    if kind == "Path" and isinstance(raw, Path):
        return raw.expanduser()
    if kind == "bool" or isinstance(raw, bool) or not isinstance(raw, str | int | float):
        raise ValueError(raw)
    if kind == "Path":
        return Path(str(raw)).expanduser()
    if kind == "int" and isinstance(raw, float):  # rounding would change what was asked for
        raise ValueError(raw)
    return _PLAIN[kind](str(raw))
