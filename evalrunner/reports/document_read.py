"""A run document becomes a run report again, whoever wrote it."""

from __future__ import annotations

from decimal import Decimal, InvalidOperation
from typing import Final

from evalrunner.errors import RunDocumentError
from evalrunner.reports.document_inputs import inputs_from, misses_from
from evalrunner.reports.json_node import JsonNode, parse
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
from evalrunner.values.money import ZERO
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
    Remedy,
    RunInfo,
    RunReport,
    Subject,
    Unasked,
)
from evalrunner.values.spec import CheckClass, GateSpec, RepeatSpec, SourceRef
from evalrunner.values.summary import ModelTally, Spent, Summary, Tally

FAMILY: Final = "evalrunner.run/"
VERSION: Final = "1"


def from_json(data: bytes, *, name: str) -> RunReport:
    """The report that a document holds. Sums are those of its cases, whatever its summary says.

    All text in it is taken for a model's, and the summary is read only where there are no cases
    (``run.answered_from``).

    Args:
        data: The document.
        name: How messages call it: its path.

    Raises:
        RunDocumentError: It is no such document, or one of a version that this release cannot read.
    """
    root = parse(data, name=name)
    _require_version(root, name)
    run = _run(root.node("run"))
    summary = root.node("summary")
    cases = tuple(_case(node) for node in root.nodes("cases"))
    _require_distinct(cases, name)
    suites = _suites(summary)
    return RunReport(
        run=run,
        cases=cases,
        gates=tuple(_gate(node) for node in root.nodes("gates")),
        failures=tuple(_failure(node) for node in root.nodes("failures")),
        cost_ratio=_cost_ratio(root.node("cost_ratio")),
        estimate=_estimate(summary.node("cost").node("estimate")),
        estimates={
            key: _estimate(node.node("estimate")) for key, node in suites if node.has("estimate")
        },
        cache=_cache(summary.node("cache")),
        possibly_paid=summary.node("cost").money("possibly_paid_usd"),
        remedies=tuple(_remedy(node) for node in root.nodes("remedies")),
        warnings=root.text_items("warnings"),
        summary=_summary(suites) if run.answered_from is not None and not cases else None,
        inputs=inputs_from(root.node("inputs")) if root.has("inputs") else None,
        misses=tuple(misses_from(node) for node in root.nodes("misses")),
        gate_specs={key: _gate_spec(node.node("gate")) for key, node in suites if node.has("gate")},
        repeats={key: _repeat(node.node("repeat")) for key, node in suites if node.has("repeat")},
        left_out={key: left for key, node in suites if (left := node.integer("left_out", 0))},
    )


def case_from_line(line: bytes) -> CaseResult:
    """The case of one line of a document, as :func:`~evalrunner.reports.document.case_line` wrote it.

    Raises:
        RunDocumentError: It is no such line.
    """
    return _case(parse(line, name="a case"))


def _require_version(root: JsonNode, name: str) -> None:
    schema = root.text("schema", "")
    if not schema.startswith(FAMILY):
        hint = "give a run document that `evalrunner run -o FILE.json` wrote"
        raise RunDocumentError(f"{name!r} is not a run document", hint=hint)
    if schema != FAMILY + VERSION:
        message = f"{name!r} is of version {schema!r}; this release reads {FAMILY + VERSION!r}"
        raise RunDocumentError(message, hint="use the release of evalrunner that wrote it")


def _require_distinct(cases: tuple[CaseResult, ...], name: str) -> None:
    seen: set[str] = set()
    for case in cases:
        if case.case.id in seen:
            raise RunDocumentError(f"{name!r} has the case {case.case.id!r} twice")
        seen.add(case.case.id)


def _suites(summary: JsonNode) -> list[tuple[str, JsonNode]]:
    node = summary.node("by_suite")
    return [(key, node.node(key)) for key in node.fields]


def _run(node: JsonNode) -> RunInfo:
    return RunInfo(
        id=node.text("id"),
        started_at=node.text("started_at"),
        finished_at=node.text("finished_at"),
        evalrunner=node.text("evalrunner"),
        git=node.mapping("git") if node.has("git") else None,
        argv=node.text_items("argv"),
        frozen=node.boolean("frozen"),
        shard=node.text_or_none("shard"),
        seed=node.text("seed", ""),
        exit_code=node.integer("exit_code", 0),
        answered_from=node.text_or_none("answered_from"),
    )


def _case(node: JsonNode) -> CaseResult:
    subject = node.node("subject") if node.has("subject") else None
    origin = node if subject is None else subject
    confirmed = origin.node("confirmed_from") if origin.has("confirmed_from") else None
    return CaseResult(
        case=_ref(node),
        outcome=node.word("outcome", Outcome),
        reason=ModelText(node.text("reason")) if node.has("reason") else None,
        subject=None if subject is None else _subject(subject, node.text("output")),
        confirmed_from=None if confirmed is None else _subject(confirmed, confirmed.text("output")),
        checks=tuple(_check(check) for check in node.nodes("checks")),
        records=tuple(_call(call) for call in node.nodes("calls")),
        unasked=_unasked(node.node("unasked")) if node.has("unasked") else None,
        price=_estimate(node.node("price")) if node.has("price") else None,
    )


