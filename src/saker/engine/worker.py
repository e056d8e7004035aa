"""The process around one model: `python -m saker.engine.worker --engine genai --fd 3 --options '{…}'`.

It inherits one end of a socket pair as a file descriptor, so there is no path to guess and no port to guard, and the
end of the gateway is the end of the worker: at end of file it exits at once, even in the middle of loading. It imports
only `saker.core`, `saker.telemetry` and `saker.engine`, so it runs in environments that hold one engine's library and
little else.

Exit codes: 0 asked to stop, or the gateway has gone; 3 unfit, trying again would not help; 4 the gateway sent
something that is no command; 5 the engine keeps failing.
"""

from __future__ import annotations

import argparse
import importlib
import logging
import os
import signal
import socket
import sys
import threading
import time
import traceback
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import NoReturn

import msgspec

from saker import telemetry
from saker.core.errors import EngineFailure, SakerError, Unsupported
from saker.core.suggest import did_you_mean
from saker.engine.base import Engine, EngineOptions, HoldsAdapters, check
from saker.engine.inbox import Inbox, watch_for_end
from saker.engine.messages import (
    AdapterDone,
    Cancel,
    Chunk,
    Command,
    Embed,
    Failed,
    Generate,
    LoadAdapter,
    Ready,
    Report,
    Step,
    Unfit,
    UnloadAdapter,
    pack,
)

UNFIT = 3
BROKEN_PEER = 4
ENGINE_BROKEN = 5

STEP_FAILURES = 2
"""How many steps in a row may fail before the worker gives up; the launcher starts a fresh one."""

ENGINES = {
    "fake": "saker.engine.fake:FakeEngine",
    "genai": "saker.engine.genai:GenAIEngine",
    "paged": "saker.engine.paged.engine:PagedEngine",
    "transformers": "saker.engine.transformers:load",
}
"""Where each engine's class lives; imported only when it is asked for."""

log = logging.getLogger("saker.worker")


def load_engine(name: str, options: EngineOptions) -> Engine:
    """The named engine with its model loaded; the one to fall back on where the first cannot serve this model.

    Raises:
        Unsupported: No engine has that name, or its library is not installed here.
        SakerError: The engine cannot serve this model.
    """
    try:
        return _load_engine(name, options)
    except Unsupported as error:
        if options.fallback is None or options.adapter_bytes:  # the other holds no adapters
            raise
        log.warning("The engine %s does not take the model; %s is tried. %s", name, options.fallback, error)
        return _load_engine(options.fallback, options)


def _load_engine(name: str, options: EngineOptions) -> Engine:
    if name not in ENGINES:
        raise Unsupported(f"There is no engine {name!r}.", fix=did_you_mean(name, ENGINES))
    module, _, attribute = ENGINES[name].partition(":")
    try:
        factory: Callable[[EngineOptions], Engine] = getattr(importlib.import_module(module), attribute)
    except ImportError as error:
        raise Unsupported(
            f"The engine {name!r} cannot start: {error}.",
            why=f"Its library is missing from {sys.prefix!r}.",
            fix=f"Run `saker engines install {name}`.",
        ) from error
    engine = factory(options)
    if options.adapter_bytes:
        _holder(engine, name)
    return engine


