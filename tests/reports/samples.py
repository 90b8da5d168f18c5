"""A report with one of everything, and reports that Hypothesis makes up."""

from __future__ import annotations

from decimal import Decimal

from hypothesis import strategies as st

from evalrunner.values.cause import MissGroup
from evalrunner.values.exchange import (
    CallRecord,
    Message,
    ModelResponse,
    ModelText,
    Tier,
    Usage,
)
from evalrunner.values.exit_code import ExitCode
from evalrunner.values.fingerprint import Fingerprint
from evalrunner.values.inputs import (
    CheckInputs,
    EndpointInputs,
    Inputs,
    SuiteInputs,
    Written,
)
from evalrunner.values.money import Picodollars
from evalrunner.values.result import (
    CacheInfo,
    CaseRef,
    CaseResult,
    ChargedCall,
    CheckResult,
    CostEstimate,
    CostRatio,
    Decision,
    Failure,
    GateDecision,
    Outcome,
    RunInfo,
    RunReport,
    Subject,
)
from evalrunner.values.spec import CheckClass, GateSpec, RepeatSpec, SourceRef

RUN = RunInfo(
    id="20261122-171500-abcd",
    started_at="2026-11-22T17:15:00Z",
    finished_at="2026-11-22T17:15:12Z",
    evalrunner="1.0.0",
    git={"sha": "0123abc", "branch": "main", "dirty": False},
    argv=("run", "suites/support.yaml"),
    seed="42",
    exit_code=1,
)


INPUTS = Inputs(
    schema=1,
    namespace="default",
    store="ab" * 16,
    endpoints={
        "large": EndpointInputs(
            identity='{"model":"gpt-5.1","provider":"openai"}',
            params={"temperature": 0, "stop": ["a", "b"]},
            source=SourceRef(file="evalrunner.yaml", line=3),
        )
    },
    suites={
        "support-replies": SuiteInputs(
            prompts={"polite": Written(digest="01" * 8, text="Answer {{question}}")},
            targets={"large": "large"},
            tools=Written(digest="02" * 8),
            checks=(CheckInputs(type="contains", value=Written(digest="03" * 8), frame="04" * 8),),
        )
    },
)


def record(
    *,
    cached: bool = False,
    shared: bool = False,
    incurred: int | None = 125_000_000,
    nominal: int | None = 125_000_000,
) -> CallRecord:
    return CallRecord(
        fingerprint=Fingerprint("ab" * 32),
        cached=cached,
        shared=shared,
        attempts=0 if cached else 1,
        incurred=None if incurred is None else Picodollars(0 if cached else incurred),
        nominal=None if nominal is None else Picodollars(nominal),
        worth=None if nominal is None else Picodollars(nominal),
    )


def subject(text: str, *, account: CallRecord, tier: Tier = Tier.FRONTIER) -> Subject:
    return Subject(
        tier=tier,
        model="large" if tier is Tier.FRONTIER else "small",
        response=ModelResponse(
            text=ModelText(text),
            finish_reason="stop",
            usage=Usage(input_tokens=12, output_tokens=5),
            served_model="gpt-5.1-2026-10-01",
            latency_seconds=0.25,
        ),
        record=account,
    )


def case(
    row: str,
    outcome: Outcome = Outcome.PASSED,
    *,
    suite: str = "support-replies",
    prompt: str = "reply",
    target: str = "large",
    text: str = "Of course, here is your refund.",
    reason: str | None = None,
    check: str = "contains",
    check_reason: str = "",
    account: CallRecord | None = None,
    line: int = 1,
) -> CaseResult:
    account = account or record()
    answered = outcome not in (Outcome.ERRORED, Outcome.NOT_RUN)
    check_outcome = outcome if outcome in (Outcome.PASSED, Outcome.FAILED) else Outcome.SKIPPED
    return CaseResult(
        case=CaseRef(
            id=f"{suite}/{row}",
            suite=suite,
            prompt=prompt,
            target=target,
            row=line - 1,
            repeat=0,
            rendered=(
                Message(role="system", content="You are polite."),
                Message(role="user", content=f"Please handle {row}."),
            ),
            vars={"ticket": row, "expected": "refund"},
            source=SourceRef(file="golden/support.jsonl", line=line),
        ),
        outcome=outcome,
        reason=None if reason is None else ModelText(reason),
        subject=subject(text, account=account) if answered else None,
        checks=(
            CheckResult(
                type=check,
                check_class=CheckClass.SEMANTIC,
                outcome=check_outcome,
                value="refund",
                score=1.0 if outcome is Outcome.PASSED else 0.0,
                reason=ModelText(check_reason) if check_reason else "",
            ),
        )
        if answered
        else (),
        records=(
            ChargedCall(
                tier=Tier.FRONTIER,
                endpoint="large",
                record=account,
                input_tokens=12,
                output_tokens=5,
            ),
        )
        if answered
        else (),
    )


