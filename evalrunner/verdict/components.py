"""What two runs' inputs of the same question have in common, and what not: pure comparison."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping

from evalrunner.values.cause import Cause, Change
from evalrunner.values.dataclass import dataclass
from evalrunner.values.exchange import Json, Tier
from evalrunner.values.fingerprint import canonical_json
from evalrunner.values.inputs import CheckInputs, EndpointInputs, Inputs, SuiteInputs, Written
from evalrunner.values.result import CaseResult, CheckResult, RunInfo
from evalrunner.values.spec import SourceRef

_NO_SUITE = SuiteInputs()
_NOWHERE = SourceRef(file="")


@dataclass(frozen=True, slots=True, kw_only=True)
class Side:
    """A case as one run had it.

    Attributes:
        run: The run.
        case: The case in it.
        inputs: What else its requests were made of; ``None`` in documents of old.
        cache: The mode of the run's cache.
    """

    run: RunInfo
    case: CaseResult
    inputs: Inputs | None
    cache: str = "read-write"

    @property
    def suite(self) -> SuiteInputs:
        """The suite's inputs."""
        name = self.case.case.suite
        return self.inputs.suites.get(name, _NO_SUITE) if self.inputs else _NO_SUITE

    def endpoint(self, name: str) -> EndpointInputs | None:
        """The inputs of an endpoint, by its name in that run."""
        return self.inputs.endpoints.get(name) if self.inputs else None


def subject_changes(now: Side, before: Side, endpoint: str, earlier: str) -> list[Change]:
    """What is new in the question to the system under test, asked of *endpoint* and *earlier* of another."""
    found = [*_epoch(now, before)]
    found += endpoint_changes(now.endpoint(endpoint), before.endpoint(earlier))
    found += _part(Cause.TOOLS, now.suite.tools, before.suite.tools)
    found += _part(Cause.RESPONSE_FORMAT, now.suite.response_format, before.suite.response_format)
    found += _prompt(now, before, application=_is_application(now.endpoint(endpoint)))
    return in_order(found)


def judge_changes(
    now: Side, before: Side, check: CheckResult, earlier: CheckResult
) -> list[Change]:
    """What is new in a judge's question."""
    found = [*_epoch(now, before)]
    if check.model is not None and earlier.model is not None:
        found += endpoint_changes(now.endpoint(check.model), before.endpoint(earlier.model))
    spec, old = _spec_of(now, check), _spec_of(before, earlier)
    if spec is not None and old is not None and spec.frame != old.frame:
        found.append(Change(cause=Cause.FRAME, source=spec.source))
    found += _rubric(now, before, check, earlier)
    found += _answer(now, before)
    release, former = now.run.evalrunner, before.run.evalrunner
    if not found and release != former:  # a release may bring another frame along
        found.append(Change(cause=Cause.FRAME, name="evalrunner", before=former, after=release))
    return in_order(found)


def endpoint_changes(now: EndpointInputs | None, before: EndpointInputs | None) -> list[Change]:
    """What is new about who is asked, and with which parameters."""
    if now is None or before is None:
        return []
    new, old = _object(now.identity), _object(before.identity)
    kind = "kind"  # which an application has, and a model has not
    code = kind in new and new[kind] == old.get(kind)
    found = [
        _change(
            Cause.TARGET_CODE if code and name != "application" else Cause.MODEL,
            name,
            old.get(name),
            new.get(name),
            now.source,
        )
        for name in _differing(new, old)
    ]
    found += [
        _change(Cause.PARAMS, name, before.params.get(name), now.params.get(name), now.source)
        for name in _differing(now.params, before.params)
    ]
    return found


def _differing(now: Mapping[str, Json], before: Mapping[str, Json]) -> list[str]:
    return [name for name in sorted({*now, *before}) if now.get(name) != before.get(name)]


def in_order(changes: Iterable[Change]) -> list[Change]:
    """The changes in the order in which causes count."""
    rank = {cause: number for number, cause in enumerate(Cause)}
    return sorted(changes, key=lambda change: rank[change.cause])


def _epoch(now: Side, before: Side) -> Iterator[Change]:
    if now.inputs and before.inputs and now.inputs.schema != before.inputs.schema:
        yield Change(
            cause=Cause.EPOCH, before=str(before.inputs.schema), after=str(now.inputs.schema)
        )


def _part(cause: Cause, now: Written | None, before: Written | None) -> Iterator[Change]:
    if (now and now.digest) != (before and before.digest):
        source = (now or before or Written(digest="")).source
        yield Change(
            cause=cause,
            before=before.text if before else None,
            after=now.text if now else None,
            source=source,
        )


