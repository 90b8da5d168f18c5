"""Prompts that are alike but for white space, where the user accepts that by name.

Exact hashing decides; only where it finds nothing, a second key is tried, made of the prompt's text after
the normalisations that are named in ``cache.reuse``. Under it lies the key of the question that was asked.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Final

from evalrunner.values.exchange import Json, Message, ModelRequest, Request
from evalrunner.values.fingerprint import SCHEMA, Fingerprint, digest

_BLANKS: Final = re.compile(r"[ \t]+")
_LINE_ENDINGS: Final = re.compile(r"\r\n?")
_KEY: Final = re.compile(rb"[0-9a-f]{64}")

NORMALIZATIONS: Final[Mapping[str, Callable[[str], str]]] = {
    "line-endings": lambda text: _LINE_ENDINGS.sub("\n", text),
    "runs-of-blanks": lambda text: _BLANKS.sub(" ", text),
    "outer-white-space": str.strip,
}
"""What may be done to a text before it is compared, by name and in the order in which it is done."""

_ANSWERS: Final = frozenset({"subject", "confirm"})


class Likeness:
    """Which questions count as one.

    Args:
        names: Of :data:`NORMALIZATIONS`.

    Example:
        >>> Likeness(["outer-white-space", "runs-of-blanks"]).normal("  a   b ")
        'a b'
    """

    def __init__(self, names: Sequence[str]) -> None:
        self._names = sorted(names)
        self._steps = [step for name, step in NORMALIZATIONS.items() if name in names]

    def normal(self, text: str) -> str:
        """The text as it is compared."""
        for step in self._steps:
            text = step(text)
        return text

    def keys(
        self, waiting: Sequence[tuple[Request, Fingerprint]]
    ) -> dict[Fingerprint, Fingerprint]:
        """For each question to a model under test, by its key, the key of its normal form.

        Judges' questions are never among them: a verdict is about a text as it stands.
        """
        return {
            key: self._key(request)
            for request, key in waiting
            if isinstance(request, ModelRequest) and request.role in _ANSWERS
        }

    def _key(self, request: ModelRequest) -> Fingerprint:
        messages = tuple(
            Message(role=message.role, content=self._content(message.content))
            for message in request.messages
        )
        return digest(
            {
                "schema": SCHEMA,
                "kind": "NormalizedRequest",
                "names": self._names,
                "request": replace(request, messages=messages),
            }
        )

    def _content(self, content: Json) -> Json:
        """Text is normalised, in parts of a message as well; all else stays as it is."""
        match content:
            case str():
                return self.normal(content)
            case Mapping():
                return {
                    key: self._content(item) if key == "text" else item
                    for key, item in content.items()
                }
            case list() | tuple():
                return [
                    self._content(item) if isinstance(item, Mapping) else item for item in content
                ]
            case _:
                return content


def pointer(key: Fingerprint) -> bytes:
    """What is stored under the key of a normal form."""
    return key.encode("ascii")


def pointed_at(body: bytes) -> Fingerprint | None:
    """The key that such a body names; ``None`` where it names none."""
    return Fingerprint(body.decode("ascii")) if _KEY.fullmatch(body) else None