def sample() -> RunReport:
    """Passed, failed, errored and not-run cases, a failed and a passed gate, a warning."""
    return RunReport(
        run=RUN,
        misses=(
            MissGroup(cause="template", count=2, where="suites/support.yaml:2", since="20261121-1"),
            MissGroup(cause="new_case", count=1),
        ),
        inputs=INPUTS,
        cases=(
            case("polite", account=record(cached=True), line=1),
            case("late", account=record(cached=True), line=2),
            case(
                "broken",
                Outcome.FAILED,
                text="I cannot help with that.",
                reason="contains: 'refund' is not in the answer",
                check_reason="'refund' is not in the answer",
                line=3,
            ),
            case("slow", Outcome.ERRORED, reason="the call did not end within 60 s", line=4),
            case("unpaid", Outcome.NOT_RUN, reason="budget", line=5),
        ),
        gates=(
            GateDecision(
                name="pass_rate",
                suite="support-replies",
                decision=Decision.FAIL,
                observed="2/3",
                limit="0.95",
                detail="66.7 % of 3 passed, at least 95 % must",
            ),
            GateDecision(name="budget", decision=Decision.PASS, observed="0.01", limit="5"),
        ),
        failures=(
            Failure(code=ExitCode.CEILING, rule="budget", message="1 case not run (budget)"),
            Failure(
                code=ExitCode.INFRASTRUCTURE,
                rule="errored",
                message="1 case errored and got no verdict",
            ),
            Failure(
                code=ExitCode.QUALITY,
                rule="pass_rate",
                message="support-replies: 66.7 % of 3 passed, at least 95 % must",
            ),
        ),
        cost_ratio=CostRatio(
            status="watch",
            ratio_total="0.08",
            projected_total="0.09",
            testing=Picodollars(8 * 10**12),
            inference=Picodollars(92 * 10**12),
            sources=({"source": "fixed", "usd": "92"},),
        ),
        estimate=CostEstimate(expected=Picodollars(10**9), maximum=Picodollars(3 * 10**9)),
        cache=CacheInfo(mode="read-write", signing="unsigned"),
        warnings=("the alias 'gpt-5.1' has no date: it may change under you",),
        gate_specs={"support-replies": GateSpec(min_pass_rate=Decimal("0.95"))},
        repeats={"support-replies": RepeatSpec()},
    )


# ---------------------------------------------------------------- made-up reports

any_text = st.text(st.characters(), max_size=30)
model_text = any_text.map(ModelText)
money = st.none() | st.integers(0, 10**13).map(Picodollars)
rates = st.none() | st.floats(0, 1)
finite = st.floats(allow_nan=False, allow_infinity=False)
json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**63) | finite | any_text,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(any_text, inner, max_size=3),
    max_leaves=6,
)

