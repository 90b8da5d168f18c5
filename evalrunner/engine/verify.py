"""A share of the hits asked again, to see whether the model still says what is kept."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from hashlib import sha256
from typing import Final

from evalrunner.checks.tiers import LOOK_AT_TARGET
from evalrunner.checks.verdicts import read_verdict
from evalrunner.engine.accounts import Accounts
from evalrunner.engine.case import EvalCase, Panel
from evalrunner.engine.normalized import Likeness
from evalrunner.engine.ports import CacheStore
from evalrunner.engine.replay import OpenCase, StoreReader
from evalrunner.errors import MalformedReply, ModelCallError, NotAsked
from evalrunner.values.dataclass import dataclass
from evalrunner.values.exchange import Flow, ModelResponse, Reply, Request
from evalrunner.values.fingerprint import Fingerprint
from evalrunner.values.money import ZERO
from evalrunner.values.result import CaseResult, ChargedCall, Outcome
from evalrunner.verdict.summary import reason_word

ROLE: Final = "verify"
"""The role of such a request: its answer is compared, and neither kept nor used."""

AGREED: Final = "agreed"
DIFFERED: Final = "differed"

_NO_CHECKS: Final = Panel(checks=(), seats=(), plan=LOOK_AT_TARGET)


@dataclass(frozen=True, slots=True, kw_only=True)
class Kept:
    """One hit of the sample."""

    request: Request
    key: Fingerprint
    response: ModelResponse


class SamplingReader(StoreReader):
    """A reader that notes a share of the answers that it finds, each question once.

    Which ones is decided by the seed and the questions alone, so that two runs with one seed sample the
    same.

    Args:
        store: Where answers are kept.
        accounts: Prices answers.
        share: How many, 0 to 1.
        seed: Of the choice.
        stored_after: The bound on their age.
        again: The roles that are asked again anyway.
        private: Where answers are kept that may not leave this machine.
        likeness: Which questions count as one.
    """

    def __init__(
        self,
        store: CacheStore | None,
        accounts: Accounts,
        *,
        share: float,
        seed: str,
        stored_after: float | None = None,
        again: Collection[str] = (),
        private: CacheStore | None = None,
        likeness: Likeness | None = None,
    ) -> None:
        super().__init__(
            store,
            accounts,
            stored_after=stored_after,
            again=again,
            private=private,
            likeness=likeness,
        )
        self.sample: dict[Fingerprint, Kept] = {}
        self._below = share * 2**64
        self._seed = seed

    def replies(
        self,
        waiting: Sequence[tuple[Request, Fingerprint]],
        bodies: Mapping[Fingerprint, bytes],
    ) -> list[Reply | None]:
        """What the reader finds, sampled on the way."""
        replies = super().replies(waiting, bodies)
        for (request, key), reply in zip(waiting, replies, strict=True):
            if reply is not None and key not in self.sample and self._falls(key):
                self.sample[key] = Kept(request=request, key=key, response=reply.response)
        return replies

    def verifications(self, cases: Sequence[EvalCase]) -> list[OpenCase]:
        """The questions of the sample as open cases, which end as soon as they are answered.

        Their indexes are negative: they are none of the run's cases.
        """
        by_id = {case.ref.id: case for case in cases}
        found: list[OpenCase] = []
        for number, kept in enumerate(self.sample.values(), 1):
            request = replace(kept.request, role=ROLE)
            case = by_id[request.case_id]
            case = replace(case, target=request, proxy=None, panel=_NO_CHECKS, values=())
            flow = _compared(case, request, kept)
            next(flow)
            found.append(OpenCase(-number, case, flow, request, kept.key))
        return found

    def unverified(self, verified: Sequence[CaseResult]) -> list[str]:
        """What to say of hits that could not be asked again, in a line or none."""
        answered = sum(bool(result.records) for result in verified)
        if answered == len(self.sample):
            return []
        reasons = [reason_word(result) for result in verified if not result.records]
        why = reasons[0] if reasons else "the run ended before"
        missing = len(self.sample) - answered
        return [f"{missing} of {len(self.sample)} sampled hits could not be asked again: {why}"]

    def accounted(
        self, cases: Sequence[CaseResult], verified: Sequence[CaseResult]
    ) -> list[CaseResult]:
        """The cases with the calls of the sample on the account of those that it was taken from."""
        calls: dict[str, tuple[ChargedCall, ...]] = {}
        for result in verified:
            calls[result.case.id] = calls.get(result.case.id, ()) + result.records
        return [replace(case, records=case.records + calls.get(case.case.id, ())) for case in cases]

    def _falls(self, key: Fingerprint) -> bool:
        number = int.from_bytes(sha256(f"{self._seed}:{key}".encode()).digest()[:8])
        return number < self._below


def same_answer(role: str, kept: ModelResponse, fresh: ModelResponse) -> bool:
    """Whether two answers to one question agree: a judge's in its verdict, any other word by word."""
    if role == "judge":
        try:
            old, new = read_verdict(kept), read_verdict(fresh)
        except MalformedReply:
            pass
        else:
            return (old.passed, old.score) == (new.passed, new.score)
    parts = [(one.text, one.refusal, one.tool_calls) for one in (kept, fresh)]
    return parts[0] == parts[1]


def _compared(case: EvalCase, request: Request, kept: Kept) -> Flow[CaseResult]:
    try:
        reply = yield request
    except (ModelCallError, NotAsked) as error:
        return CaseResult(case=case.ref, outcome=Outcome.NOT_RUN, reason=error.message)
    agrees = same_answer(kept.request.role, kept.response, reply.response)
    usage = reply.response.usage
    call = ChargedCall(
        tier=request.tier,
        endpoint=request.endpoint,
        record=replace(reply.record, nominal=ZERO, verified=AGREED if agrees else DIFFERED),
        input_tokens=usage.input_tokens or 0,
        output_tokens=usage.output_tokens or 0,
    )
    return CaseResult(case=case.ref, outcome=Outcome.SKIPPED, records=(call,))
