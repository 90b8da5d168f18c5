"""The fixture ``llm_eval``: asks a model from a test, through the session's one executor."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Generator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import pytest

from evalrunner.engine.portable import (
    error_from_json,
    reply_from_json,
    request_to_json,
)
from evalrunner.errors import EvalRunnerError, ModelCallError, NotAsked
from evalrunner.pytest_plugin.golden import Row
from evalrunner.pytest_plugin.result import EvalResult, require_verdict
from evalrunner.pytest_plugin.service import ServiceError
from evalrunner.pytest_plugin.session import Evals, evals_of
from evalrunner.reports.document_cases import case_line
from evalrunner.suite.files import name_below
from evalrunner.values.exchange import Json, ModelRequest, Reply, Request
from evalrunner.values.result import CaseResult
from evalrunner.wiring.python_evals import (
    PythonEvals,
    Written,
    WrittenCheck,
    drive,
    drive_async,
)

CASES: Final = pytest.StashKey[list[CaseResult]]()
"""The cases that a test has made so far, under its item."""


class LlmEval:
    """Asks a model, checks what it says, and counts all of it in the session's evals.

    Answers come from the cache where they can. In a coroutine ``await`` it, so that the event loop
    goes on meanwhile; elsewhere it returns when the verdict is there.

    Args:
        request: The test that uses it.
    """

    def __init__(self, request: pytest.FixtureRequest) -> None:
        self._item: pytest.Item = request.node
        self._evals = evals_of(request.config)
        self._marker = _Marker(self._item)
        self._pending: list[PendingEval] = []
        self._item.stash[CASES] = []

    def __call__(
        self,
        prompt: str | Sequence[Mapping[str, Json]],
        vars: Mapping[str, Json] | None = None,  # noqa: A002  # the word of suites
        *,
        checks: Sequence[WrittenCheck] = (),
        target: str | None = None,
        threshold: float | None = None,
        tools: Json = None,
        response_format: Json = None,
        repeat: int = 0,
        must_pass: bool = True,
    ) -> EvalResult:
        """Asks the target and has every check look at its answer.

        Args:
            prompt: Text or chat messages. With *vars* they are templates, without them they are sent
                as they are, and checks know the text as ``{{prompt}}``.
            vars: What templates are filled in with. A row of :func:`evalrunner.pytest.golden` brings
                its own checks along.
            checks: Checks as in a suite file, names of types, or functions of the output.
            target: A tier, a name of ``models:`` or an id; by default the marker's, else ``frontier``.
            threshold: The least weighted mean score, instead of every check holding.
            tools: The tools that the model may call, as its provider spells them.
            response_format: The structured output that is asked for, as the provider spells it.
            repeat: Which draw of the same question: another number is another answer.
            must_pass: Whether a check that does not hold fails the test here.

        Raises:
            CheckFailed: A check did not hold.
            EvalErrored: There is no verdict.
            EvalRunnerError: What was written cannot be used.
        """
        __tracebackhide__ = True
        settings = {"tools": tools, "response_format": response_format}
        return self._eval(
            must_pass=must_pass,
            prompt=prompt,
            variables=vars,
            checks=checks,
            target=target,
            threshold=threshold,
            settings=settings,
            repeat=repeat,
        )

    def check(
        self,
        output: str,
        *checks: WrittenCheck,
        prompt: str | Sequence[Mapping[str, Json]] = "",
        vars: Mapping[str, Json] | None = None,  # noqa: A002  # as above
        threshold: float | None = None,
        must_pass: bool = True,
    ) -> EvalResult:
        """Has checks look at an output that is at hand, such as an application's; judges may be asked.

        Args:
            output: What is checked.
            checks: As above.
            prompt: What was asked, for judges and for the report.
            vars: What templates of the checks are filled in with.
            threshold: As above.
            must_pass: As above.

        Raises:
            CheckFailed: A check did not hold.
            EvalErrored: There is no verdict.
            EvalRunnerError: What was written cannot be used.
        """
        __tracebackhide__ = True
        return self._eval(
            must_pass=must_pass,
            prompt=prompt,
            variables=vars,
            checks=checks,
            threshold=threshold,
            output=output,
        )

    def close(self) -> None:
        """Fails a test that has asked and never looked.

        Raises:
            RuntimeError: A call in a coroutine was not awaited.
        """
        if any(not pending.awaited for pending in self._pending):
            raise RuntimeError("llm_eval was called in a coroutine and not awaited")

    def _eval(self, *, must_pass: bool, output: str | None = None, **asked: Any) -> EvalResult:
        __tracebackhide__ = True
        written = self._written(output=output, **asked)
        try:
            python = _python_evals(self._evals, written.file)
            case = python.case(written)
        except EvalRunnerError as error:  # what was written is wrong, and not where we found out
            raise error.with_traceback(None) from None
        root = str(python.project.root)

        def ended(result: CaseResult) -> EvalResult:
            __tracebackhide__ = True
            self._item.stash[CASES].append(result)
            report(self._evals, root, result)
            return require_verdict(
                result, must_pass=must_pass, skips_misses=self._evals.skips_misses
            )

        asking = _Asking(self._evals, root)
        if not _in_a_coroutine():
            return ended(drive(case, asking.now, output=output))

        async def later() -> EvalResult:
            __tracebackhide__ = True
            return ended(await drive_async(case, asking.later, output=output))

        pending = PendingEval(later)
        self._pending.append(pending)
        return pending  # type: ignore[return-value]  # it becomes one where it is awaited

    def _written(
        self,
        *,
        prompt: str | Sequence[Mapping[str, Json]],
        variables: Mapping[str, Json] | None,
        checks: Sequence[WrittenCheck],
        output: str | None,
        target: str | None = None,
        threshold: float | None = None,
        settings: Mapping[str, Json] | None = None,
        repeat: int = 0,
    ) -> Written:
        marker = self._marker
        row = variables if isinstance(variables, Row) else None
        further = {"target": target or marker.target, "threshold": threshold, **(settings or {})}
        return Written(
            suite=marker.suite,
            name=self._name(len(self._item.stash[CASES]) + self._open),
            file=self._item.path,
            line=marker.line,
            prompt=prompt,
            variables=variables,
            output=output,
            checks=[*marker.checks, *checks],
            row_checks=row.checks if row else (),
            settings={name: value for name, value in further.items() if value is not None},
            repeat=repeat,
            description=row.description if row else None,
            tags={**marker.tags, **(row.tags if row else {})},
            source=row.source if row else None,
        )

    @property
    def _open(self) -> int:
        return sum(not pending.done for pending in self._pending)

    def _name(self, before: int) -> str:
        name = case_name(self._item)
        return name if before == 0 else f"{name}-{before + 1}"


class PendingEval:
    """An eval in a coroutine, to be awaited."""

    def __init__(self, later: Callable[[], Coroutine[Any, Any, EvalResult]]) -> None:
        self._later = later
        self.awaited = False
        self.done = False

    def __await__(self) -> Generator[Any, None, EvalResult]:
        __tracebackhide__ = True
        self.awaited = True
        try:
            return (yield from self._later().__await__())
        finally:
            self.done = True

    def __getattr__(self, name: str) -> object:
        raise AttributeError(f"{name}: in a coroutine, write `await llm_eval(…)`")

    def __bool__(self) -> bool:
        raise TypeError("in a coroutine, write `await llm_eval(…)`")


class _Marker:
    """What the markers ``evalcase`` of a test say; the nearest one rules."""

    def __init__(self, item: pytest.Item) -> None:
        said: dict[str, Any] = {}
        self.checks: list[WrittenCheck] = []
        for marker in reversed(list(item.iter_markers("evalcase"))):
            self.checks += marker.kwargs.get("checks", ())
            said.update(marker.kwargs)
        self.suite: str = said.pop("suite", None) or suite_name(item)
        self.target: str | None = said.pop("target", None)
        said.pop("checks", None)
        self.tags = {name: str(value) for name, value in said.items()}
        self.line = (item.reportinfo()[1] or 0) + 1


class _Asking:
    """Asks the session's service what a flow asks for."""

    def __init__(self, evals: Evals, root: str) -> None:
        self._service = evals.service
        self._root = root

    def now(self, request: Request) -> Reply:
        """The reply; the thread waits for it."""
        try:
            return reply_from_json(self._service.call("answer", **self._question(request)))
        except ServiceError as error:
            raise _ours(error) from None

    async def later(self, request: Request) -> Reply:
        """The reply; the event loop goes on meanwhile."""
        try:
            return reply_from_json(await self._service.acall("answer", **self._question(request)))
        except ServiceError as error:
            raise _ours(error) from None

    def _question(self, request: Request) -> dict[str, Any]:
        assert isinstance(request, ModelRequest)  # an output at hand is not asked for
        return {"root": self._root, "request": request_to_json(request)}


