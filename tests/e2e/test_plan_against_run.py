"""Plan against run: what was foretold, held against what real servers were then asked and billed."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from fractions import Fraction
from hashlib import sha256
from pathlib import Path

import pytest

from evalrunner.testing import FakeBody, FakeProvider, FakeReply
from evalrunner.values.result import RunReport
from evalrunner.wiring.command import Command
from evalrunner.wiring.planning import plan_command
from tests.e2e.workspace import PASS, Workspace, model, prompt_of

TOLERANCE = Fraction(15, 100)
WORDS = "the quick brown fox jumps over a lazy dog and then sleeps in warm sun light".split()
NUMBER = re.compile(r"number,? (\d+)")
FAIL = '{"reason": "it is too short to be of any use to anybody", "pass": false, "score": 0.1}'


def luck(*parts: object) -> int:
    """A number from 0 to 99 that depends on nothing but the parts."""
    return int(sha256(repr(parts).encode()).hexdigest()[:8], 16) % 100


class Varied:
    """A provider whose answers vary in length and fail now and then, the same way in every process.

    Args:
        seed: Another seed gives other lengths and other failures.
        broken: The part of first attempts, in per cent, that the provider refuses.
    """

    def __init__(self, seed: object, *, broken: int = 8) -> None:
        self.seed = seed
        self.broken = broken
        self.tried: set[str] = set()

    def __call__(self, body: FakeBody) -> FakeReply:
        prompt = prompt_of(body)
        key = json.dumps(body, sort_keys=True)
        first = key not in self.tried
        self.tried.add(key)
        if first and luck(self.seed, "broken", key) < self.broken:
            return FakeReply(text="try again", status=503, headers={"retry-after": "0"})
        text = self._judged(key) if "RUBRIC" in prompt else self._answered(key)
        # about as long as a tokenizer would find it, and not as our own estimate does
        usage = (len(prompt) * 10 // 37, len(text) * 10 // 43 + 1)
        return FakeReply(text=text, usage=usage)

    def _judged(self, key: str) -> str:
        return FAIL if luck(self.seed, "judged", key) < 20 else PASS

    def _answered(self, key: str) -> str:
        """Of the questions every fourth is beyond the cheap model, every fifth brings no fox."""
        number, draw = int(NUMBER.search(key)[1]), luck(self.seed, "length", key)  # type: ignore[index]
        words = [WORDS[(draw + n) % len(WORDS)] for n in range(10 + draw % 60)]
        text = " ".join([f"{number}:", *words, "turtle" if number % 5 == 0 else "fox"])
        text = text.replace("fox", "cat") if number % 5 == 0 else text
        malformed = '"model": "tiny' in key and number % 4 == 0
        return text if malformed else json.dumps({"answer": text})


def format_only(space: Workspace) -> None:
    """Format checks alone: answered by the proxy, confirmed by the target where that fails."""
    space.suite("forms", n=60, checks=[{"type": "is-json"}])


def judged(space: Workspace) -> None:
    """Code first, then two judges, of which the second is not asked where the first said no."""
    space.suite(
        "judged",
        n=50,
        checks=[
            {"type": "contains", "value": "fox"},
            {"type": "llm-rubric", "value": "RUBRIC: it is an answer to {{q}}"},
            {"type": "llm-rubric", "value": "RUBRIC: it is kind"},
        ],
    )


def compared(space: Workspace) -> None:
    """Two prompts and two models, each row three times."""
    space.suite(
        "compared",
        n=12,
        prompts=["Question {{q}}", "In a few friendly words and no more than that: {{q}}"],
        target=["small", "large"],
        repeat={"n": 3, "pass": 2},
        checks=[{"type": "contains", "value": "answer"}],
        gate={"min_pass_rate": 0},
    )


def new_rows(space: Workspace, name: str, count: int) -> None:
    """Other questions, somewhat longer ones: nothing is in the store."""
    rows = [
        {"id": f"n{n}", "q": f"another number, {n}, " + "please " * (n % 5)} for n in range(count)
    ]
    space.golden(name, rows)


def paid(report: RunReport) -> int:
    """What a run may have cost at the most."""
    assert report.summary is not None
    incurred = report.summary.total.incurred.amount
    assert incurred is not None
    assert report.possibly_paid is not None
    return incurred + report.possibly_paid


def error_of(report: RunReport) -> Fraction:
    """By how much of itself the estimate was wrong."""
    expected = report.estimate.expected
    assert expected is not None
    return abs(Fraction(paid(report) - expected, paid(report)))


@pytest.fixture
def space(tmp_path: Path) -> Workspace:
    return Workspace(tmp_path)


@pytest.mark.parametrize("write", [format_only, judged, compared])
def test_a_run_costs_what_was_expected_after_one_run_of_history(
    space: Workspace, write: Callable[[Workspace], None]
) -> None:
    name = {format_only: "forms", judged: "judged", compared: "compared"}[write]
    count = {format_only: 80, judged: 70, compared: 20}[write]
    with FakeProvider(Varied("first")) as provider:
        space.configure(provider.base_url, models=both(provider.base_url))
        write(space)
        first = space.run(warn_only=True)
        assert 0 < paid(first) <= (first.estimate.maximum or 0)
        new_rows(space, name, count)
        second = space.run(warn_only=True)
    assert second.summary is not None
    assert second.summary.total.hits == 0
    assert second.summary.total.errored == 0
    assert error_of(second) <= TOLERANCE
    assert paid(second) <= (second.estimate.maximum or 0)


def both(base_url: str) -> dict[str, object]:
    """Two models of very different prices."""
    dear = {"input_per_mtok": 1.25, "output_per_mtok": 10}
    cheap = {"input_per_mtok": 0.05, "output_per_mtok": 0.08}
    return {
        "small": model(base_url, "tiny-2026-01-01", price=cheap),
        "large": model(base_url, "huge-2026-01-01", price=dear),
    }


def test_an_application_costs_what_it_has_cost(space: Workspace) -> None:
    """It says what it cost when it has answered, so that nothing bounds it beforehand."""
    space.write(
        "billing/bot.py",
        "from evalrunner import Answer\n"
        "def answer(prompt, vars):\n"
        "    return Answer(output='ok ' + vars['q'], usd=f'0.00{len(vars[\"q\"])}')\n",
    )
    space.write("billing/__init__.py", "")
    space.configure("http://127.0.0.1:9/v1")
    target = {"python": "billing.bot:answer", "version": "1"}
    space.suite("app", n=8, target=target, checks=[{"type": "contains", "value": "ok"}])
    first = space.run()
    assert (first.estimate.expected, first.estimate.maximum) == (0, None)
    space.golden("app", [{"id": f"n{n}", "q": f"number {n + 10}"} for n in range(20)])
    second = space.run()
    assert paid(first) > 0
    assert error_of(second) <= TOLERANCE
    assert second.estimate.maximum is None


def test_a_plan_says_what_the_run_then_says(space: Workspace) -> None:
    with FakeProvider(Varied("same")) as provider:
        space.configure(provider.base_url, models=both(provider.base_url))
        judged(space)
        planned = plan_command(Command(start=space.root))
        assert provider.calls == {}
        report = space.run(warn_only=True)
    assert planned.estimate == report.estimate


def test_what_history_cannot_know_is_corrected(space: Workspace) -> None:
    """Every second answer is one that another row gets too, which no mean length tells."""

    def reply(body: FakeBody) -> str:
        return f"ok {int(NUMBER.search(prompt_of(body))[1]) // 2}"  # type: ignore[index]

    def script(body: FakeBody) -> str:
        return PASS if "RUBRIC" in prompt_of(body) else reply(body)

    factors = []
    with FakeProvider(script) as provider:
        space.configure(provider.base_url)
        for start in (0, 100, 200):
            rubric = f"RUBRIC: {start}"
            checks = [{"type": "llm-rubric", "value": rubric}]
            space.suite("s", checks=checks)
            rows = [{"id": f"r{n}", "q": f"number {start + n}"} for n in range(20)]
            space.golden("s", rows)
            report = space.run()
            factors.append(report.estimates["s"].correction)
    assert factors[0] is None
    assert None not in factors[1:]
    assert error_of(report) <= TOLERANCE
