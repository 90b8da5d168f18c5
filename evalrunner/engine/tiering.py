"""What the cheap tier saved: each of its calls beside the same call on the target, as an estimate.

With every call on the target a run would have cost ``nominal + tiering``. So a proxy's answer counts for
what the target would have cost more for it, and one that the target had to confirm counts *against* the
tier, with all that was asked about it: without a proxy nobody would have asked.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

from evalrunner.engine.accounts import Accounts
from evalrunner.engine.case import EvalCase
from evalrunner.values.dataclass import dataclass
from evalrunner.values.exchange import Tier, Usage
from evalrunner.values.money import Picodollars
from evalrunner.values.pricing import price_call
from evalrunner.values.result import CaseResult, ChargedCall


@dataclass(frozen=True, slots=True, kw_only=True)
class Tiering:
    """Tells what the calls of a case avoided.

    An answer of the proxy is compared with the case's target, a verdict of it with the frontier
    model; both are taken to read and write the same tokens.

    Attributes:
        accounts: The prices.
        frontier: The dear tier's model by name; without one a verdict of the proxy is compared with
            the case's target.
    """

    accounts: Accounts
    frontier: str | None = None

    def told(self, cases: Iterable[EvalCase], results: Sequence[CaseResult]) -> list[CaseResult]:
        """The results in their order, with what each of their calls avoided."""
        return [self.of(case, result) for case, result in zip(cases, results, strict=True)]

    def of(self, case: EvalCase, result: CaseResult) -> CaseResult:
        """One result; the same object where there is nothing to tell, or it was told before."""
        if not any(call.tier is Tier.PROXY for call in result.records):
            return result
        needless = _confirmed_calls(result)
        target = case.target.endpoint
        judge = self.frontier or target
        answers = _answers(result)
        records = [
            _told(call, _against(call))
            if number < needless
            else _told(
                call, self._avoided(call, target if call.record.fingerprint in answers else judge)
            )
            for number, call in enumerate(result.records)
        ]
        if all(new is old for new, old in zip(records, result.records, strict=True)):
            return result
        return replace(result, records=tuple(records))

    def _avoided(self, call: ChargedCall, dearer: str) -> Picodollars | None:
        record = call.record
        if call.tier is not Tier.PROXY or record.shared or record.verified is not None:
            return call.tiering
        if call.endpoint == dearer:
            return call.tiering
        there = self._cost(dearer, call)
        if there is None or record.nominal is None:
            return None
        return Picodollars(there - record.nominal)

    def _cost(self, endpoint: str, call: ChargedCall) -> Picodollars | None:
        """The same tokens elsewhere; ``None`` where that is not known by tokens."""
        if self.accounts.is_application(endpoint):
            return None
        price = self.accounts.price(endpoint)
        if price is None or price.per_second:
            return None
        counted = Usage(input_tokens=call.input_tokens, output_tokens=call.output_tokens)
        return price_call(price, counted, 0.0)


def _confirmed_calls(result: CaseResult) -> int:
    """How many calls, from the first, were made before the target was asked to confirm."""
    if result.confirmed_from is None:
        return 0
    if result.subject is None:
        return len(result.records)
    asked = result.subject.record.fingerprint
    return next((n for n, call in enumerate(result.records) if call.record.fingerprint == asked), 0)


def _answers(result: CaseResult) -> tuple[str, ...]:
    seen = (result.subject, result.confirmed_from)
    return tuple([one.record.fingerprint for one in seen if one is not None])


def _against(call: ChargedCall) -> Picodollars | None:
    nominal = call.record.nominal
    if call.record.verified is not None:
        return call.tiering
    return None if nominal is None else Picodollars(-nominal)


def _told(call: ChargedCall, tiering: Picodollars | None) -> ChargedCall:
    """The call with what it avoided; the same object where it says so already."""
    return call if tiering == call.tiering else replace(call, tiering=tiering)
