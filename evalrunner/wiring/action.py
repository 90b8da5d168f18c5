"""One step of a workflow: who is trusted decides how the suites are run, and what is said where.

It ends as ``evalrunner run`` does. Whatever happens, every declared output is written, and a comment
that cannot be made costs a notice.
"""

from __future__ import annotations

import os
import shutil
import sys
import time
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Final

from evalrunner.adapters.git import checkout_beside, head_commit
from evalrunner.adapters.workflow_files import append_outputs, append_summary
from evalrunner.errors import EvalRunnerError, RunDocumentError, UsageError
from evalrunner.reports.comment import Against, comment
from evalrunner.reports.markdown import render
from evalrunner.reports.workflow_commands import commands_for, error, notice
from evalrunner.suite.root import find_root
from evalrunner.values.dataclass import dataclass
from evalrunner.values.result import RunReport
from evalrunner.verdict.changes import compare_runs
from evalrunner.wiring.action_comment import github_of, say_in_comment
from evalrunner.wiring.action_inputs import ActionInputs, read_inputs
from evalrunner.wiring.action_ledger import ARTIFACT as LEDGER
from evalrunner.wiring.action_ledger import keep_rows, take_in_window
from evalrunner.wiring.action_outcome import no_outputs, outcome_of, outputs_of, step_code
from evalrunner.wiring.action_trigger import Trigger, Trust, read_trigger
from evalrunner.wiring.cache_carry import import_
from evalrunner.wiring.command import Command
from evalrunner.wiring.loading import load
from evalrunner.wiring.missing_keys import missing_keys
from evalrunner.wiring.past_runs import load_run
from evalrunner.wiring.publish import show, write_reports
from evalrunner.wiring.session import run_command
from evalrunner.wiring.shelves import open_shelves

BASELINE: Final = "baseline.json"
"""The document of the protected branch's last run, in the state folder that the cache carries."""

_REPORTS: Final = ("run.json", "report.md", "report.html", "report.junit.xml")


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One step: what it was asked, what started it, and where it stands."""

    inputs: ActionInputs
    trigger: Trigger
    environ: Mapping[str, str]
    project: Path

    @property
    def reports(self) -> Path:
        """Where the report's files are left for the artifact."""
        return _temp(self.environ) / "evalrunner-report"

    @property
    def baseline(self) -> Path:
        """The base's run document, whether it is there or not."""
        if self.inputs.baseline != "auto":
            return Path(self.inputs.baseline)
        return find_root(self.project).path / ".evalrunner" / BASELINE

    @property
    def link(self) -> str:
        """The page of the workflow's run."""
        server = self.environ.get("GITHUB_SERVER_URL", "")
        run_id = self.environ.get("GITHUB_RUN_ID", "")
        known = server.startswith("https://") and run_id.isdigit()
        return f"{server}/{self.trigger.repository}/actions/runs/{run_id}" if known else ""


def run_step(environ: Mapping[str, str]) -> int:
    """Runs the suites as the trigger's trust allows, says what came of it, and returns the exit code.

    Raises:
        EvalRunnerError: Nothing was run. The outputs say ``error`` then.
    """
    try:
        step = _step(environ)
        command, remark = _command(step)
        _take_in_answers(step, command)
        began = time.time()
        _take_in_ledgers(step, command)
        report = run_command(command)
        keep_rows(command, began, _temp(environ) / LEDGER)
    except EvalRunnerError as problem:
        _say(error(problem.message))
        append_outputs(environ.get("GITHUB_OUTPUT", ""), no_outputs())
        raise
    _publish(step, report, remark)
    return step_code(report, fail_on=step.inputs.fail_on, expected_misses=command.frozen)


def _step(environ: Mapping[str, str]) -> Step:
    inputs = read_inputs(environ)
    trigger = read_trigger(environ, approved_sha=inputs.approved_sha)
    if trigger.trust is Trust.REPORT:
        raise UsageError("a workflow_run has nothing to run", hint="use the action `comment`")
    workspace = Path(environ.get("GITHUB_WORKSPACE") or Path.cwd()).resolve()
    project = (workspace / inputs.working_directory).resolve()
    if not project.is_relative_to(workspace) or not project.is_dir():
        raise UsageError(f"{inputs.working_directory[:80]!r} is no folder of the workspace")
    if trigger.trust is Trust.APPROVED and head_commit(project) != inputs.approved_sha:
        raise UsageError(
            "the commit that is checked out is not the one that was approved",
            hint="check out with ref: the approved commit",
        )
    os.chdir(project)
    return Step(inputs=inputs, trigger=trigger, environ=environ, project=project)


