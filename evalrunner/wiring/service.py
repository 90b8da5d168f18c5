"""The process that answers a test session: one executor for all its workers, behind a Unix socket.

It is a process of its own, so that what tests do to theirs (frozen clocks, blocked sockets, patched
clients, a changed environment, a kill) never reaches a call that costs money, and so that nothing of
ours runs in theirs. Each question is a line of JSON, ``{"do": name, …}``, and so is each answer,
``{"ok": …}`` or ``{"error": {kind, message, hint}}``.
"""

from __future__ import annotations

import asyncio
import json
import signal
import traceback
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from evalrunner.adapters.credentials import provider_of
from evalrunner.adapters.unix_server import end_of, serving
from evalrunner.engine.case import EvalCase
from evalrunner.engine.execution import loop_factory
from evalrunner.engine.garbage import seldom_collected
from evalrunner.engine.intercepted import (
    WireAnswer,
    WireCall,
    answer_from_json,
    answer_to_json,
    netloc_of,
)
from evalrunner.engine.portable import error_to_json, reply_to_json, request_from_json
from evalrunner.errors import EvalRunnerError, LoadError
from evalrunner.reports.case_text import case_cost, case_text
from evalrunner.reports.document_read import case_from_line
from evalrunner.reports.safe_text import for_terminal, one_line
from evalrunner.reports.session_lines import session_lines, session_properties
from evalrunner.suite.config import load_project
from evalrunner.values.exit_code import ExitCode
from evalrunner.values.result import CaseResult, Outcome, RunReport
from evalrunner.verdict.summary import reason_word
from evalrunner.wiring.live_run import LiveRun
from evalrunner.wiring.publish import write_reports
from evalrunner.wiring.session_settings import Settings

Json = dict[str, Any]


