"""Evals that tests write in Python: each call becomes a case, and its flow is driven where it is called."""

from __future__ import annotations

import inspect
import re
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import field, replace
from pathlib import Path
from typing import Final, TypeAlias

from evalrunner.adapters.state_dir import NAME
from evalrunner.engine.case import EvalCase, case_flow
from evalrunner.engine.expand import Variant
from evalrunner.engine.select import Selection
from evalrunner.errors import ConfigError, ModelCallError, NotAsked
from evalrunner.suite.files import name_below
from evalrunner.suite.inline import inline_suite
from evalrunner.values.dataclass import dataclass
from evalrunner.values.exchange import (
    CallRecord,
    Flow,
    Json,
    ModelResponse,
    ModelText,
    Reply,
    Request,
)
from evalrunner.values.fingerprint import Fingerprint
from evalrunner.values.project import Project
from evalrunner.values.result import CaseResult
from evalrunner.values.spec import CheckSpec, Golden, SourceRef
from evalrunner.wiring.suites import Assembly
from evalrunner.wiring.user_code import Function, function_loader, import_plugins

WrittenCheck: TypeAlias = "str | Mapping[str, Json] | Callable[..., object]"
"""A type by its name, a check as in a suite file, or a function of the output (and its context)."""

_CALLABLES: Final = "python_test"
_NO_WORD: Final = re.compile(r"\W+")


@dataclass(frozen=True, slots=True, kw_only=True)
class Written:
    """One eval as a test writes it.

    Attributes:
        suite: Under which name it counts.
        name: The rest of its id.
        file: The test's file.
        line: Where the test begins.
        prompt: Text or chat messages: templates where there are ``variables``, else meant literally.
        variables: What the templates are filled in with.
        output: The answer, where it is at hand; ``None``: the target is asked.
        checks: What must hold.
        row_checks: What must hold because the golden row says so.
        settings: Further fields of a suite: ``target``, ``threshold``, ``tools``, ``response_format``.
        repeat: Which draw of the same question it is.
        source: The golden row, where there is one.
    """

    suite: str
    name: str
    file: Path
    line: int
    prompt: str | Sequence[Mapping[str, Json]] = ""
    variables: Mapping[str, Json] | None = None
    output: str | None = None
    checks: Sequence[WrittenCheck] = ()
    row_checks: tuple[CheckSpec, ...] = ()
    settings: Mapping[str, Json] = field(default_factory=dict)
    repeat: int = 0
    description: str | None = None
    tags: Mapping[str, str] = field(default_factory=dict)
    source: SourceRef | None = None


class PythonEvals:
    """Makes cases of what the tests of one project write.

    Args:
        project: The project; its plugins are imported now.
        state_dir: The state folder, where the user named one.
    """

    def __init__(self, project: Project, *, state_dir: Path | None = None) -> None:
        import_plugins(project.plugins, root=project.root)
        self.project = project
        self._state_dir = state_dir or project.root / NAME

    def case(self, written: Written) -> EvalCase:
        """The case of one eval.

        Raises:
            EvalRunnerError: It cannot be used, and why, with the test's file and line.
        """
        functions: dict[str, Function] = {}
        prompt, variables = _literally(written)
        fields = {
            **written.settings,
            "prompts": [prompt],
            "checks": [_check(check, functions) for check in written.checks],
            "repeat": written.repeat + 1,
        }
        suite = inline_suite(
            fields, self.project, name=written.suite, file=written.file, line=written.line
        )
        assembly = self._assembly(functions, written.file.parent)
        variants = assembly.variants(suite) if written.output is None else [assembly.given(suite)]
        _require_one_model(variants, written)
        place = name_below(self.project.root, written.file)
        golden = Golden(
            row=0,
            id=written.name,
            vars=variables,
            description=written.description,
            tags=written.tags,
            checks=written.row_checks,
            source=written.source or SourceRef(file=place, line=written.line),
        )
        rows = [(written.name, golden)]
        *_, case = assembly.expansion(suite, variants).cases(rows, Selection())
        return case

    def _assembly(self, functions: Mapping[str, Function], folder: Path) -> Assembly:
        find = function_loader(self.project.root, folder=folder)
        return Assembly(
            project=self.project,
            state_dir=self._state_dir,
            load=lambda _: lambda reference: functions.get(reference) or find(reference),
        )