def _command(step: Step) -> tuple[Command, str]:
    """The flags that the trigger's trust allows, and a remark where they are not those asked for."""
    inputs, trust = step.inputs, step.trigger.trust
    config = Path(inputs.config) if inputs.config else None
    command = Command(
        suites=inputs.suites,
        argv=("run", *inputs.suites),
        config=config,
        max_usd=inputs.max_usd,
        baseline=str(step.baseline) if step.baseline.is_file() else None,
        safe=trust in (Trust.FORK, Trust.APPROVED),
        frozen=inputs.frozen == "true" or trust is Trust.FORK,
        quiet=False,
    )
    remark = "a fork's pull request: nobody was asked" if trust is Trust.FORK else ""
    if step.trigger.is_pull_request:
        policy = _policy(step)
        command = replace(command, policy=policy, config=config if policy is None else None)
        if policy is None and not command.frozen:
            remark = "the base has no configuration yet: nobody is asked before it has one"
            command = replace(command, frozen=True)
    if inputs.frozen == "auto" and not command.frozen:
        missing = missing_keys(*load(command))
        if missing and step.trigger.keeps_cache_for_all:
            raise UsageError(missing[0], hint="a protected branch needs its keys; set the secret")
        if missing:
            remark = f"nobody was asked: {missing[0]}"
            command = replace(command, frozen=True)
    return command, remark


def _policy(step: Step) -> Path | None:
    """The base's configuration, in a checkout of the base; ``None`` where the base has none.

    Raises:
        UsageError: The base's commit cannot be had.
    """
    commit = step.trigger.base_sha
    folder = _temp(step.environ) / "evalrunner-base"
    if folder.exists():
        shutil.rmtree(folder)
    if commit is None or not checkout_beside(step.project, commit, folder):
        raise UsageError(
            "the base's commit is not here, so there is no policy to run under",
            hint="check out with fetch-depth: 0",
        )
    workspace = Path(step.environ.get("GITHUB_WORKSPACE") or step.project).resolve()
    place = folder / step.project.relative_to(workspace)
    if step.inputs.config:
        named = place / step.inputs.config
        return named if named.is_file() else None
    root = find_root(place) if place.is_dir() else None
    inside = root is not None and root.path.is_relative_to(folder)
    return root.config if root is not None and inside else None


def _publish(step: Step, report: RunReport, remark: str) -> None:
    show(report)
    against = _against(step, report)
    page = render(report)
    text = comment(report, against, link=step.link, notice=_notice(report, remark))
    step.reports.mkdir(parents=True, exist_ok=True)
    write_reports(report, [step.reports / name for name in _REPORTS])
    _say(*commands_for(report))
    if remark:
        _say(notice(remark))
    append_summary(step.environ.get("GITHUB_STEP_SUMMARY", ""), page)
    outcome = outcome_of(report)
    outputs = outputs_of(report, outcome, report_path=str(step.reports / "run.json"))
    append_outputs(step.environ.get("GITHUB_OUTPUT", ""), outputs)
    if step.trigger.keeps_cache_for_all:
        write_reports(report, [find_root(step.project).path / ".evalrunner" / BASELINE])
    wanted = step.inputs.comment and step.trigger.trust is not Trust.FORK
    if wanted and step.trigger.number is not None:
        problem = say_in_comment(
            step.trigger, text, token=step.inputs.github_token, environ=step.environ
        )
        if problem:
            _say(notice(problem))


def _take_in_answers(step: Step, command: Command) -> None:
    """The answers of an exported file, each only if it is believed; on a pull request the base's file."""
    if not step.inputs.cache_file:
        return
    home = command.policy.parent if command.policy else step.project
    with open_shelves(config=command.config, state_dir=None) as shelves:
        found = import_(shelves, home / step.inputs.cache_file)
    _say(notice(f"{found.stored} of {found.entries} answers of the file taken in"))


def _take_in_ledgers(step: Step, command: Command) -> None:
    token = step.inputs.github_token
    if not token or command.frozen:
        return
    problem = take_in_window(command, github_of(step.trigger, token, step.environ))
    if problem:
        _say(notice(problem))


def _against(step: Step, report: RunReport) -> Against | None:
    """The base's run, where there is one that can be read."""
    if not step.baseline.is_file():
        return None
    from evalrunner.adapters.state_dir import StateDir

    state = StateDir(find_root(step.project).path / ".evalrunner")
    try:
        base = load_run(str(step.baseline.resolve()), state)
    except RunDocumentError as problem:
        _say(notice(f"no comparison with the base: {problem.message}"))
        return None
    return Against(base=base, changes=compare_runs(base, report))


def _notice(report: RunReport, remark: str) -> str:
    """The line above everything: why nobody was asked, and how many cases that left open."""
    from evalrunner.verdict.summary import summary_of

    left = summary_of(report).total.not_run
    cases = f"{left:,} case{'' if left == 1 else 's'} not run" if left else ""
    return "; ".join(filter(None, (cases, remark)))


def _temp(environ: Mapping[str, str]) -> Path:
    return Path(environ.get("RUNNER_TEMP") or "/tmp").resolve()  # noqa: S108  # a runner always sets it


def _say(*commands: str) -> None:
    """Workflow commands, which only count on lines of their own."""
    sys.stdout.write("".join(commands))
    sys.stdout.flush()