def _unasked(node: JsonNode) -> Unasked:
    return Unasked(
        role=node.text("role"),
        tier=node.word("tier", Tier),
        endpoint=node.text("endpoint"),
        fingerprint=Fingerprint(node.text("key")),
        check=node.text_or_none("check"),
        miss_cause=node.text_or_none("miss_cause"),
    )


def _ref(node: JsonNode) -> CaseRef:
    source = node.node("source")
    return CaseRef(
        id=node.text("id"),
        suite=node.text("suite"),
        prompt=node.text("prompt"),
        target=node.text("target", ""),
        row=node.integer("row"),
        repeat=node.integer("repeat"),
        rendered=_rendered(node),
        vars=node.mapping("vars"),
        description=node.text_or_none("description"),
        tags=node.texts("tags"),
        source=SourceRef(file=source.text("file", ""), line=source.integer("line", 0)),
    )


def _rendered(node: JsonNode) -> str | tuple[Message, ...]:
    if isinstance(node.fields.get("rendered"), list):
        return tuple(
            Message(role=message.text("role"), content=message.json("content"))
            for message in node.nodes("rendered")
        )
    return node.text("rendered")


def _subject(node: JsonNode, output: str) -> Subject:
    return Subject(
        tier=node.word("tier", Tier),
        model=node.text("model"),
        response=ModelResponse(
            text=ModelText(output),
            finish_reason=node.text_or_none("finish_reason"),
            refusal=ModelText(node.text("refusal")) if node.has("refusal") else None,
            tool_calls=node.json("tool_calls"),
            usage=_usage(node.node("usage")),
            served_model=node.text_or_none("served_model"),
            latency_seconds=node.number_or_none("latency_seconds") or 0.0,
            reported_usd=node.money("reported_usd"),
            calls=node.integer_or_none("model_calls"),
        ),
        record=_record(node),
    )


def _usage(node: JsonNode) -> Usage:
    return Usage(
        input_tokens=node.integer_or_none("input_tokens"),
        output_tokens=node.integer_or_none("output_tokens"),
        cached_input_tokens=node.integer("cached_input_tokens", 0),
        cache_write_tokens=node.integer("cache_write_tokens", 0),
        reasoning_tokens=node.integer("reasoning_tokens", 0),
    )


def _record(node: JsonNode) -> CallRecord:
    nominal = node.money("nominal_usd")
    return CallRecord(
        fingerprint=Fingerprint(node.text("fingerprint")),
        cached=node.boolean("cached"),
        shared=node.boolean("shared"),
        attempts=node.integer("attempts", 0),
        incurred=node.money("incurred_usd"),
        nominal=nominal,
        worth=node.money("worth_usd") if "worth_usd" in node.fields else nominal,
        miss_cause=node.text_or_none("miss_cause"),
        normalized=node.boolean("normalized"),
        verified=node.text_or_none("verified"),
        unmetered=node.boolean("unmetered"),
    )


def _check(node: JsonNode) -> CheckResult:
    reason = node.text("reason", "")
    return CheckResult(
        type=node.text("type"),
        check_class=node.word("class", CheckClass),
        outcome=node.word("outcome", Outcome),
        value=node.json("value"),
        metric=node.text_or_none("metric"),
        weight=node.number("weight") if node.has("weight") else 1.0,
        score=node.number_or_none("score"),
        threshold=node.number_or_none("threshold"),
        reason=ModelText(reason) if reason else "",
        tier=node.word("tier", Tier),
        model=node.text_or_none("model"),
        escalated_from=node.word("escalated_from", Tier) if node.has("escalated_from") else None,
        confidence=node.number_or_none("confidence"),
        record=_record(node) if node.has("fingerprint") else None,
    )


def _call(node: JsonNode) -> ChargedCall:
    tiering = "avoided_tiering_usd"
    return ChargedCall(
        tier=node.word("tier", Tier),
        endpoint=node.text("endpoint"),
        record=_record(node),
        input_tokens=node.integer("input_tokens", 0),
        output_tokens=node.integer("output_tokens", 0),
        **({"tiering": node.money(tiering)} if tiering in node.fields else {}),
    )


def _gate(node: JsonNode) -> GateDecision:
    return GateDecision(
        name=node.text("name"),
        suite=node.text_or_none("suite"),
        decision=node.word("decision", Decision),
        observed=node.text_or_none("observed"),
        limit=node.text_or_none("limit"),
        detail=node.text("detail", ""),
        on_inconclusive=node.text("on_inconclusive", "fail"),
    )


