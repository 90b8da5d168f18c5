"""Checks that the user wrote in Python, and what their answers mean."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final, cast

from evalrunner.checks.base import CheckContext, Grade
from evalrunner.checks.kinds import Complaint, Loader, is_number, is_templated
from evalrunner.checks.text import verdict
from evalrunner.values.exchange import Json, ModelText
from evalrunner.values.result import Score
from evalrunner.values.spec import CheckSpec

DEFAULT_FUNCTION: Final = "get_assert"
_FILE: Final = "file://"
_MAX_TOLD: Final = 500


def python_check(spec: CheckSpec, load: Loader | None) -> Grade:
    """The user's function over ``(output, context)`` says so.

    ``context`` is a dict: ``prompt``, ``vars``, ``config``, ``threshold``, ``finish_reason``,
    ``tool_calls``, ``suite`` and ``case_id``. What it may return is told at :func:`as_score`. Whatever
    it raises makes the check errored.

    Args:
        spec: The check, its value a reference to the function.
        load: Finds the function, at once; without it (where no user code may be imported) the check
            can be planned but not run.
    """
    if load is None:
        return _not_loaded
    function = load(function_reference(spec.value))
    return lambda context: called(
        lambda: function(context.output, _told(context)), context.threshold
    )


def plugin_check(function: Callable[[CheckContext], object]) -> Grade:
    """A function that a plugin registered, called with the whole context."""
    return lambda context: called(lambda: function(context), context.threshold)


def called(call: Callable[[], object], threshold: float | None) -> Score:
    """The score of the user's code.

    Raises:
        ValueError: It raised, or it returned what is no score.
    """
    try:
        answer = call()
    except Exception as error:  # the user's code may raise anything
        told = ", ".join(arg[:_MAX_TOLD] for arg in error.args if isinstance(arg, str))
        raise ValueError(f"the function raised {type(error).__name__}: {told}") from error
    return as_score(answer, threshold)


def as_score(answer: object, threshold: float | None) -> Score:
    """What a user's answer means.

    - A :class:`~evalrunner.values.result.Score` is itself, its number checked.
    - ``True`` and ``False`` are 1 and 0.
    - A number passes where it reaches the threshold, without one where it is above 0; as a score it is
      held between 0 and 1.
    - A mapping has ``pass``, ``score`` or both, and may have ``reason``; with a threshold ``score`` has
      to reach it as well.

    Raises:
        ValueError: It is anything else: ``None`` above all, which a forgotten ``return`` gives.
    """
    if isinstance(answer, Score):
        return _checked(answer)
    if isinstance(answer, bool):
        return verdict(answer, "the function says so" if answer else "the function says no")
    if is_number(answer):
        return _number(cast("float", answer), threshold)
    if isinstance(answer, Mapping):
        return _mapping(cast("Mapping[object, object]", answer), threshold)
    raise ValueError(f"the function returned {type(answer).__name__}, which is no score")


def _checked(score: Score) -> Score:
    if not is_number(score.value) or not 0 <= score.value <= 1:
        raise ValueError(f"the function returned the score {score.value!r}, not one from 0 to 1")
    return score


def _number(value: float, threshold: float | None) -> Score:
    passed = value > 0 if threshold is None else value >= threshold
    wanted = "above 0" if threshold is None else f"at least {threshold:g}"
    return Score(
        value=min(1.0, max(0.0, float(value))),
        passed=passed,
        reason=f"the function returned {value:.6g}, {wanted} wanted",
    )


def _mapping(answer: Mapping[object, object], threshold: float | None) -> Score:
    passed = answer.get("pass", answer.get("pass_"))
    number = answer.get("score")
    if passed is None and number is None:
        raise ValueError("the function returned a mapping without 'pass' and 'score'")
    if passed is not None and not isinstance(passed, bool):
        raise ValueError(f"the function returned pass {passed!r}, which is neither true nor false")
    if number is not None and not (is_number(number) or isinstance(number, bool)):
        raise ValueError(f"the function returned the score {number!r}, which is no number")
    scored = _number(float(cast("float", passed if number is None else number)), threshold)
    holds = scored.passed if passed is None else passed and (threshold is None or scored.passed)
    reason = answer.get("reason")
    told = ModelText(reason) if isinstance(reason, str) and reason else scored.reason
    return Score(value=scored.value, passed=holds, reason=told)


def _told(context: CheckContext) -> dict[str, Json]:
    prompt = context.prompt
    return {
        "prompt": prompt if isinstance(prompt, str) else [_message(item) for item in prompt],
        "vars": dict(context.vars),
        "config": dict(context.config),
        "threshold": context.threshold,
        "finish_reason": context.response.finish_reason,
        "tool_calls": context.response.tool_calls,
        "suite": context.suite,
        "case_id": context.case_id,
    }


def _message(message: object) -> Json:
    return {"role": getattr(message, "role", ""), "content": getattr(message, "content", None)}


def _not_loaded(context: CheckContext) -> Score:
    del context
    raise ValueError("the function of this check was not loaded")


def function_reference(value: Json) -> str:
    """``path.py:function`` or ``package.module:function``, the function's default filled in.

    Raises:
        ValueError: The value names no function; code inside a suite is never run.

    Example:
        >>> function_reference("file://checks.py"), function_reference("app.checks:polite")
        ('checks.py:get_assert', 'app.checks:polite')
    """
    if isinstance(value, str) and "\n" not in value and not is_templated(value):
        place, colon, function = value.removeprefix(_FILE).rpartition(":")
        if not colon:
            place, function = function, DEFAULT_FUNCTION
        from_module = colon and all(part.isidentifier() for part in place.split("."))
        if function.isidentifier() and (place.endswith(".py") or from_module):
            return f"{place}:{function}"
    raise ValueError(
        f"takes 'file://checks.py:function' or 'package.module:function', not {str(value)[:80]!r}:"
        " put the code into a file"
    )


def reference_shape(value: Json) -> Complaint | None:
    """The shape of a reference to a function."""
    try:
        function_reference(value)
    except ValueError as error:
        return str(error)
    return None