def _ours(error: ServiceError) -> Exception:
    """The executor's own error, where it is one that a case ends with; else that of the service."""
    said = {"kind": error.kind, "message": error.message, "hint": error.hint}
    found: EvalRunnerError = error_from_json(said)
    return found if isinstance(found, ModelCallError | NotAsked) else error


def report(evals: Evals, root: str, result: CaseResult) -> None:
    """Counts a case in the session's report; the last word on its id stands."""
    evals.service.call("record", root=root, case=case_line(result).decode("ascii"))


def case_name(item: pytest.Item) -> str:
    """The part of a test's id behind its file."""
    return item.nodeid.partition("::")[2] or item.name


def suite_name(item: pytest.Item) -> str:
    """The suite that a test counts for, where no marker names one: its file."""
    return item.nodeid.partition("::")[0]


def root_of(evals: Evals, item: pytest.Item) -> Path:
    """The root of the project that a test belongs to."""
    return _python_evals(evals, item.path).project.root


def source_of(evals: Evals, item: pytest.Item) -> str:
    """A test's file, as reports name it."""
    return name_below(root_of(evals, item), item.path)


def _python_evals(evals: Evals, file: Path) -> PythonEvals:
    """The evals of the project that a test belongs to, its configuration read once a folder."""
    from evalrunner.suite.config import load_project
    from evalrunner.wiring.session_settings import Settings

    known: dict[Path, PythonEvals] = evals.python
    if file.parent not in known:
        settings = Settings()
        known[file.parent] = PythonEvals(
            load_project(file.parent, config=settings.config), state_dir=settings.state_dir
        )
    return known[file.parent]


def _in_a_coroutine() -> bool:
    return asyncio._get_running_loop() is not None  # noqa: SLF001  # does not raise
