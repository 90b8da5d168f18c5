"""Asks a Python callable: a plain function in a thread of its own, a coroutine on the loop."""

from __future__ import annotations

import asyncio
import contextvars
import importlib
import inspect
import sys
import threading
import time
import traceback
from collections.abc import Awaitable, Callable
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import TypeAlias, TypeVar, cast

from evalrunner.adapters.credentials import KeyRing
from evalrunner.adapters.http_faults import shown_text
from evalrunner.adapters.target_answer import prompt_as_json, response_from
from evalrunner.adapters.target_identity import module_and_name
from evalrunner.errors import CallTimeout, ConfigError, ModelCallError, TargetFailed
from evalrunner.values.exchange import ModelResponse, TargetRequest

Callee: TypeAlias = Callable[[object, object], object]
T = TypeVar("T")


class PythonTarget:
    """A :class:`~evalrunner.engine.ports.TargetClient` for ``module:callable``.

    The callable is imported at the first call. It gets the prompt (text, or a list of messages) and the
    variables. A call that does not end in time is left behind, in a thread that ends with the process.

    Args:
        reference: ``package.module:callable``.
        label: How reports call the target.
        root: The project root; it is importable, as is ``src`` below it.
        keys: What is taken out of error texts.
    """

    def __init__(self, reference: str, *, label: str, root: Path, keys: KeyRing) -> None:
        self._reference = reference
        self._label = label
        self._root = root
        self._keys = keys
        self._callee: Callee | None = None
        self._loading = threading.Lock()

    async def answer(self, request: TargetRequest, deadline_seconds: float) -> ModelResponse:
        """Calls it once; see :class:`~evalrunner.engine.ports.TargetClient`."""
        started = time.monotonic()
        task = asyncio.ensure_future(self._call(request))
        done, _ = await _waited(task, deadline_seconds)
        if not done:
            raise CallTimeout(
                f"target {self._label!r} gave no answer within {deadline_seconds:g} s",
                possibly_paid=True,
            )
        if task.cancelled():
            raise TargetFailed(f"target {self._label!r} cancelled itself")
        answered = task.result()
        seconds = time.monotonic() - started
        return response_from(answered, label=self._label, seconds=seconds)

    async def aclose(self) -> None:
        """Nothing is held."""

    async def _call(self, request: TargetRequest) -> object:
        """The answer, or TargetFailed. Not even SystemExit leaves: it would end the event loop."""
        prompt, values = prompt_as_json(request.prompt), dict(request.vars)
        try:
            callee = self._callee
            if callee is None:
                callee = await _in_thread(self._load)
            if _is_async(callee):
                answered = callee(prompt, values)
            else:
                answered = await _in_thread(partial(callee, prompt, values))
            return await answered if isinstance(answered, Awaitable) else answered
        except (asyncio.CancelledError, ModelCallError):
            raise
        except BaseException as error:  # the user's code: whatever it raises is its failure
            raise self._failure(error) from error

    def _load(self) -> Callee:
        with self._loading:
            if self._callee is None:
                self._callee = self._imported()
            return self._callee

    def _imported(self) -> Callee:
        try:
            module, name = module_and_name(self._reference)
        except ConfigError as error:
            raise TargetFailed(error.message, hint=error.hint) from error
        for folder in (self._root / "src", self._root):
            if folder.is_dir() and str(folder) not in sys.path:
                sys.path.insert(0, str(folder))
        found: object = importlib.import_module(module)
        for part in name.split("."):
            found = getattr(found, part)
        if not callable(found):
            raise TargetFailed(f"{self._reference!r} is not callable")
        return found

    def _failure(self, error: BaseException) -> TargetFailed:
        said = shown_text(str(error), self._keys.redact)
        words = f"target {self._label!r} raised {type(error).__name__}"
        return TargetFailed(words + (f": {said}" if said else "") + _where(error, self._root))


def _where(error: BaseException, root: Path) -> str:
    """The innermost line of the project's own code that an error came through."""
    place = ""
    for frame, line in traceback.walk_tb(error.__traceback__):
        path = Path(frame.f_code.co_filename)
        if path.is_relative_to(root) and "site-packages" not in path.parts:
            place = f" ({path.relative_to(root).as_posix()}:{line})"
    return place


def _is_async(callee: Callee) -> bool:
    return inspect.iscoroutinefunction(callee) or inspect.iscoroutinefunction(
        getattr(callee, "__call__", None)  # noqa: B004  # an object whose call is a coroutine
    )


async def _waited(
    task: asyncio.Future[object], seconds: float
) -> tuple[set[asyncio.Future[object]], set[asyncio.Future[object]]]:
    """Waits for a task, and cancels it without waiting for how it takes that."""
    try:
        return await asyncio.wait({task}, timeout=seconds)
    finally:
        if not task.done():
            task.cancel()
            task.add_done_callback(lambda left: left.cancelled() or left.exception())


async def _in_thread(work: Callable[[], T]) -> T:
    """Runs blocking work in a thread that nobody waits for at exit, however long it hangs."""
    loop = asyncio.get_running_loop()
    result: asyncio.Future[T] = loop.create_future()
    context = contextvars.copy_context()

    def settle(value: T | None, error: BaseException | None) -> None:
        if result.done():
            return
        if error is not None:
            result.set_exception(error)
        else:
            result.set_result(cast("T", value))

    def run() -> None:
        value: T | None = None
        failure: BaseException | None = None
        try:
            value = context.run(work)
        except StopIteration as error:  # a future cannot carry it
            failure = RuntimeError(f"StopIteration: {error}")
        except BaseException as error:  # noqa: BLE001  # the user's code
            failure = error
        with suppress(RuntimeError):  # the loop is closed: nobody waits any more
            loop.call_soon_threadsafe(settle, value, failure)

    threading.Thread(target=run, name="evalrunner-target", daemon=True).start()
    return await result
