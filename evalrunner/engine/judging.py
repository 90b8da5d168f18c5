"""What judges will ask, before there is an answer to judge: their flows, driven with stand-ins.

A judge's question is its frame, its rubric and the answer. The first two are known; a mark stands in
for the answer, and is counted in what comes out. So every judge foretells its own questions, however many
it asks and whatever frame the user gave it.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final, NamedTuple

from evalrunner.checks.base import CheckContext
from evalrunner.engine.case import EvalCase, Panel
from evalrunner.engine.tokens import MESSAGE_OVERHEAD, content_bytes, max_output_tokens
from evalrunner.errors import ModelCallError, NotAsked
from evalrunner.values.exchange import (
    CallRecord,
    Json,
    ModelRequest,
    ModelResponse,
    ModelText,
    Reply,
    Tier,
)
from evalrunner.values.fingerprint import Fingerprint, fingerprint

ANSWER: Final = "[answer-to-be-judged]"
SAID: Final = "[what-the-judge-said-before]"
_VERDICT: Final = ModelResponse(
    text=ModelText(
        f'{{"reason": "{SAID}", "steps": ["{SAID}"], "category": "A", "pass": true, "score": 1}}'
    )
)
_REPLY: Final = Reply(
    response=_VERDICT, record=CallRecord(fingerprint=Fingerprint(""), cached=False)
)


class JudgeCall(NamedTuple):
    """One question that a judge will ask.

    Attributes:
        known: Bytes of its text that are known now.
        overhead: Tokens that the chat format adds, at the most.
        answers: How often the answer stands in it.
        said: How often something stands in it that the judge has said before.
        max_tokens: The longest verdict.
        key: What the question is, where it does not depend on an answer: rows share such a one.
    """

    endpoint: str
    tier: Tier
    known: int
    overhead: int
    answers: int
    said: int
    max_tokens: int
    key: Fingerprint | None


class Foreteller:
    """Foretells the judges' questions; a judge whose rubric is the same for all rows is driven once."""

    def __init__(self) -> None:
        self._last: dict[tuple[int, int], tuple[Panel, Json, tuple[JudgeCall, ...]]] = {}

    def calls(self, case: EvalCase, seats: Iterator[int]) -> Iterator[JudgeCall]:
        """What the judges in those seats would ask about one answer of the case."""
        for seat in seats:
            yield from self._seat(case, seat)

    def _seat(self, case: EvalCase, index: int) -> tuple[JudgeCall, ...]:
        place = id(case.panel), index
        panel, value, calls = self._last.get(place, (None, None, ()))
        if panel is not case.panel or value != case.values[index]:
            calls = tuple(_driven(case, index))
            self._last[place] = case.panel, case.values[index], calls
        return calls


def judges(panel: Panel) -> Iterator[int]:
    """The seats that are taken."""
    return (index for index, seat in enumerate(panel.seats) if seat is not None)


def later_judges(case: EvalCase, waiting: ModelRequest) -> Iterator[int]:
    """The seats behind that of a judge who waits for an answer; too many rather than too few."""
    text = "\n".join(str(message.content) for message in waiting.messages)
    same = [
        index for index in judges(case.panel) if case.panel.checks[index].spec.name == waiting.check
    ]
    named = [index for index in same if str(case.values[index])[:200] in text]
    first = min(named or same, default=-1)
    return (index for index in judges(case.panel) if index > first)


def _driven(case: EvalCase, index: int) -> Iterator[JudgeCall]:
    check, seat = case.panel.checks[index], case.panel.seats[index]
    assert check.ask is not None and seat is not None  # only taken seats are foretold
    flow = check.ask(_context(case, index), seat)
    try:
        request = next(flow)
        while True:
            if isinstance(request, ModelRequest):
                yield _call(request)
            request = flow.send(_REPLY)
    except (StopIteration, ModelCallError, NotAsked, ValueError):
        return  # it has asked what it wanted, or has nothing to ask about


def _call(request: ModelRequest) -> JudgeCall:
    texts = [str(message.content) for message in request.messages]
    answers = sum(text.count(ANSWER) for text in texts)
    said = sum(text.count(SAID) for text in texts)
    stand_ins = answers * len(ANSWER) + said * len(SAID)
    return JudgeCall(
        endpoint=request.endpoint,
        tier=request.tier,
        known=content_bytes(request) - stand_ins,
        overhead=MESSAGE_OVERHEAD * len(request.messages),
        answers=answers,
        said=said,
        max_tokens=max_output_tokens(request),
        key=None if answers or said else fingerprint(request),
    )


def _context(case: EvalCase, index: int) -> CheckContext:
    spec, ref = case.panel.checks[index].spec, case.ref
    return CheckContext(
        output=ANSWER,
        response=ModelResponse(text=ModelText(ANSWER)),
        prompt=ref.rendered,
        vars=ref.vars,
        value=case.values[index],
        threshold=spec.threshold,
        config=spec.config,
        tools=case.panel.tools,
        suite=ref.suite,
        case_id=ref.id,
    )