def _failure(node: JsonNode) -> Failure:
    code = node.word("code", ExitCode)
    return Failure(code=code, rule=node.text("rule"), message=node.text("message"))


def _cost_ratio(node: JsonNode) -> CostRatio:
    return CostRatio(
        status=node.text("status", "skipped"),
        basis=node.text("basis", "total"),
        ratio_total=node.text_or_none("ratio_total"),
        ratio_production=node.text_or_none("ratio_production"),
        projected_total=node.text_or_none("projected_total"),
        projected_production=node.text_or_none("projected_production"),
        previous_total=node.text_or_none("previous_total"),
        runs_per_month=node.text_or_none("runs_per_month"),
        phase=node.text_or_none("phase"),
        bound=node.text("bound", "exact"),
        testing=node.money("testing_usd"),
        inference=node.money("inference_usd"),
        window_days=node.integer("window_days", 28),
        sources=tuple(
            {key: source.json(key) for key in source.fields} for source in node.nodes("sources")
        ),
        detail=node.text("detail", ""),
    )


def _estimate(node: JsonNode) -> CostEstimate:
    return CostEstimate(
        expected=node.money("expected_usd"),
        maximum=node.money("maximum_usd"),
        unmetered=node.boolean("unmetered"),
        correction=_millionths(node, "correction"),
    )


def _millionths(node: JsonNode, key: str) -> int | None:
    text = node.text_or_none(key)
    try:
        return None if text is None else int(Decimal(text) * 10**6)
    except (ArithmeticError, ValueError):
        node.refuse(key, "a decimal number")


def _remedy(node: JsonNode) -> Remedy:
    return Remedy(
        action=node.text("action"),
        expected=node.money("expected_usd") or ZERO,
        saves=node.money("saves_usd") or ZERO,
        enough=node.boolean("enough"),
    )


def _cache(node: JsonNode) -> CacheInfo:
    return CacheInfo(
        mode=node.text("mode", "read-write"),
        signing=node.text("signing", "unsigned"),
        damaged=node.integer("damaged", 0),
        untrusted=node.integer("untrusted", 0),
    )


def _gate_spec(node: JsonNode) -> GateSpec:
    try:
        min_pass_rate = Decimal(node.text("min_pass_rate"))
    except InvalidOperation:
        node.refuse("min_pass_rate", "a decimal number")
    return GateSpec(
        min_pass_rate=min_pass_rate,
        confidence=node.number_or_none("confidence"),
        max_regressions=node.integer_or_none("max_regressions"),
        on_inconclusive=node.text("on_inconclusive", "fail"),
    )


def _repeat(node: JsonNode) -> RepeatSpec:
    return RepeatSpec(n=node.integer("n"), required=node.integer_or_none("pass"))


def _summary(suites: list[tuple[str, JsonNode]]) -> Summary:
    return Summary(by_suite={key: _tally(node) for key, node in suites})


def _tally(node: JsonNode) -> Tally:
    cache, calls, cost = node.node("cache"), node.node("calls"), node.node("cost")
    models = calls.node("by_model")
    return Tally(
        passed=node.integer("passed"),
        failed=node.integer("failed"),
        errored=node.integer("errored"),
        skipped=node.integer("skipped"),
        not_run=node.integer("not_run"),
        hits=cache.integer("hits"),
        misses=cache.integer("misses"),
        shared=cache.integer("shared", 0),
        not_run_reasons=node.counts("not_run_reasons"),
        misses_by_cause=cache.counts("misses_by_cause"),
        calls_by_tier=calls.counts("by_tier"),
        by_model={key: _model(models.node(key)) for key in models.fields},
        incurred=_spent(cost, "incurred_usd"),
        nominal=_spent(cost, "nominal_usd"),
        tiering=_spent(cost.node("avoided_usd"), "tiering"),
        left_out=node.integer("left_out", 0),
        sampling=_spent(cost.node("avoided_usd"), "sampling"),
    )


def _model(node: JsonNode) -> ModelTally:
    return ModelTally(
        hits=node.integer("hits", 0),
        calls=node.integer("calls"),
        input_tokens=node.integer("input_tokens"),
        output_tokens=node.integer("output_tokens"),
        incurred=_spent(node, "incurred_usd"),
        nominal=_spent(node, "nominal_usd"),
        normalized=node.integer("normalized", 0),
        verified=node.integer("verified", 0),
        differed=node.integer("differed", 0),
        unmetered=node.integer("unmetered", 0),
    )


def _spent(node: JsonNode, key: str) -> Spent:
    """A kept sum; how many parts of an unknown one were unknown is not kept, that one was is."""
    amount = node.money(key)
    return Spent(unknown=1) if amount is None else Spent(known=amount)