class Service:
    """Answers what the workers and the controller of a session ask, for every project in it.

    Args:
        settings: The session's options.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._runs: dict[Path, LiveRun] = {}
        self._places: dict[Path, LiveRun] = {}
        self._planned: dict[str, None] = {}
        self._concluded: Json | None = None

    async def answer(self, line: bytes) -> bytes:
        """Answers one line. What goes wrong is an answer too."""
        try:
            asked: Json = json.loads(line)
            method = getattr(self, f"do_{asked.pop('do')}")
            found = {"ok": await method(**asked)}
        except EvalRunnerError as error:
            found = {"error": _told(error)}
        except Exception:  # noqa: BLE001  # a bug is told to whoever asked
            report = {"kind": "Bug", "message": traceback.format_exc(), "hint": None}
            found = {"error": report}
        return json.dumps(found).encode("ascii")

    async def do_collect(self, path: str) -> Json:
        """The cases of a suite file, in order."""
        run = self._run(Path(path).parent)
        return {
            "root": str(run.project.root),
            "cases": [_listed(case, run.project.root) for case in run.collect(Path(path))],
        }

    async def do_start(self, cases: Mapping[str, Sequence[str]], planned: Sequence[str]) -> None:
        """Begins to answer the selected cases of each project; *planned* are all tests that count."""
        self._planned.update(dict.fromkeys(planned))
        for root, ids in cases.items():
            self._run(Path(root)).start(ids)

    async def do_result(self, root: str, case: str) -> Json:
        """How a case ended, as a test reports it."""
        return _shown(await self._run(Path(root)).result(case))

    async def do_answer(self, root: str, request: Json) -> Json:
        """The reply to one question."""
        return reply_to_json(await self._run(Path(root)).answer(request_from_json(request)))

    async def do_knows(self, place: str, url: str) -> bool:
        """Whether a URL is on a model provider's host, or one that the project's models name."""
        call = WireCall(url=url, body={})
        models = self._run(Path(place)).project.models.values()
        named = {netloc_of(model.base_url) for model in models if model.base_url}
        return provider_of(call.host) is not None or call.netloc in named

    async def do_intercept(self, *, place: str, call: Json, who: str, wait: bool) -> Json:
        """The answer to a call of code under test, or a ticket: it is to be sent, and then reported."""
        conversation = asyncio.current_task()
        assert conversation is not None  # a connection is a task
        run = self._run(Path(place))
        interceptor = run.interceptor
        found = await interceptor.begin(WireCall(**call), who=who, wait=wait)
        if isinstance(found, WireAnswer):
            return {"answer": answer_to_json(found)}
        # Whoever dies in the middle leaves nobody waiting, and his call on the books.
        conversation.add_done_callback(lambda _: interceptor.abandon(found))
        return {"ticket": found}

    async def do_intercepted(
        self,
        *,
        place: str,
        ticket: str,
        seconds: float,
        answer: Json | None = None,
        error: str | None = None,
        sent: bool = True,
    ) -> None:
        """How a call ended that was to be sent."""
        interceptor = self._run(Path(place)).interceptor
        read = answer_from_json(answer)
        if read is not None:
            await interceptor.end(ticket, read, seconds)
        else:
            await interceptor.fail(ticket, error or "it was not read to its end", sent=sent)

    async def do_record(self, root: str, case: str) -> None:
        """Takes in a case that was driven elsewhere, as a line of a run document."""
        self._run(Path(root)).record(case_from_line(case.encode("ascii")))

    async def do_finish(
        self, reported: Sequence[str] | None = None, stopped: int | None = None
    ) -> Json:
        """Ends the session: what is shown, and why it fails, if it does.

        Args:
            reported: The tests that were reported; ``None`` where that is not to be compared.
            stopped: The signal that ended it.
        """
        if self._concluded is None:
            missing = [] if reported is None else sorted(self._planned.keys() - set(reported))
            warnings = [_never_reported(missing)] if missing else []
            concluded = [
                await run.conclude(stopped=stopped, warnings=warnings)
                for run in self._runs.values()
            ]
            reports = [report for report in concluded if report is not None]
            calls = [run.intercepted for run in self._runs.values()]
            self._concluded = {
                "failures": [*warnings, *(f for report in reports for f in self._failures(report))],
                "reports": [
                    {"lines": session_lines(report), "properties": session_properties(report)}
                    for report in reports
                ]
                + [
                    {"lines": one.lines(), "properties": one.properties()}
                    for one in calls
                    if one is not None
                ],
            }
            for report, outputs in zip(reports, self._settings.places(len(reports)), strict=True):
                write_reports(report, outputs)
        return self._concluded

    def _run(self, place: Path) -> LiveRun:
        """The run of the project that a folder belongs to."""
        known = self._places.get(place)
        if known is None:
            project = load_project(place, config=self._settings.config)
            if project.root not in self._runs:
                command = self._settings.command(project.root)
                self._runs[project.root] = LiveRun(command, project)
            known = self._places[place] = self._runs[project.root]
        return known

    def _failures(self, report: RunReport) -> list[str]:
        """The gates for which the session fails; a case without a verdict has failed as a test."""
        if not self._settings.gate:
            return []
        codes = {ExitCode.QUALITY, ExitCode.COST, ExitCode.INCONCLUSIVE}
        return [
            one_line(f"{failure.rule}: {failure.message}", 400)
            for failure in report.failures
            if failure.code in codes and not self._is_left_open(failure.rule)
        ]

    def _is_left_open(self, rule: str) -> bool:
        """Whether a pass rate may be unknown, since missing answers were to be skipped."""
        return rule == "pass_rate" and self._settings.frozen and self._settings.skip_misses


def _told(error: EvalRunnerError) -> Json:
    if isinstance(error, LoadError):
        lines = [for_terminal(str(problem)) for problem in error.problems]
        return {"kind": "LoadError", "message": "\n".join(lines), "hint": None}
    return error_to_json(error)


def _listed(case: EvalCase, root: Path) -> Json:
    ref = case.ref
    return {
        "id": ref.id,
        "file": str(root / ref.source.file) if ref.source.file else None,
        "line": ref.source.line,
        "suite": ref.suite,
        "description": ref.description,
        "tags": dict(ref.tags),
    }


def _shown(result: CaseResult) -> Json:
    found: Json = {"outcome": result.outcome.value, "cost": case_cost(result)}
    if result.outcome is not Outcome.PASSED:
        word = reason_word(result) if result.outcome is Outcome.NOT_RUN else ""
        found["reason"] = word
        found["text"] = case_text(result)
    return found


def _never_reported(names: Sequence[str]) -> str:
    shown = ", ".join(one_line(name, 200) for name in names[:3])
    more = f" and {len(names) - 3:,} more" if len(names) > 3 else ""
    return f"{len(names):,} planned and never reported: {shown}{more}"


def main(descriptor: int, lifeline: int, settings: str) -> None:
    """Serves until the session is over: until the other end of the lifeline is closed.

    Args:
        descriptor: The listening socket.
        lifeline: The reading end of a pipe that the session's controller holds.
        settings: The session's options as JSON.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the controller says when the session ends
    with seldom_collected(), asyncio.Runner(loop_factory=loop_factory()) as runner:
        runner.run(_serve(descriptor, lifeline, Settings.from_json(settings)))


async def _serve(descriptor: int, lifeline: int, settings: Settings) -> None:
    service = Service(settings)
    async with serving(descriptor, service.answer):
        await end_of(lifeline)
        await service.do_finish(stopped=int(signal.SIGTERM))