def _require_one_model(variants: Sequence[Variant], written: Written) -> None:
    if len(variants) != 1:
        raise ConfigError("llm_eval asks one target", hint="parametrize the test over the targets")
    if variants[0].application and written.output is None:
        raise ConfigError(
            "llm_eval asks models",
            hint="call the application in the test, and pass what it says to llm_eval.check()",
        )


def _literally(written: Written) -> tuple[Json, Mapping[str, Json]]:
    """The prompt as a template, and its variables: text without any is one variable itself."""
    if written.variables is not None:
        return written.prompt, written.variables
    if isinstance(written.prompt, str):
        return "{{prompt}}", {"prompt": written.prompt}
    variables: dict[str, Json] = {}
    messages: list[Json] = []
    for number, message in enumerate(written.prompt, 1):
        content = message.get("content")
        if isinstance(content, str):
            variables[f"message_{number}"] = content
            message = {**message, "content": f"{{{{message_{number}}}}}"}  # noqa: PLW2901
        messages.append(message)
    return messages, variables


def _check(check: WrittenCheck, functions: dict[str, Function]) -> Json:
    """The check as a suite file would say it; a function is remembered under a name of its own."""
    if not callable(check):
        return check
    word = _NO_WORD.sub("_", getattr(check, "__name__", "")).strip("_") or "check"
    name = f"{_CALLABLES}:{word}"
    if name in functions:
        name = f"{name}_{len(functions) + 1}"
    functions[name] = _with_two_arguments(check)
    return {"type": "python", "value": name}


def _with_two_arguments(function: Function) -> Function:
    """The function as checks are called: with the output and its context; it may want the first alone."""
    try:
        inspect.signature(function).bind("", {})
    except TypeError:
        return lambda output, _context: function(output)
    except ValueError:  # a builtin that does not say what it takes
        pass
    return function


Answer = Callable[[Request], Reply]
AnswerLater = Callable[[Request], Awaitable[Reply]]


def drive(case: EvalCase, answer: Answer, *, output: str | None = None) -> CaseResult:
    """Drives a case to its end.

    Args:
        case: The case.
        answer: Answers its questions, or raises ``ModelCallError`` or ``NotAsked``.
        output: The answer to its first question, where that is at hand.
    """
    steps = _steps(case, output)
    try:
        request = next(steps)
        while True:
            try:
                reply = answer(request)
            except (ModelCallError, NotAsked) as error:
                request = steps.throw(error)
            else:
                request = steps.send(reply)
    except StopIteration as stop:
        return _ended(stop)


async def drive_async(
    case: EvalCase, answer: AnswerLater, *, output: str | None = None
) -> CaseResult:
    """Drives a case to its end without blocking the event loop."""
    steps = _steps(case, output)
    try:
        request = next(steps)
        while True:
            try:
                reply = await answer(request)
            except (ModelCallError, NotAsked) as error:
                request = steps.throw(error)
            else:
                request = steps.send(reply)
    except StopIteration as stop:
        return _ended(stop)


def _ended(stop: StopIteration) -> CaseResult:
    result: CaseResult = stop.value
    return result


def _steps(case: EvalCase, output: str | None) -> Flow[CaseResult]:
    """The flow of a case; an output at hand answers its first question, and counts as no call."""
    flow = case_flow(case)
    if output is None:
        return (yield from flow)
    next(flow)
    try:
        request = flow.send(_at_hand(output))
        while True:
            try:
                reply = yield request
            except (ModelCallError, NotAsked) as error:
                request = flow.throw(error)
            else:
                request = flow.send(reply)
    except StopIteration as stop:
        result = _ended(stop)
        return replace(result, records=result.records[1:])


def _at_hand(output: str) -> Reply:
    record = CallRecord(fingerprint=Fingerprint(""), cached=False)
    return Reply(response=ModelResponse(text=ModelText(output)), record=record)
