"""The inputs of the GitHub Action, as ``action.yml`` hands them over, each through the environment."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from decimal import Decimal
from typing import Final

from evalrunner.errors import UsageError
from evalrunner.values.dataclass import dataclass
from evalrunner.values.money import Picodollars, from_usd

_MAX_INPUT: Final = 4_096


@dataclass(frozen=True, slots=True, kw_only=True)
class ActionInputs:
    """What the workflow asks for; see ``action.yml`` for what each input means."""

    suites: tuple[str, ...] = ()
    config: str = ""
    baseline: str = "auto"
    max_usd: Picodollars | None = None
    frozen: str = "auto"
    fail_on: str = "failure"
    comment: bool = True
    cache_file: str = ""
    working_directory: str = "."
    github_token: str = ""
    approved_sha: str = ""

    def __repr__(self) -> str:
        return f"ActionInputs(suites={self.suites!r}, …)"  # never the token


def read_inputs(environ: Mapping[str, str]) -> ActionInputs:
    """The inputs in the variables ``INPUT_…``; an empty one has its default.

    Raises:
        UsageError: One has a value that it cannot have, or is unreasonably long.
    """

    def text(name: str, default: str = "") -> str:
        return input_text(environ, name) or default

    return ActionInputs(
        suites=_words(text("suites")),
        config=text("config"),
        baseline=text("baseline", "auto"),
        max_usd=_dollars(text("max-usd")),
        frozen=_choice("frozen", text("frozen", "auto"), ("auto", "true", "false")),
        fail_on=_choice("fail-on", text("fail-on", "failure"), ("failure", "incomplete", "never")),
        comment=_choice("comment", text("comment", "true"), ("true", "false")) == "true",
        cache_file=text("cache-file"),
        working_directory=text("working-directory", "."),
        github_token=text("github-token"),
        approved_sha=text("approved-sha"),
    )


def input_text(environ: Mapping[str, str], name: str) -> str:
    """One input, without blanks around it.

    Raises:
        UsageError: It is unreasonably long.
    """
    value = environ.get(f"INPUT_{name.upper().replace('-', '_')}", "").strip()
    if len(value) > _MAX_INPUT:
        raise UsageError(f"the input {name} is longer than {_MAX_INPUT:,} characters")
    return value


def _words(value: str) -> tuple[str, ...]:
    """Suites, separated by blanks or lines; quotes keep a name with blanks together."""
    try:
        words = tuple(shlex.split(value))
    except ValueError as error:
        raise UsageError(f"the input suites cannot be read: {error}") from None
    for word in words:
        if word.startswith("-"):
            raise UsageError(f"the input suites names {word[:80]!r}, which is no suite")
    return words


def _choice(name: str, value: str, choices: tuple[str, ...]) -> str:
    if value not in choices:
        raise UsageError(f"the input {name} is {value[:80]!r}", hint=f"use {', '.join(choices)}")
    return value


def _dollars(value: str) -> Picodollars | None:
    if not value:
        return None
    try:
        amount = from_usd(Decimal(value))
    except (ArithmeticError, ValueError):
        amount = Picodollars(-1)
    if amount < 0:
        raise UsageError(f"the input max-usd is {value[:80]!r}", hint="write it like 0.50")
    return amount