class Worker:
    """Moves commands from the socket into the engine, and the engine's chunks back."""

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection
        self._inbox = Inbox(connection)
        self._answers_left: dict[int, int] = {}
        self._failures = 0

    def send(self, report: Report) -> None:
        """Hand one report to the gateway; waits while the gateway is slow."""
        try:
            self._connection.sendall(pack(report))
        except OSError:
            _exit_without_gateway()

    def serve(self, engine: Engine, ready: Ready) -> NoReturn:
        """Take in what arrived, advance the engine by one step, report; for ever."""
        while True:
            for command in self._read(wait=not engine.has_work()):
                self._handle(engine, ready, command)
            if engine.has_work():
                self._step(engine)

    def _read(self, *, wait: bool) -> list[Command]:
        try:
            return self._inbox.read(wait=wait)
        except EOFError:
            _exit_without_gateway()
        except Exception as error:  # whatever is wrong with a frame, nothing after it can be trusted
            log.error("The gateway sent something that is no command: %s.", type(error).__name__)
            _exit(BROKEN_PEER)

    def _handle(self, engine: Engine, ready: Ready, command: Command) -> None:
        try:
            match command:
                case Generate(id=id, request=request):
                    check(request, ready.capabilities, ready.engine)
                    engine.submit(id, request)
                    self._answers_left[id] = request.n
                case Embed(id=id, inputs=inputs):
                    self.send(engine.embed(id, inputs))
                case Cancel(id=id):
                    self._answers_left.pop(id, None)
                    engine.cancel(id)
                case LoadAdapter(id=id, name=name, path=path):
                    _holder(engine, ready.engine).load_adapter(name, path)
                    self.send(AdapterDone(id))
                case UnloadAdapter(id=id, name=name):
                    _holder(engine, ready.engine).unload_adapter(name)
                    self.send(AdapterDone(id))
        except Exception as error:
            self._fail(command.id, error)

    def _step(self, engine: Engine) -> None:
        try:
            produced = engine.step()
        except Exception as error:
            self._fail_all(engine, error)
            return
        self._failures = 0
        chunks: list[Chunk] = []
        for item in produced:
            if isinstance(item, Failed):
                self._answers_left.pop(item.id, None)
                self.send(item)
                continue
            chunks.append(item)
            if item.finish is not None:
                self._finish_answer(item.id)
        if chunks:
            self.send(Step(tuple(chunks)))

    def _finish_answer(self, id: int) -> None:
        self._answers_left[id] -= 1
        if not self._answers_left[id]:
            del self._answers_left[id]

    def _fail(self, id: int, error: Exception) -> None:
        if not isinstance(error, SakerError):
            log_exception(error)
            error = EngineFailure(f"The engine failed: {type(error).__name__}.", fix="The endpoint's log says where.")
        self.send(Failed(id, type(error).__name__, error.what, error.why, error.fix))

    def _fail_all(self, engine: Engine, error: Exception) -> None:
        """Give up all running requests; and the process, when that keeps happening."""
        log_exception(error)
        running, self._answers_left = list(self._answers_left), {}
        for id in running:
            self.send(Failed(id, "EngineFailure", f"The engine failed in a step: {type(error).__name__}."))
            with suppress(Exception):  # already failing; a second error says nothing new
                engine.cancel(id)
        self._failures += 1
        if self._failures >= STEP_FAILURES:
            log.error("%d steps in a row failed; giving up.", self._failures)
            _exit(ENGINE_BROKEN)


def _holder(engine: Engine, name: str) -> HoldsAdapters:
    if isinstance(engine, HoldsAdapters):
        return engine
    raise Unsupported(f"The engine {name!r} holds no adapters.", fix="Deploy with the engine 'paged'.")


def log_exception(error: Exception) -> None:
    """Log where an exception came from, without its message, which may quote a prompt."""
    frames = "".join(traceback.format_tb(error.__traceback__))
    log.error("%s\n%s", type(error).__name__, frames.rstrip())


def _exit(code: int) -> NoReturn:
    """End the process from any thread, in the middle of anything."""
    logging.shutdown()
    os._exit(code)


def _exit_without_gateway() -> NoReturn:
    log.info("The gateway has gone.")
    _exit(0)


def _stop_on_sigterm() -> None:
    """Exit on SIGTERM even while a library call blocks the main thread, which a signal handler could not."""
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})

    def wait() -> None:
        signal.sigwait({signal.SIGTERM})
        log.info("Asked to stop.")
        _exit(0)

    threading.Thread(target=wait, name="sigterm", daemon=True).start()


def _load(worker: Worker, name: str, options: EngineOptions, started: float) -> tuple[Engine, Ready]:
    try:
        engine = load_engine(name, options)
        ready = msgspec.structs.replace(engine.describe(), load_s=time.monotonic() - started)
    except SakerError as error:
        log.error("Unfit: %s", error)
        worker.send(Unfit(error.what, error.why, error.fix))
        _exit(UNFIT)
    except Exception as error:
        # Before the first request there is no prompt that a message could quote.
        log.exception("Loading failed.")
        worker.send(Unfit(f"The engine {name!r} failed while loading.", f"{type(error).__name__}: {error}"[:500]))
        _exit(UNFIT)
    return engine, ready


def main(arguments: list[str] | None = None) -> NoReturn:
    """Run a worker until it is told to stop or its gateway goes away."""
    started = time.monotonic()
    parser = argparse.ArgumentParser(prog="saker.engine.worker")
    parser.add_argument("--engine", required=True)
    parser.add_argument("--fd", type=int, required=True, help="the inherited end of a socket pair")
    parser.add_argument("--options", required=True, help="EngineOptions as JSON")
    given = parser.parse_args(arguments)
    telemetry.configure("info")
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the whole group; the gateway decides
    _stop_on_sigterm()
    with suppress(OSError):  # a name in `ps` and `top`, where the system has one to set
        Path("/proc/self/comm").write_text(f"saker-{given.engine}"[:15])
    os.set_inheritable(given.fd, False)
    connection = socket.socket(fileno=given.fd)
    worker = Worker(connection)
    threading.Thread(target=watch_for_end, args=(connection, _exit_without_gateway), daemon=True).start()
    options = msgspec.json.decode(given.options, type=EngineOptions)
    engine, ready = _load(worker, given.engine, options, started)
    log.info("Loaded %s with engine %s in %.1f s.", options.model_path, given.engine, ready.load_s)
    worker.send(ready)
    worker.serve(engine, ready)


if __name__ == "__main__":
    main()
