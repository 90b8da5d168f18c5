"""Checks of how near the answer's words are to a reference: edit distance, ROUGE-N, BLEU, GLEU."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Final

from evalrunner.checks.base import CheckContext, Grade
from evalrunner.checks.kinds import Complaint, is_number
from evalrunner.checks.text import as_needle, as_text, verdict
from evalrunner.values.exchange import Json
from evalrunner.values.result import Score
from evalrunner.values.spec import CheckSpec

LEVENSHTEIN_THRESHOLD: Final = 5.0
ROUGE_THRESHOLD: Final = 0.75
BLEU_THRESHOLD: Final = 0.5
GLEU_THRESHOLD: Final = 0.5

MAX_EDIT_TEXT: Final = 50_000
"""Characters of the longer text up to which an edit distance is counted; time grows as its square."""

MAX_WORDS_TEXT: Final = 200_000
"""Characters of the longer text up to which n-grams are counted."""

_LONGEST_NGRAM: Final = 4
_WORD: Final = re.compile(r"[^\W_]+")


def levenshtein(spec: CheckSpec) -> Grade:
    """At most ``threshold`` (default 5) characters are inserted, deleted or replaced.

    The score is 1 minus the distance over the length of the longer text.
    """
    del spec
    return _levenshtein


def _levenshtein(context: CheckContext) -> Score:
    from rapidfuzz.distance import Levenshtein  # 30 ms that only this check pays

    limit = LEVENSHTEIN_THRESHOLD if context.threshold is None else context.threshold
    output, expected = context.output, as_text(context.value)
    longer = max(len(output), len(expected))
    if longer > MAX_EDIT_TEXT:
        raise ValueError(f"an edit distance is counted up to {MAX_EDIT_TEXT:,} characters")
    distance = Levenshtein.distance(output, expected)
    return Score(
        value=1.0 - distance / longer if longer else 1.0,
        passed=distance <= limit,
        reason=f"edit distance {distance}, at most {limit:g} wanted",
    )


Measure = Callable[[str, Sequence[str]], float]


def rouge_n(spec: CheckSpec) -> Grade:
    """ROUGE-N reaches ``threshold`` (default 0.75): the recall of the reference's n-grams.

    ``config.n`` is the length of the n-grams (default 1); ``config.measure`` asks for ``precision`` or
    ``f1`` in place of ``recall``.
    """
    n, measure = _rouge_settings(spec)

    def rouge(output: str, references: Sequence[str]) -> float:
        return max(rouge_scores(output, reference, n)[measure] for reference in references)

    return _at_least(f"ROUGE-{n} {measure}", rouge, ROUGE_THRESHOLD)


def _rouge_settings(spec: CheckSpec) -> tuple[int, str]:
    n, measure = spec.config.get("n", 1), spec.config.get("measure", "recall")
    if not isinstance(n, int) or isinstance(n, bool) or not 1 <= n <= 9:
        raise ValueError(f"takes an n from 1 to 9, not {n!r}")
    if measure not in ("recall", "precision", "f1"):
        raise ValueError(f"takes the measure 'recall', 'precision' or 'f1', not {measure!r}")
    return n, str(measure)


def rouge_review(spec: CheckSpec) -> Sequence[Complaint]:
    """What is wrong with rouge-n's configuration."""
    try:
        _rouge_settings(spec)
    except ValueError as error:
        return [str(error)]
    return []


def rouge_scores(output: str, reference: str, n: int) -> dict[str, float]:
    """Recall, precision and F1 of the n-grams of words, each counted as often as it stands there.

    Words are runs of letters and digits in any script, in lower case; they are not stemmed. Where the
    reference or the output has no n-gram, the scores are 0.

    Source: Lin, "ROUGE: A Package for Automatic Evaluation of Summaries", 2004, section 2.

    Example:
        >>> rouge_scores("the cat sat", "The cat slept.", 1)["recall"]
        0.6666666666666666
    """
    found, wanted = (_ngrams(_WORD.findall(text.lower()), n) for text in (output, reference))
    shared = (found & wanted).total()
    if not shared:
        return {"recall": 0.0, "precision": 0.0, "f1": 0.0}
    recall, precision = shared / wanted.total(), shared / found.total()
    return {
        "recall": recall,
        "precision": precision,
        "f1": 2 * recall * precision / (recall + precision),
    }


def bleu(spec: CheckSpec) -> Grade:
    """BLEU of the one answer reaches ``threshold`` (default 0.5); a list holds several references."""
    del spec
    return _at_least("BLEU", bleu_score, BLEU_THRESHOLD)


