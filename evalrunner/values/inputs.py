"""What a run's requests were made of, but for the rows: kept with the run, so that the next can compare."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field, replace
from typing import Final

from evalrunner.values.dataclass import dataclass
from evalrunner.values.exchange import Json
from evalrunner.values.fingerprint import canonical_json, digest
from evalrunner.values.spec import SourceRef

LONGEST_TEXT: Final = 4096
"""A text that is longer is kept as its digest alone."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Written:
    """A part that the user wrote: what it is known by, where it stands, and the text if it may be kept."""

    digest: str
    text: str | None = None
    source: SourceRef = SourceRef(file="")


def written(value: Json, source: SourceRef) -> Written | None:
    """The part that this value is; ``None`` for no value.

    Example:
        >>> written("Hello {{name}}", SourceRef(file="suites/a.yaml", line=2)).text
        'Hello {{name}}'
        >>> written(None, SourceRef(file="")) is None
        True
    """
    if value is None:
        return None
    text = value if isinstance(value, str) else canonical_json(value)
    return Written(
        digest=digest(value)[:16],
        text=text if len(text) <= LONGEST_TEXT else None,
        source=source,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class EndpointInputs:
    """Who was asked: the identity as canonical JSON, and the parameters that went along."""

    identity: str
    params: Mapping[str, Json] = field(default_factory=dict)
    source: SourceRef = SourceRef(file="")


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckInputs:
    """One check of a suite: its value before rows fill it in, and what else its judge is told.

    ``frame`` is the digest of what replaces the judge's own frame and of the check's settings.
    """

    type: str
    value: Written | None = None
    frame: str = ""
    source: SourceRef = SourceRef(file="")


@dataclass(frozen=True, slots=True, kw_only=True)
class SuiteInputs:
    """One suite: its templates by label, its targets' endpoints by label, and what is sent with prompts."""

    prompts: Mapping[str, Written] = field(default_factory=dict)
    targets: Mapping[str, str] = field(default_factory=dict)
    tools: Written | None = None
    response_format: Written | None = None
    checks: tuple[CheckInputs, ...] = ()

    def without_texts(self) -> SuiteInputs:
        """The same with digests alone."""
        return replace(
            self,
            prompts={label: replace(one, text=None) for label, one in self.prompts.items()},
            tools=self.tools and replace(self.tools, text=None),
            response_format=self.response_format and replace(self.response_format, text=None),
            checks=tuple(
                replace(check, value=check.value and replace(check.value, text=None))
                for check in self.checks
            ),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Inputs:
    """Everything that stands beside the rows in the keys of a run.

    Attributes:
        schema: The number of the key's form.
        namespace: Whose entries of the store are read.
        store: The store's name, where it has one: another after it was cleared or pruned.
        include: How much of the cases the document holds (``report.include``).
        endpoints: Who may be asked, by name.
        suites: The suites, by name.
    """

    schema: int
    namespace: str
    store: str = ""
    include: str = "outputs"
    endpoints: Mapping[str, EndpointInputs] = field(default_factory=dict)
    suites: Mapping[str, SuiteInputs] = field(default_factory=dict)

    def without_texts(self) -> Inputs:
        """The same with digests alone in the place of what the user wrote."""
        suites = {name: suite.without_texts() for name, suite in self.suites.items()}
        return replace(self, suites=suites)