records = st.builds(
    CallRecord,
    fingerprint=any_text.map(Fingerprint),
    cached=st.booleans(),
    shared=st.booleans(),
    attempts=st.integers(0, 9),
    incurred=money,
    nominal=money,
    worth=money,
    miss_cause=st.none() | any_text,
)
tokens = st.none() | st.integers(0, 10**6)
subjects = st.builds(
    Subject,
    tier=st.sampled_from(Tier),
    model=any_text,
    response=st.builds(
        ModelResponse,
        text=model_text,
        finish_reason=st.none() | any_text,
        refusal=st.none() | model_text,
        tool_calls=json_values,
        usage=st.builds(Usage, input_tokens=tokens, output_tokens=tokens),
        served_model=st.none() | any_text,
        latency_seconds=st.floats(0, 1e6),
        reported_usd=money,
        calls=tokens,
    ),
    record=records,
)
checks = st.builds(
    CheckResult,
    type=any_text,
    check_class=st.sampled_from(CheckClass),
    outcome=st.sampled_from(Outcome),
    value=json_values,
    metric=st.none() | any_text,
    weight=st.floats(0, 10),
    score=rates,
    threshold=rates,
    reason=model_text.map(lambda text: text if text.raw else ""),
    tier=st.sampled_from(Tier),
    model=st.none() | any_text,
    escalated_from=st.none() | st.sampled_from(Tier),
    confidence=rates,
    record=st.none() | records,
)
calls = st.builds(
    ChargedCall,
    tier=st.sampled_from(Tier),
    endpoint=any_text,
    record=records,
    input_tokens=st.integers(0, 10**6),
    output_tokens=st.integers(0, 10**6),
    tiering=money,
)
messages = st.builds(Message, role=any_text, content=json_values)
refs = st.builds(
    CaseRef,
    id=any_text,
    suite=any_text,
    prompt=any_text,
    target=any_text,
    row=st.integers(0, 10**6),
    repeat=st.integers(0, 5),
    rendered=any_text | st.lists(messages, max_size=2).map(tuple),
    vars=st.dictionaries(any_text, json_values, max_size=3),
    description=st.none() | any_text,
    tags=st.dictionaries(any_text, any_text, max_size=2),
    source=st.builds(SourceRef, file=any_text, line=st.integers(0, 10**6)),
)
cases = st.builds(
    CaseResult,
    case=refs,
    outcome=st.sampled_from(Outcome),
    reason=st.none() | model_text,
    subject=st.none() | subjects,
    confirmed_from=st.none() | subjects,
    checks=st.lists(checks, max_size=2).map(tuple),
    records=st.lists(calls, max_size=2).map(tuple),
)
gates = st.builds(
    GateDecision,
    name=any_text,
    suite=st.none() | any_text,
    decision=st.sampled_from(Decision),
    observed=st.none() | any_text,
    limit=st.none() | any_text,
    detail=any_text,
    on_inconclusive=any_text,
)
reports = st.builds(
    RunReport,
    run=st.builds(
        RunInfo,
        id=any_text,
        started_at=any_text,
        finished_at=any_text,
        evalrunner=any_text,
        git=st.none() | st.dictionaries(any_text, json_values, max_size=2),
        argv=st.lists(any_text, max_size=2).map(tuple),
        frozen=st.booleans(),
        shard=st.none() | any_text,
        seed=any_text,
        exit_code=st.sampled_from(ExitCode).map(int),
    ),
    cases=st.lists(cases, max_size=3, unique_by=lambda one: one.case.id).map(tuple),
    gates=st.lists(gates, max_size=2).map(tuple),
    failures=st.lists(
        st.builds(Failure, code=st.sampled_from(ExitCode), rule=any_text, message=any_text),
        max_size=2,
    ).map(tuple),
    cost_ratio=st.builds(
        CostRatio,
        status=any_text,
        ratio_total=st.none() | any_text,
        testing=money,
        inference=money,
        sources=st.lists(st.dictionaries(any_text, json_values, max_size=2), max_size=1).map(tuple),
        detail=any_text,
    ),
    estimate=st.builds(CostEstimate, expected=money, maximum=money),
    cache=st.builds(CacheInfo, mode=any_text, signing=any_text, damaged=st.integers(0, 9)),
    possibly_paid=money,
    warnings=st.lists(any_text, max_size=2).map(tuple),
    gate_specs=st.dictionaries(
        any_text,
        st.builds(
            GateSpec,
            min_pass_rate=st.decimals(0, 1, places=3),
            confidence=rates,
            max_regressions=st.none() | st.integers(0, 5),
        ),
        max_size=2,
    ),
    repeats=st.dictionaries(any_text, st.builds(RepeatSpec, n=st.integers(1, 5)), max_size=2),
)