def _prompt(now: Side, before: Side, *, application: bool) -> Iterator[Change]:
    """The template and the variables, if the text that they make is another."""
    readable = contents_compare(now, before)
    new, old = now.case.case, before.case.case
    same_text = readable and new.rendered == old.rendered
    if not same_text:
        yield from _template(now, before)
    if readable and (application or not same_text):
        changes = list(variable_changes(new.vars, old.vars, new.source))
        template = now.suite.prompts.get(new.prompt)
        text = template.text if template and not application else None
        yield from _used(changes, text)


def _used(changes: list[Change], text: str | None) -> list[Change]:
    """The variables that a template speaks of; all, where none of them can be found in it."""
    return [one for one in changes if text and one.name in text] or changes


def _template(now: Side, before: Side) -> Iterator[Change]:
    template = now.suite.prompts.get(now.case.case.prompt)
    earlier = before.suite.prompts.get(before.case.case.prompt)
    if template is None or earlier is None or template.digest == earlier.digest:
        return
    yield Change(
        cause=Cause.TEMPLATE,
        name=now.case.case.prompt,
        before=earlier.text,
        after=template.text,
        source=template.source,
    )


def variable_changes(
    now: Mapping[str, Json], before: Mapping[str, Json], source: SourceRef
) -> Iterator[Change]:
    """The variables that differ, with the row's place."""
    for name in sorted({*now, *before}):
        if now.get(name) != before.get(name) or (name in now) != (name in before):
            yield _change(
                Cause.VARIABLES,
                name,
                before.get(name) if name in before else _ABSENT,
                now.get(name) if name in now else _ABSENT,
                source,
            )


def contents_compare(now: Side, before: Side) -> bool:
    """Whether both documents hold texts, or digests of them, in one form."""
    if now.inputs is None or before.inputs is None:
        return True
    return now.inputs.include == before.inputs.include != "none"


def _rubric(now: Side, before: Side, check: CheckResult, earlier: CheckResult) -> Iterator[Change]:
    spec, old = _spec_of(now, check), _spec_of(before, earlier)
    template = spec.value if spec else None
    former = old.value if old else None
    if template is not None and former is not None:
        if template.digest != former.digest:
            yield Change(
                cause=Cause.RUBRIC,
                name=check.type,
                before=former.text,
                after=template.text,
                source=spec.source if spec else _NOWHERE,
            )
            return
        if _values_differ(now, before, check, earlier):
            new, row = now.case.case, before.case.case
            changes = list(variable_changes(new.vars, row.vars, new.source))
            yield from _used(changes, template.text)
        return
    if _values_differ(now, before, check, earlier):
        yield _change(Cause.RUBRIC, check.type, earlier.value, check.value, now.case.case.source)


def _values_differ(now: Side, before: Side, check: CheckResult, earlier: CheckResult) -> bool:
    known = check.value is not None and contents_compare(now, before)
    return known and check.value != earlier.value


def _answer(now: Side, before: Side) -> Iterator[Change]:
    new, old = now.case.subject, before.case.subject
    if new is None or old is None or not contents_compare(now, before):
        return
    if new.response.text != old.response.text:
        yield Change(cause=Cause.ANSWER, before=old.response.text.raw, after=new.response.text.raw)


def _spec_of(side: Side, check: CheckResult) -> CheckInputs | None:
    """The suite's check that the case's check is; a row's own are not kept apart."""
    specs = side.suite.checks
    for number, one in enumerate(side.case.checks):
        if one is check and number < len(specs) and specs[number].type == check.type:
            return specs[number]
    return next((spec for spec in specs if spec.type == check.type), None)


def _is_application(endpoint: EndpointInputs | None) -> bool:
    return endpoint is not None and "kind" in _object(endpoint.identity)


def _object(identity: str) -> Mapping[str, Json]:
    """The parts of an identity; a document's author may have written anything."""
    try:
        found = json.loads(identity)
    except (ValueError, RecursionError):
        return {"identity": identity}
    return found if isinstance(found, dict) else {"identity": identity}


_ABSENT = object()


def _change(cause: Cause, name: str, before: object, after: object, source: SourceRef) -> Change:
    return Change(cause=cause, name=name, before=_text(before), after=_text(after), source=source)


def _text(value: object) -> str | None:
    if value is _ABSENT or value is None:
        return None
    return value if isinstance(value, str) else canonical_json(value)


def same_tier(tier: Tier, other: Tier) -> bool:
    """Whether two answers were given in the same role: by the proxy, or by the target."""
    return (tier is Tier.PROXY) == (other is Tier.PROXY)
