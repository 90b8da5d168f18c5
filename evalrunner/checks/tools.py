"""Checks of the tools that an answer calls: whether the calls are valid, and the right ones."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Final, cast

from evalrunner.checks.base import CheckContext, Grade
from evalrunner.checks.schema import compile_schema
from evalrunner.checks.structure import read_json
from evalrunner.checks.text import as_list, verdict
from evalrunner.values.dataclass import dataclass
from evalrunner.values.exchange import Json, ModelText
from evalrunner.values.result import Score
from evalrunner.values.spec import CheckSpec

TOOL_CALL_F1_THRESHOLD: Final = 1.0
_MAX_CALLS: Final = 1_000


@dataclass(frozen=True, slots=True, kw_only=True)
class ToolCall:
    """One call that an answer makes; ``arguments`` as the provider sent them, text or an object."""

    name: str
    arguments: object


def valid_tools_call(spec: CheckSpec) -> Grade:
    """The answer calls tools, and the arguments of every call fit the tool's JSON Schema."""
    del spec
    return _valid_tools_call


def _valid_tools_call(context: CheckContext) -> Score:
    calls = tool_calls(context)
    if not calls:
        return verdict(False, "calls no tool")
    offered = _offered(context.tools)
    complaints = (_complaint(call, offered) for call in calls)
    return _told(next((found for found in complaints if found), None), len(calls))


def valid_function_call(spec: CheckSpec) -> Grade:
    """The answer calls exactly one tool, with arguments that fit its JSON Schema.

    Where it has no structured call, its text may be the call: ``{"name": …, "arguments": …}``.
    """
    del spec
    return _valid_function_call


def _valid_function_call(context: CheckContext) -> Score:
    calls = tool_calls(context) or _calls_of(_json_or_none(context.output))
    if len(calls) != 1:
        return verdict(False, f"calls {len(calls)} functions, one wanted")
    return _told(_complaint(calls[0], _offered(context.tools)), 1)


def _told(complaint: str | None, calls: int) -> Score:
    if complaint:
        return Score(value=0.0, passed=False, reason=ModelText(complaint))
    return verdict(True, f"{calls} valid {'call' if calls == 1 else 'calls'}")


def _complaint(call: ToolCall, offered: Mapping[str, Json]) -> str | None:
    if call.name not in offered:
        return f"calls {call.name[:80]!r}, which was not offered"
    arguments = call.arguments
    if isinstance(arguments, str):
        arguments = _json_or_none(arguments or "{}")
    if not isinstance(arguments, Mapping):
        return f"calls {call.name!r} with arguments that are not a JSON object"
    complaint = compile_schema(offered[call.name]).complaint(arguments)
    return f"calls {call.name!r}, but {complaint}" if complaint else None


def _offered(tools: Json) -> dict[str, Json]:
    """The schema of each tool that the suite offers, in OpenAI's spelling or Anthropic's.

    Raises:
        ValueError: The suite offers none, so that nothing can be compared.
    """
    offered: dict[str, Json] = {}
    for entry in tools if isinstance(tools, (list, tuple)) else ():
        tool = entry.get("function", entry) if isinstance(entry, Mapping) else None
        if isinstance(tool, Mapping) and isinstance(tool.get("name"), str):
            schema = tool.get("parameters", tool.get("input_schema", True))
            offered[cast("str", tool["name"])] = schema
    if not offered:
        raise ValueError("the suite offers no tools to compare the calls with")
    return offered


def tool_calls(context: CheckContext) -> list[ToolCall]:
    """The calls of an answer, in OpenAI's spelling, Anthropic's or Google's, in order.

    Raises:
        ValueError: There are more than a thousand.
    """
    return _calls_of(context.response.tool_calls)


def _calls_of(value: object) -> list[ToolCall]:
    entries = value if isinstance(value, (list, tuple)) else [value]
    if len(entries) > _MAX_CALLS:
        raise ValueError(f"the answer has more than {_MAX_CALLS} tool calls")
    return [call for entry in entries if (call := _call(entry)) is not None]


def _call(entry: object) -> ToolCall | None:
    if not isinstance(entry, Mapping):
        return None
    for key in ("function", "functionCall", "function_call"):
        if isinstance(entry.get(key), Mapping):
            entry = cast("Mapping[str, object]", entry[key])
            break
    name = entry.get("name")
    if not isinstance(name, str):
        return None
    given = (entry[key] for key in ("arguments", "input", "args") if key in entry)
    return ToolCall(name=name, arguments=next(given, {}))


def _json_or_none(text: str) -> object:
    try:
        return read_json(text)
    except RecursionError:
        raise ValueError("the arguments are nested too deeply to be read") from None
    except ValueError:
        return None


def tool_call_f1(spec: CheckSpec) -> Grade:
    """F1 of the set of tools called against the set wanted reaches ``threshold`` (default 1).

    Order and arguments do not count, nor how often a tool is called.
    """
    del spec
    return _tool_call_f1


def _tool_call_f1(context: CheckContext) -> Score:
    wanted = set(as_list(context.value))
    called = {call.name for call in tool_calls(context) or _calls_of(_json_or_none(context.output))}
    value = 2 * len(wanted & called) / (len(wanted) + len(called))
    limit = TOOL_CALL_F1_THRESHOLD if context.threshold is None else context.threshold
    return Score(
        value=value,
        passed=value >= limit,
        reason=ModelText(f"F1 {value:.6g}, at least {limit:g} wanted; called {_names(called)}"),
    )


def _names(names: Sequence[str] | set[str]) -> str:
    shown = sorted(names)[:10]
    return json.dumps(shown)[:300] if shown else "nothing"