def bleu_score(output: str, references: Sequence[str]) -> float:
    """BLEU of one text, 0 to 1, with n-grams up to 4 or as many as the text has words.

    Words are cut as by the WMT's script 13a. An order of n-grams without a match counts as half of the
    one before it would ("exponential" smoothing), since one sentence often has none of the highest.

    Source: Papineni et al., "BLEU", 2002; Chen and Cherry, "A Systematic Comparison of Smoothing
    Techniques for Sentence-Level BLEU", 2014, method 3.

    Example:
        >>> bleu_score("The cat is on the mat.", ["The cat is on the mat."])
        1.0
    """
    words = _wmt_words(output)
    reference_words = [_wmt_words(reference) for reference in references]
    precisions = _bleu_precisions(words, reference_words)
    if not precisions:
        return 0.0
    nearest = min((abs(len(words) - len(ref)), len(ref)) for ref in reference_words)[1]
    brevity = 1.0 if len(words) >= nearest else math.exp(1 - nearest / len(words))
    logs = math.fsum(math.log(precision) for precision in precisions)
    return min(1.0, brevity * math.exp(logs / len(precisions)))


def _bleu_precisions(words: Sequence[str], references: Sequence[Sequence[str]]) -> list[float]:
    """The clipped precision of each order that the text has; empty where not one word matches."""
    precisions: list[float] = []
    smoothing = 1.0
    for n in range(1, min(_LONGEST_NGRAM, len(words)) + 1):
        allowed: Counter[tuple[str, ...]] = Counter()
        for reference in references:
            allowed |= _ngrams(reference, n)
        found = _ngrams(words, n)
        matches = (found & allowed).total()
        if not matches:
            if n == 1:
                return []
            smoothing *= 2
        precisions.append((matches or 1 / smoothing) / found.total())
    return precisions


def gleu(spec: CheckSpec) -> Grade:
    """GLEU reaches ``threshold`` (default 0.5); a list holds several references."""
    del spec
    return _at_least("GLEU", gleu_score, GLEU_THRESHOLD)


def gleu_score(output: str, references: Sequence[str]) -> float:
    """The smaller of recall and precision over all n-grams from 1 to 4, against the best reference.

    Source: Wu et al., "Google's Neural Machine Translation System", 2016, section 4.3.

    Example:
        >>> gleu_score("The cat is on the mat.", ["The cat is on the mat."])
        1.0
    """
    found = _all_ngrams(_wmt_words(output))
    return max(_gleu(found, _all_ngrams(_wmt_words(reference))) for reference in references)


def _gleu(found: Counter[tuple[str, ...]], wanted: Counter[tuple[str, ...]]) -> float:
    whole = max(found.total(), wanted.total())
    return (found & wanted).total() / whole if whole else 0.0


def _at_least(name: str, measure: Measure, default: float) -> Grade:
    def grade(context: CheckContext) -> Score:
        limit = default if context.threshold is None else context.threshold
        references = as_references(context.value)
        if max(len(context.output), *map(len, references)) > MAX_WORDS_TEXT:
            raise ValueError(f"{name} is counted up to {MAX_WORDS_TEXT:,} characters")
        value = measure(context.output, references)
        holds = verdict(value >= limit, f"{name} {value:.6g}, at least {limit:g} wanted")
        return Score(value=value, passed=holds.passed, reason=holds.reason)

    return grade


def as_references(value: Json) -> list[str]:
    """One reference, or each of a list.

    Raises:
        ValueError: There is none, or one is empty.
    """
    if isinstance(value, (list, tuple)) and value:
        return [as_needle(entry) for entry in value]
    return [as_needle(value)]


def references_shape(value: Json) -> Complaint | None:
    """The shape of a reference, or of a list of them."""
    entries = value if isinstance(value, (list, tuple)) else [value]
    if entries and all(isinstance(entry, str) or is_number(entry) for entry in entries):
        return None
    return f"takes a reference text or a list of them, not {value!r}"


def _all_ngrams(words: Sequence[str]) -> Counter[tuple[str, ...]]:
    counted: Counter[tuple[str, ...]] = Counter()
    for n in range(1, _LONGEST_NGRAM + 1):
        counted.update(_ngrams(words, n))
    return counted


def _ngrams(words: Sequence[str], n: int) -> Counter[tuple[str, ...]]:
    return Counter(zip(*(words[start:] for start in range(n)), strict=False))


def _wmt_words(text: str) -> list[str]:
    """The words as the WMT's script mteval-v13a cuts them: punctuation apart, but not in numbers."""
    line = text.rstrip().replace("<skipped>", "").replace("-\n", "").replace("\n", " ")
    for entity, sign in _ENTITIES:
        line = line.replace(entity, sign)
    line = f" {line} "
    for pattern, replacement in _WMT_CUTS:
        line = pattern.sub(replacement, line)
    return line.split()


_ENTITIES: Final = (("&quot;", '"'), ("&amp;", "&"), ("&lt;", "<"), ("&gt;", ">"))
_WMT_CUTS: Final = tuple(
    (re.compile(pattern), replacement)
    for pattern, replacement in (
        (r"([{-~\[-` -&(-+:-@/])", r" \1 "),
        (r"([^0-9])([.,])", r"\1 \2 "),
        (r"([.,])([^0-9])", r" \1 \2"),
        (r"([0-9])(-)", r"\1 \2 "),
    )
)
