"""One eval case, from question to verdict: the file to read first.

A case is a generator. It yields each request that it needs, is sent a reply, and returns a
:class:`~evalrunner.values.result.CaseResult`. It does no input or output, so that caching, limits,
retries, prices and the ledger live in one place, the executor that answers requests, and every
judgement can be tested without a socket or an event loop.
"""

from __future__ import annotations

from dataclasses import replace

from evalrunner.checks.base import Check, CheckContext, JudgeSeat
from evalrunner.checks.settle import case_outcome, is_settled
from evalrunner.checks.tiers import CasePlan
from evalrunner.errors import ModelCallError, NotAsked
from evalrunner.values.dataclass import dataclass
from evalrunner.values.exchange import Flow, Json, ModelRequest, ModelText, Reply, Request, Tier
from evalrunner.values.result import (
    CaseRef,
    CaseResult,
    ChargedCall,
    CheckResult,
    Outcome,
    Score,
    Subject,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Panel:
    """The checks that sit over an answer, built once for all rows of a suite and target.

    Attributes:
        checks: In the order written.
        seats: For each check the judge's seat, ``None`` for a check in code.
        plan: Whose answer is looked at first, and whether a failure is confirmed.
        threshold: The least weighted mean score of a case; ``None``: every check must hold.
        judge_always: Whether judges are paid although the verdict is settled.
        tools: The tools that the suite offers to the model.
    """

    checks: tuple[Check, ...]
    seats: tuple[JudgeSeat | None, ...]
    plan: CasePlan
    threshold: float | None = None
    judge_always: bool = False
    tools: Json = None


@dataclass(frozen=True, slots=True, kw_only=True)
class EvalCase:
    """A golden row, rendered for one prompt, target and draw.

    Attributes:
        ref: Which case.
        target: The question to the system under test.
        proxy: The same question to the proxy model, where the panel looks at its answer first.
        panel: Who decides.
        values: For each check of the panel its ``value``, rendered for this row.
    """

    ref: CaseRef
    target: Request
    proxy: ModelRequest | None = None
    panel: Panel
    values: tuple[Json, ...]


def case_flow(case: EvalCase) -> Flow[CaseResult]:
    """The verdict of one case.

    An answer of the proxy that fails is confirmed on the target, whose verdict is then final; the
    proxy's answer is kept beside it. Errors and refusals to ask are outcomes, never exceptions.
    """
    if case.proxy is None:
        return (yield from _examine(case, case.target))
    first = yield from _examine(case, case.proxy)
    if first.outcome is not Outcome.FAILED or not case.panel.plan.confirm:
        return first
    final = yield from _examine(case, replace(case.target, role="confirm"))
    return replace(final, confirmed_from=first.subject, records=first.records + final.records)


def _examine(case: EvalCase, request: Request) -> Flow[CaseResult]:
    """Gets one answer and has every check look at it, those in code before any judge is paid."""
    try:
        reply = yield request
    except NotAsked as refusal:
        return CaseResult(case=case.ref, outcome=Outcome.NOT_RUN, reason=refusal.reason)
    except ModelCallError as error:
        return CaseResult(case=case.ref, outcome=Outcome.ERRORED, reason=ModelText(error.advice))
    examination = _Examination(case, request, reply)
    examination.grade_in_code()
    not_asked = yield from examination.ask_judges()
    return examination.result(not_asked)


class _Examination:
    """One answer on its way to a verdict."""

    def __init__(self, case: EvalCase, request: Request, reply: Reply) -> None:
        self._case = case
        self._panel = case.panel
        self._subject = Subject(
            tier=request.tier, model=request.endpoint, response=reply.response, record=reply.record
        )
        self._records = [_charged(request, reply)]
        self._results: list[CheckResult | None] = [None] * len(self._panel.checks)

    def grade_in_code(self) -> None:
        for index, check in enumerate(self._panel.checks):
            if check.grade is None:
                continue
            try:
                score = check.grade(self._context(index))
            except (ValueError, ModelCallError) as error:
                self._results[index] = self._errored(index, str(error))
            else:
                self._results[index] = self._scored(index, score)

    def ask_judges(self) -> Flow[NotAsked | None]:
        """Asks each judge whose word can still matter; returns why one could not be asked."""
        for index, check in enumerate(self._panel.checks):
            if check.ask is None:
                continue
            if not self._panel.judge_always and self._settled():
                self._results[index] = self._settled_without(index)
                continue
            try:
                self._results[index] = yield from self._judge(index)
            except NotAsked as refusal:
                return refusal
        return None

    def result(self, not_asked: NotAsked | None) -> CaseResult:
        checks = tuple(result for result in self._results if result is not None)
        reason: str | ModelText
        if not_asked is not None:
            outcome, reason = Outcome.NOT_RUN, not_asked.reason
        else:
            outcome, reason = case_outcome(checks, self._panel.threshold)
        return CaseResult(
            case=self._case.ref,
            outcome=outcome,
            reason=reason or None,
            subject=self._subject,
            checks=checks,
            records=tuple(self._records),
        )

    def _judge(self, index: int) -> Flow[CheckResult]:
        check, seat = self._panel.checks[index], self._panel.seats[index]
        assert check.ask is not None and seat is not None  # a panel gives every judge a seat
        flow = self._counting(check.ask(self._context(index), seat))
        try:
            score, last = yield from flow
        except ModelCallError as error:
            return self._errored(index, error.advice)
        result = self._scored(index, score)
        return replace(
            result,
            tier=seat.tier,
            model=seat.endpoint.name,
            confidence=score.confidence,
            record=last.record if last else None,
        )

    def _counting(self, flow: Flow[Score]) -> Flow[tuple[Score, Reply | None]]:
        """The same flow, with each reply noted on its way in."""
        reply: Reply | None = None
        try:
            request = next(flow)
            while True:
                try:
                    reply = yield request
                except (ModelCallError, NotAsked) as error:
                    request = flow.throw(error)
                else:
                    self._records.append(_charged(request, reply))
                    request = flow.send(reply)
        except StopIteration as stop:
            return stop.value, reply

    def _settled(self) -> bool:
        return is_settled(self._panel.checks, self._results, self._panel.threshold)

    def _context(self, index: int) -> CheckContext:
        spec, ref = self._panel.checks[index].spec, self._case.ref
        response = self._subject.response
        return CheckContext(
            output=response.text.raw,
            response=response,
            prompt=ref.rendered,
            vars=ref.vars,
            value=self._case.values[index],
            threshold=spec.threshold,
            config=spec.config,
            cost=self._subject.record.worth,
            tools=self._panel.tools,
            suite=ref.suite,
            case_id=ref.id,
        )

    def _scored(self, index: int, score: Score) -> CheckResult:
        return self._verdict(
            index,
            Outcome.PASSED if score.passed else Outcome.FAILED,
            score=score.value,
            reason=score.reason,
        )

    def _errored(self, index: int, reason: str) -> CheckResult:
        """What a provider or a user's function says may quote the answer, and so is model text."""
        return self._verdict(index, Outcome.ERRORED, reason=ModelText(reason))

    def _settled_without(self, index: int) -> CheckResult:
        reason = "not asked: the verdict was settled without it"
        return self._verdict(index, Outcome.SKIPPED, reason=reason)

    def _verdict(self, index: int, outcome: Outcome, **found: object) -> CheckResult:
        check = self._panel.checks[index]
        seat = self._panel.seats[index]
        return CheckResult(
            type=check.spec.name,
            check_class=check.check_class,
            outcome=outcome,
            value=self._case.values[index],
            metric=check.spec.metric,
            weight=check.spec.weight,
            threshold=check.spec.threshold,
            tier=seat.tier if seat else Tier.CODE,
            **found,  # type: ignore[arg-type]  # score and reason, given by the three callers above
        )


def _charged(request: Request, reply: Reply) -> ChargedCall:
    usage = reply.response.usage
    return ChargedCall(
        tier=request.tier,
        endpoint=request.endpoint,
        record=reply.record,
        input_tokens=usage.input_tokens or 0,
        output_tokens=usage.output_tokens or 0,
    )
