"""What must not leave: contents by policy, and secrets by value, before anything is written."""

from __future__ import annotations

import json
import re
from base64 import b64encode, urlsafe_b64encode
from collections.abc import Callable, Collection, Mapping
from dataclasses import fields, is_dataclass, replace
from functools import partial
from hashlib import sha256
from typing import Final, TypeVar
from urllib.parse import quote

from evalrunner.errors import ConfigError
from evalrunner.reports.safe_text import Text, raw
from evalrunner.values.exchange import Json, ModelText
from evalrunner.values.fingerprint import canonical_json
from evalrunner.values.result import CaseResult, CheckResult, Outcome, RunReport, Subject

SHORTEST_SECRET: Final = 6
SECRET_MARK: Final = "[secret]"

T = TypeVar("T")
Hide = Callable[[str], str]


class Redaction:
    """What takes out of results whatever must not be shown: contents by policy, secrets by value.

    Secrets are found wherever they stand and however they are encoded: plain, JSON-escaped, URL-quoted
    and in base64. Values shorter than :data:`SHORTEST_SECRET` characters are words, not secrets, and stay.
    What has nothing to hide comes back as the very object that was given.

    Args:
        include: ``outputs``; ``redacted``, where a digest and a length stand for answers, prompts,
            variables, compared values and reasons; or ``none``, where nothing does. Sums, outcomes
            and ids always stay.
        secrets: The values that nobody may see.

    Raises:
        ConfigError: *include* is another word.
    """

    def __init__(self, include: str = "outputs", secrets: Collection[str] = ()) -> None:
        if include not in _HIDES:
            raise ConfigError(
                f"report.include is {include!r}", hint="use 'outputs', 'redacted' or 'none'"
            )
        self._hide = _HIDES[include]
        pattern = secret_pattern(secrets)
        self._clean = None if pattern is None else partial(pattern.sub, SECRET_MARK)

    def case(self, case: CaseResult) -> CaseResult:
        """The case as it may be shown."""
        clean = case if self._clean is None else _rewritten(case, self._clean)
        return clean if self._hide is None else _hidden(clean, self._hide)

    def frame(self, report: RunReport) -> RunReport:
        """The report as it may be shown, with its cases as they are."""
        frame = replace(report, cases=())
        clean = frame if self._clean is None else _rewritten(frame, self._clean)
        if self._hide is not None and clean.inputs is not None:
            clean = replace(clean, inputs=clean.inputs.without_texts())
        return report if clean is frame else replace(clean, cases=report.cases)

    def report(self, report: RunReport) -> RunReport:
        """The report and its cases as they may be shown."""
        cases = tuple(map(self.case, report.cases))
        same = all(new is old for new, old in zip(cases, report.cases, strict=True))
        frame = self.frame(report)
        return frame if same else replace(frame, cases=cases)


def secret_pattern(secrets: Collection[str]) -> re.Pattern[str] | None:
    """What finds the secrets in a text; ``None`` where there are none."""
    forms = {
        form for secret in secrets if len(secret) >= SHORTEST_SECRET for form in _forms(secret)
    }
    if not forms:
        return None
    return re.compile("|".join(re.escape(form) for form in sorted(forms, key=len, reverse=True)))


def _forms(secret: str) -> set[str]:
    data = secret.encode("utf-8", "surrogatepass")
    plain = {secret, json.dumps(secret)[1:-1], quote(data, safe=""), quote(data, safe="/")}
    return plain | {form for skip in range(3) for form in _base64_forms(data, skip)}


def _base64_forms(data: bytes, skip: int) -> set[str]:
    """How the bytes look inside longer text that was encoded as base64, at one alignment."""
    padded = b"\0" * skip + data
    whole = len(padded) // 3 * 4
    start = -(-skip * 4 // 3) if skip else 0
    encoded = {b64encode(padded).decode(), urlsafe_b64encode(padded).decode()}
    return {form[start:whole] for form in encoded if whole - start >= SHORTEST_SECRET}


def _hidden(case: CaseResult, hide: Hide) -> CaseResult:
    ref = replace(
        case.case,
        rendered=hide(_as_text(case.case.rendered)),
        vars={key: hide(_as_text(value)) for key, value in case.case.vars.items()}
        if hide is not _nothing
        else {},
        description=None if case.case.description is None else hide(case.case.description),
    )
    return replace(
        case,
        case=ref,
        reason=case.reason if case.outcome is Outcome.NOT_RUN else _hidden_text(case.reason, hide),
        subject=None if case.subject is None else _hidden_subject(case.subject, hide),
        confirmed_from=None
        if case.confirmed_from is None
        else _hidden_subject(case.confirmed_from, hide),
        checks=tuple(_hidden_check(check, hide) for check in case.checks),
    )


def _hidden_subject(subject: Subject, hide: Hide) -> Subject:
    response = subject.response
    return replace(
        subject,
        response=replace(
            response,
            text=ModelText(hide(response.text.raw)),
            refusal=None if response.refusal is None else ModelText(hide(response.refusal.raw)),
            tool_calls=None if response.tool_calls is None else hide(_as_text(response.tool_calls)),
        ),
    )


def _hidden_check(check: CheckResult, hide: Hide) -> CheckResult:
    return replace(
        check,
        value=None if check.value is None else hide(_as_text(check.value)) or None,
        reason=_hidden_text(check.reason, hide) or "",
    )


def _hidden_text(text: Text | None, hide: Hide) -> Text | None:
    if text is None or not raw(text):
        return text
    return ModelText(hide(raw(text))) if hide(raw(text)) else None


def _digest(text: str) -> str:
    found = sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:12]
    return f"[sha256:{found}, {len(text):,} characters]"


def _nothing(text: str) -> str:
    return ""


_HIDES: Final[Mapping[str, Hide | None]] = {
    "outputs": None,
    "redacted": _digest,
    "none": _nothing,
}


def _as_text(value: Json | object) -> str:
    if isinstance(value, str):
        return value
    try:
        return canonical_json(value)
    except (ValueError, RecursionError):
        return ascii(value)


def _rewritten(value: T, change: Hide) -> T:
    """The same value with every text in it changed, and the very same where no text did."""
    return _walk(value, change)  # type: ignore[return-value]  # a walk keeps each value's type


def _walk(value: object, change: Hide) -> object:
    if type(value) is str:
        new = change(value)
        return value if new == value else new
    if isinstance(value, ModelText):
        new = change(value.raw)
        return value if new == value.raw else ModelText(new)
    if isinstance(value, Mapping):
        pairs = [(_walk(key, change), _walk(item, change)) for key, item in value.items()]
        same = all(a is b and c is d for (a, c), (b, d) in zip(pairs, value.items(), strict=True))
        return value if same else dict(pairs)
    if isinstance(value, list | tuple):
        items = [_walk(item, change) for item in value]
        same = all(new is old for new, old in zip(items, value, strict=True))
        return value if same else type(value)(items)
    if is_dataclass(value) and not isinstance(value, type):
        return _walk_fields(value, change)
    return value


def _walk_fields(value: object, change: Hide) -> object:
    changed = {}
    for field in fields(value):  # type: ignore[arg-type]  # the caller has seen that it is one
        old = getattr(value, field.name)
        new = _walk(old, change)
        if new is not old:
            changed[field.name] = new
    return replace(value, **changed) if changed else value  # type: ignore[type-var]
