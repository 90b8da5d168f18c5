"""A run that learns of its cases bit by bit and answers whoever asks, until it is concluded."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Sequence
from contextlib import AsyncExitStack, ExitStack
from dataclasses import dataclass, field, replace
from pathlib import Path

from evalrunner.adapters.prices import ConfiguredPrices
from evalrunner.adapters.state_dir import open_state_dir
from evalrunner.engine.accounts import Accounts
from evalrunner.engine.case import EvalCase
from evalrunner.engine.execution import DRAIN_SECONDS, executing
from evalrunner.engine.executor import Executor
from evalrunner.engine.preflight import Preflight, preflight
from evalrunner.engine.replay import OpenCase, StoreReader, replay
from evalrunner.engine.run import conclude
from evalrunner.engine.run_setup import RunSetup
from evalrunner.engine.select import Selection
from evalrunner.errors import (
    BudgetExceeded,
    ConfigError,
    FrozenMiss,
    Interrupted,
    NotAsked,
)
from evalrunner.suite.load import load_suites
from evalrunner.suite.loaded import LoadedSuite
from evalrunner.values.exchange import ModelRequest, Reply
from evalrunner.values.fingerprint import fingerprint
from evalrunner.values.project import Project
from evalrunner.values.result import CaseResult, RunReport
from evalrunner.verdict.causes import Circumstances
from evalrunner.wiring.command import Command
from evalrunner.wiring.editor import Editor
from evalrunner.wiring.intercepting import Intercepted, Interceptor
from evalrunner.wiring.opening import Opened, open_run
from evalrunner.wiring.remember_uses import remember_uses
from evalrunner.wiring.session import keep
from evalrunner.wiring.setup import assembly_for, execution_for, reader_for, setup_for
from evalrunner.wiring.user_code import import_plugins


@dataclass(slots=True)
class _Started:
    """What is open once the first case or the first question has come."""

    opened: Opened
    setup: RunSetup
    before: Preflight
    reader: StoreReader
    accounts: Accounts
    results: dict[str, asyncio.Future[CaseResult]] = field(default_factory=dict)
    further: dict[str, CaseResult] = field(default_factory=dict)
    work: asyncio.Task[None] | None = None


class LiveRun:
    """One project's part of a session: its suites, its executor, and what came of its cases.

    Cases that are named together are looked up, weighed against the ceilings and asked for together.
    Everything runs in one event loop.

    Args:
        command: What is asked of the run.
        project: The project.
    """

    def __init__(self, command: Command, project: Project) -> None:
        self.project = project
        self._command = command
        self._state = open_state_dir(project.root, explicit=command.state_dir)
        import_plugins(project.plugins, root=project.root)
        self._assembly = assembly_for(command, project, self._state)
        self._loaded: dict[Path, LoadedSuite] = {}
        self._cases: dict[str, EvalCase] = {}
        self._started: _Started | None = None
        self._executor: Executor | None = None
        self._interceptor: Interceptor | None = None
        self._calls = AsyncExitStack()
        self._files = ExitStack()

    def collect(self, path: Path) -> Sequence[EvalCase]:
        """The cases of one suite file, in order; a file is read once.

        Raises:
            EvalRunnerError: It cannot be used: every problem with file and line.
        """
        path = path.resolve()
        loaded = self._loaded.get(path)
        if loaded is None:
            (loaded,) = load_suites(self.project, [path], offline=self._command.frozen)
            self._refuse_second(loaded)
            for case in self._assembly.cases([loaded], Selection()):
                self._cases[case.ref.id] = case
            self._loaded[path] = loaded
        return [case for case in self._cases.values() if case.ref.suite == loaded.suite.name]

    def _refuse_second(self, loaded: LoadedSuite) -> None:
        for other in self._loaded.values():
            if other.suite.name == loaded.suite.name:
                raise ConfigError(
                    f"{loaded.suite.path}: the suite name {loaded.suite.name!r} is given twice, "
                    f"first in {other.suite.path}",
                    hint="give one of them another name",
                )

    def start(self, ids: Collection[str]) -> None:
        """Begins to answer these cases, all at once. Only the first call begins anything.

        Raises:
            EvalRunnerError: The run cannot begin: its state folder, its store or its ledger.
        """
        if self._started is not None:
            return
        wanted = frozenset(ids)
        cases = [case for name, case in self._cases.items() if name in wanted]
        loaded = [
            one
            for one in self._loaded.values()
            if any(case.ref.suite == one.suite.name for case in cases)
        ]
        opened = open_run(self._command, self.project, loaded, self._files)
        accounts = Accounts(ConfiguredPrices(at=opened.started), self._assembly.endpoints)
        reader = reader_for(self._command, opened, accounts)
        setup = setup_for(
            self._command, opened, self._assembly, cases, reader=reader, accounts=accounts
        )
        before = preflight(setup)
        self._started = started = _Started(opened, setup, before, reader, accounts)
        loop = asyncio.get_running_loop()
        for case in cases:
            started.results[case.ref.id] = loop.create_future()
        for index, result in list(before.known.finished.items()):
            self._done(started, index, result)
        if not before.known.open:
            return
        if refusal := self._refusal(before):
            for waiting in before.known.open:
                self._done(started, waiting.index, _closed(waiting, refusal))
        else:
            started.work = asyncio.create_task(self._work(started))

    async def result(self, case_id: str) -> CaseResult:
        """How a case ended; it waits for that, and asks for a case that was not named at the start.

        However often it is asked, a case ends once: what failed is not tried again.

        Raises:
            EvalRunnerError: The run cannot go on.
        """
        self.start([case_id])
        started = self._begun()
        future = started.results.get(case_id)
        if future is None:
            future = asyncio.ensure_future(self._late(started, self._cases[case_id]))
            started.results[case_id] = future
        return await asyncio.shield(future)

    async def answer(self, request: ModelRequest) -> Reply:
        """The reply to one question: from the store, from a call under way, or from a model.

        Raises:
            ModelCallError: The call failed.
            NotAsked: It was not made, on purpose.
        """
        self.start([])
        started = self._begun()
        self._assembly.seated(request.endpoint)
        key = fingerprint(request)
        (reply,) = started.reader.find([(request, key)])
        if reply is not None:
            return reply
        if refusal := self._refusal(started.before):
            raise refusal
        return await (await self._asker(started)).answer(request, key)

    @property
    def interceptor(self) -> Interceptor:
        """What answers the calls that code under test makes itself."""
        if self._interceptor is None:
            self.start([])
            opened = self._begun().opened
            self._interceptor = Interceptor(
                opened, frozen=self._command.frozen, recache=bool(self._command.asked_again)
            )
        return self._interceptor

    @property
    def intercepted(self) -> Intercepted | None:
        """What came of those calls; ``None`` where there were none."""
        return self._interceptor.sums if self._interceptor is not None else None

    def record(self, result: CaseResult) -> None:
        """Takes a case that somebody else drove into the report; the last word on an id stands."""
        self.start([])
        self._begun().further[result.case.id] = result

    async def conclude(
        self, *, stopped: int | None = None, warnings: Sequence[str] = ()
    ) -> RunReport | None:
        """Ends the run, keeps its document and returns its report; ``None`` where no case was run.

        Calls in flight have a few seconds. A case that has not ended by then was not run.
        """
        started = self._started
        if started is None:
            return None
        with self._files:
            await self._stop(started)
            if self._interceptor is not None:
                self._interceptor.close()
                if not (started.results or started.further):
                    return None  # no eval: the ledger has the calls, and there is no case to report
            warned = (*started.setup.warnings, *warnings)
            report = conclude(
                replace(started.setup, warnings=warned),
                started.before,
                stopped=stopped,
                further=tuple(started.further.values()),
            )
            opened, info = started.opened, started.setup.info
            editor = Editor(opened, self._assembly, info, Circumstances())
            shown, _ = keep(opened, report, editor, editor.document, whole=True)
            remember_uses(shown, state=started.opened.state, store=started.opened.store)
            return shown

    def _begun(self) -> _Started:
        assert self._started is not None  # whoever needs it has called start()
        return self._started

    def _refusal(self, before: Preflight) -> NotAsked | None:
        """Why nobody may be asked, if so."""
        if self._command.frozen:
            return FrozenMiss("frozen, and the cache has no answer")
        return BudgetExceeded("refused before the start") if before.refused else None

    async def _asker(self, started: _Started) -> Executor:
        """The one executor, made when the first question is not answered by the store."""
        if self._executor is None:
            execution = execution_for(
                self._command,
                started.opened,
                self._assembly,
                reader=started.reader,
                accounts=started.accounts,
            )
            self._executor = await self._calls.enter_async_context(executing(execution))
        return self._executor

    async def _work(self, started: _Started) -> None:
        """Drives all open cases of the start to their ends; whoever waits for one learns of a failure."""
        reason: BaseException = Interrupted("the session ended")
        try:
            executor = await self._asker(started)
            await executor.finish_all(
                started.before.known.open, lambda index, end: self._done(started, index, end)
            )
        except Exception as error:  # noqa: BLE001  # told to everybody who waits
            reason = error
        finally:
            for future in started.results.values():
                if not future.done():
                    future.set_exception(reason)
                    future.exception()  # it is retrieved here, should nobody be waiting

    def _done(self, started: _Started, index: int, result: CaseResult) -> None:
        started.before.known.finished[index] = result
        future = started.results[result.case.id]
        if not future.done():
            future.set_result(result)

    async def _late(self, started: _Started, case: EvalCase) -> CaseResult:
        """A case that was not named at the start, by itself."""
        found = replay([case], started.reader)
        if found.finished:
            result = found.finished[0]
        elif refusal := self._refusal(started.before):
            result = _closed(found.open[0], refusal)
        else:
            result = await (await self._asker(started)).finish(found.open[0])
        started.further[case.ref.id] = result
        return result

    async def _stop(self, started: _Started) -> None:
        """Lets calls in flight end, sends no more, and writes down what they cost."""
        if self._executor is not None:
            self._executor.stop()
        if started.work is not None:
            await asyncio.wait([started.work], timeout=DRAIN_SECONDS)
            started.work.cancel()
            await asyncio.gather(started.work, return_exceptions=True)
        await self._calls.aclose()


def _closed(case: OpenCase, refusal: NotAsked) -> CaseResult:
    result = case.throw(refusal)
    assert result is not None  # a flow that is refused an answer ends
    return result
