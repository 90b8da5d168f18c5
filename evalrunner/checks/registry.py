"""The types of checks by name: those of :mod:`~evalrunner.checks.table` and those that plugins register."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import TypeVar

from evalrunner.checks.base import Ask, Check, CheckContext, Grade, JudgeSeat
from evalrunner.checks.kinds import CheckKind, Complaint, Loader, ThresholdRule, anything, is_number
from evalrunner.checks.kinds import is_templated as is_templated  # noqa: PLC0414  # the engine's
from evalrunner.checks.python import plugin_check, python_check
from evalrunner.checks.table import KINDS
from evalrunner.checks.unsupported import UNSUPPORTED, why_unsupported
from evalrunner.errors import ConfigError, Problem
from evalrunner.values.exchange import Flow
from evalrunner.values.result import Score
from evalrunner.values.spec import CheckClass, CheckSpec

_PLUGINS: dict[str, CheckKind] = {}
_FUNCTIONS: dict[str, Callable[[CheckContext], object]] = {}

Function = TypeVar("Function", bound=Callable[[CheckContext], object])


def kind_of(name: str) -> CheckKind | None:
    """What is known about a type, without its ``not-``; ``None`` where it is unknown."""
    return KINDS.get(name) or _PLUGINS.get(name)


def names() -> tuple[str, ...]:
    """Every type that can be used now, sorted."""
    return tuple(sorted({*KINDS, *_PLUGINS}))


def build(spec: CheckSpec, *, load: Loader | None = None, plugins_absent: bool = False) -> Check:
    """The check, built once for all rows: whatever does not change by row is compiled here.

    ``not-`` is honoured: the score says what the user asked for. An error is never inverted.

    Args:
        spec: What the user wrote.
        load: Finds the function of a ``python`` check, at once. Without it such a check can be planned
            and is an error when it is run.
        plugins_absent: The plugins were not imported on purpose, so that an unknown type may be one of
            theirs: it is planned as a check in code of its class (``semantic`` by default).

    Raises:
        ConfigError: It has a problem (see :func:`problems`).
    """
    kind = kind_of(spec.type)
    if kind is None and plugins_absent and why_unsupported(spec.type) is None:
        kind = CheckKind(name=spec.type, grade=lambda _: _absent_plugin)
    found = next(_complaints(spec, kind), None)
    if found is not None or kind is None:
        complaint, hint = found or ("is unknown", None)
        raise ConfigError(f"{spec.name!r} {complaint}", hint=hint)
    try:
        grade = _grade(kind, spec, load)
        ask = kind.ask(spec) if kind.ask else None
    except ValueError as error:
        raise ConfigError(f"{spec.name!r} {error}") from None
    return Check(
        spec=spec,
        check_class=spec.check_class or kind.check_class,
        grade=_inverted(grade) if grade and spec.negated else grade,
        ask=_inverted_judge(ask) if ask and spec.negated else ask,
    )


def _grade(kind: CheckKind, spec: CheckSpec, load: Loader | None) -> Grade | None:
    if kind.name == "python":
        return python_check(spec, load)
    return kind.grade(spec) if kind.grade else None


def _absent_plugin(context: CheckContext) -> Score:
    del context
    raise ValueError("the plugin of this check was not imported")


def _inverted(grade: Grade) -> Grade:
    return lambda context: _opposite(grade(context))


def _inverted_judge(ask: Ask) -> Ask:
    def ask_inverted(context: CheckContext, seat: JudgeSeat) -> Flow[Score]:
        return _opposite((yield from ask(context, seat)))

    return ask_inverted


def _opposite(score: Score) -> Score:
    """What ``not-`` makes of a score. The reason tells the fact and stays."""
    return replace(score, value=1.0 - score.value, passed=not score.passed)


def problems(spec: CheckSpec, *, plugins_absent: bool = False) -> list[Problem]:
    """Everything that makes a check unusable, found without running it or importing user code.

    Args:
        spec: What the user wrote.
        plugins_absent: An unknown type is none, since a plugin may bring it.
    """
    kind = kind_of(spec.type)
    if kind is None and plugins_absent and why_unsupported(spec.type) is None:
        return []
    return [_problem(spec, complaint, hint) for complaint, hint in _complaints(spec, kind)]


def cautions(spec: CheckSpec) -> list[Problem]:
    """What is allowed but decides nothing, or not what it seems to: a warning each."""
    kind = kind_of(spec.type)
    if kind is None:
        return []
    return [_problem(spec, doubt, None) for doubt in _doubts(spec, kind)]


def _problem(spec: CheckSpec, complaint: Complaint, hint: str | None) -> Problem:
    return Problem(
        f"{spec.name!r} {complaint}", file=spec.source.file, line=spec.source.line, hint=hint
    )


def _complaints(spec: CheckSpec, kind: CheckKind | None) -> Iterator[tuple[Complaint, str | None]]:
    if kind is None:
        yield _unknown(spec.type)
        return
    yield from ((complaint, None) for complaint in _value_complaints(spec, kind))
    yield from ((complaint, None) for complaint in _threshold_complaints(spec, kind))
    if not is_number(spec.weight) or spec.weight < 0:
        yield f"takes a weight of 0 or more, not {spec.weight!r}", None
    yield from ((complaint, None) for complaint in (kind.review(spec) if kind.review else ()))


def _unknown(name: str) -> tuple[Complaint, str | None]:
    if why := why_unsupported(name):
        return f"is not supported yet: it {why}", None
    from difflib import get_close_matches  # only where something is misspelt

    near = get_close_matches(name.removeprefix("not-"), [*names(), *UNSUPPORTED], n=1)
    hint = f"did you mean {near[0]!r}?" if near else "see `evalrunner schema suite` for all types"
    return "is not a type of check", hint


def _value_complaints(spec: CheckSpec, kind: CheckKind) -> Iterator[Complaint]:
    if kind.shape is None:
        if spec.value is not None:
            yield "takes no value"
    elif spec.value is None:
        if kind.value_required or (kind.is_judge and spec.rubric_prompt is None):
            yield "needs a value"
    elif kind.name == "python" or not is_templated(spec.value):
        complaint = kind.shape(spec.value)
        if complaint:
            yield complaint


def _threshold_complaints(spec: CheckSpec, kind: CheckKind) -> Iterator[Complaint]:
    rule, threshold = kind.threshold, spec.threshold
    if rule is None:
        return
    if threshold is None:
        if rule.required:
            yield "needs a threshold"
    elif not is_number(threshold) or threshold < 0:
        yield f"takes a threshold of 0 or more, not {threshold!r}"
    elif rule.high is not None and threshold > rule.high:
        yield f"takes a threshold from 0 to {rule.high:g}, not {threshold!r}"


def _doubts(spec: CheckSpec, kind: CheckKind) -> Iterator[Complaint]:
    rule = kind.threshold
    if spec.threshold is not None and rule is None:
        yield "takes no threshold; the one given is ignored"
    if rule and rule.decides and rule.at_least and spec.threshold == 0:
        yield f"has the threshold 0 and so {'never' if spec.negated else 'always'} passes"
    if spec.type in _SEARCHES and spec.value == "":
        yield "looks for an empty text and is an error on every row"
    if spec.tier is not None and not kind.is_judge:
        yield "asks no model, so that its tier is ignored"


_SEARCHES = frozenset({"contains", "icontains", "starts-with"})


def register(
    name: str,
    function: Callable[[CheckContext], object],
    check_class: CheckClass = CheckClass.SEMANTIC,
) -> None:
    """Makes a function usable as a type of check.

    It is called with the :class:`~evalrunner.checks.base.CheckContext` and returns a truth value, a
    number, a mapping or a :class:`~evalrunner.values.result.Score`; what it raises makes the check
    errored. Registering the same function again, as a second import does, changes nothing.

    Raises:
        ConfigError: The name is taken, or cannot be one.
    """
    if not name or name.startswith("not-") or name != name.strip() or is_templated(name):
        raise ConfigError(
            f"{name!r} cannot be the name of a check",
            hint="use a word that does not begin with not-",
        )
    if name in KINDS or (name in _PLUGINS and not _is_same(_FUNCTIONS[name], function)):
        raise ConfigError(
            f"a check named {name!r} exists already", hint="give yours a name of its own"
        )
    _FUNCTIONS[name] = function
    _PLUGINS[name] = CheckKind(
        name=name,
        check_class=check_class,
        grade=lambda spec: plugin_check(function),
        shape=anything,
        threshold=ThresholdRule(high=None),
    )


def _is_same(
    one: Callable[[CheckContext], object], other: Callable[[CheckContext], object]
) -> bool:
    """Whether both are one function of the source, imported twice perhaps."""
    places = [(getattr(f, "__module__", None), getattr(f, "__qualname__", f)) for f in (one, other)]
    return places[0] == places[1]


def check(
    name: str, *, check_class: CheckClass = CheckClass.SEMANTIC
) -> Callable[[Function], Function]:
    """Registers the decorated function as a type of check: ``@check("polite")``.

    Example:
        >>> @check("shouts")
        ... def shouts(ctx):
        ...     return ctx.output.isupper()
        >>> kind_of("shouts").check_class.value
        'semantic'
    """

    def registered(function: Function) -> Function:
        register(name, function, check_class)
        return function

    return registered
