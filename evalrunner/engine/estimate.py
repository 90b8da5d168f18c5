"""What the open part of a run will cost: expected, and at most, before the first call."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from evalrunner.engine.accounts import Accounts
from evalrunner.engine.case import EvalCase
from evalrunner.engine.replay import OpenCase
from evalrunner.engine.tokens import expected_input_tokens, max_output_tokens
from evalrunner.values.exchange import ModelRequest, Request
from evalrunner.values.fingerprint import Fingerprint
from evalrunner.values.money import ZERO, Picodollars, total
from evalrunner.values.result import CostEstimate
from evalrunner.values.spec import JUDGE_MAX_TOKENS

EXPECTED_OUTPUT_TOKENS: Final = 256
"""The answer's length to expect, where ``max_tokens`` is not shorter and no history says better."""

JUDGE_FRAME_TOKENS: Final = 400
"""What a judge reads besides the answer: the frame and the rubric."""


def estimate(cases: Iterable[OpenCase], accounts: Accounts) -> CostEstimate:
    """The cost of all calls that may follow; ``None`` where a price is unknown.

    The expected part takes each waiting request once and every judge still to come. The maximum adds
    each confirmation that a failing proxy answer would need.
    """
    expected: list[Picodollars | None] = [ZERO]
    maximum: list[Picodollars | None] = [ZERO]
    seen: set[Fingerprint] = set()
    for case in cases:
        if case.key not in seen:
            seen.add(case.key)
            expected.append(_expected(case.request, accounts))
            maximum.append(accounts.worst_case(case.request))
        for cost in _judges(case.case, case.request, accounts):
            expected.append(cost)
            maximum.append(cost)
        if case.case.panel.plan.confirm and case.request is case.case.proxy:
            maximum.append(accounts.worst_case(case.case.target))
    return CostEstimate(expected=total(expected), maximum=total(maximum))


def _expected(request: Request, accounts: Accounts) -> Picodollars | None:
    if not isinstance(request, ModelRequest):
        return ZERO
    price = accounts.price(request.endpoint)
    if price is None:
        return None
    output = min(max_output_tokens(request), EXPECTED_OUTPUT_TOKENS)
    return Picodollars(expected_input_tokens(request) * price.input + output * price.output)


def _judges(case: EvalCase, waiting: Request, accounts: Accounts) -> Iterable[Picodollars | None]:
    """The judges that a case may still ask, while it waits for an answer."""
    if waiting.role == "judge":
        return
    for seat in case.panel.seats:
        if seat is None:
            continue
        price = accounts.price(seat.endpoint.name)
        read = JUDGE_FRAME_TOKENS + min(max_output_tokens(waiting), EXPECTED_OUTPUT_TOKENS)
        if price is None:
            yield None
        else:
            yield Picodollars(read * price.input + JUDGE_MAX_TOKENS * price.output)
