"""Why a request had to be asked although the same case was answered before."""

from __future__ import annotations

from enum import StrEnum

from evalrunner.values.dataclass import dataclass
from evalrunner.values.fingerprint import Fingerprint
from evalrunner.values.spec import SourceRef


class Cause(StrEnum):
    """The words of ``misses_by_cause``. Of several causes the first in this order is counted."""

    NO_CACHE = "no_cache"
    UNCACHEABLE = "uncacheable"
    FIRST_RUN = "first_run"
    NEW_CASE = "new_case"
    NEW_DRAW = "new_draw"
    NEW_CHECK = "new_check"
    UNASKED = "unasked"
    UNANSWERED = "unanswered"
    EPOCH = "epoch"
    TARGET_CODE = "target_code"
    MODEL = "model"
    PARAMS = "params"
    TOOLS = "tools"
    RESPONSE_FORMAT = "response_format"
    FRAME = "frame"
    RUBRIC = "rubric"
    TEMPLATE = "template"
    VARIABLES = "variables"
    ANSWER = "answer"
    RECACHE = "recache"
    NAMESPACE = "namespace"
    EXPIRED = "expired"
    DAMAGED = "damaged"
    UNTRUSTED = "untrusted"
    NOT_KEPT = "not_kept"
    EVICTED = "evicted"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """One component that is not what it was.

    Attributes:
        cause: Which kind of component.
        name: Which one, where there are several: a variable, a parameter, a prompt's label.
        before: What it was; ``None`` where it was not there or is not kept.
        after: What it is now.
        source: Where it is written now.
    """

    cause: Cause
    name: str = ""
    before: str | None = None
    after: str | None = None
    source: SourceRef = SourceRef(file="")


@dataclass(frozen=True, slots=True, kw_only=True)
class Explained:
    """One request of a case: a hit, or a miss with its cause.

    Attributes:
        role: ``subject`` or ``judge``.
        check: The judging check's type.
        endpoint: Who was, or would be, asked.
        fingerprint: The request's key.
        cause: Why it was asked; ``None`` for a hit.
        changes: What is not what it was, in the order of :class:`Cause`.
        since: The run that it is compared with; ``None`` where there is none.
        normalized: A hit on a question that is alike but for white space.
    """

    role: str
    endpoint: str
    fingerprint: Fingerprint
    check: str | None = None
    cause: Cause | None = None
    changes: tuple[Change, ...] = ()
    since: str | None = None
    normalized: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class MissGroup:
    """Misses with one cause: how many, where that is written, and the run they are compared with."""

    cause: str
    count: int
    where: str = ""
    since: str | None = None
