"""Hostile files: only our errors come out, each with file and line, and soon."""

from __future__ import annotations

import json
import random
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from evalrunner.errors import LoadError
from evalrunner.suite.config import load_project
from evalrunner.suite.load import load_suites
from evalrunner.suite.loaded import LoadedSuite
from evalrunner.values.project import Project

SEEDS = Path(__file__).parent / "seeds"
GOOD_SEEDS = Path(__file__).parent / "seeds_good"
GOLDEN_ENDINGS = (".jsonl", ".csv")
LONGEST_SECONDS = 2.0

Rounds = Callable[[int, int], int]
GOOD_SUITE = {
    "prompts": ["Say {{word}}", "Please, {{word}}"],
    "golden": [{"word": "yes", "id": "a"}, {"word": "no"}],
    "checks": [{"type": "contains", "value": "{{word}}", "weight": 0.5}, {"type": "is-json"}],
    "gate": {"min_pass_rate": 0.9},
}
ENDINGS = {"suite": ("yaml", "yaml", "json"), "golden": ("jsonl", "csv")}


@pytest.fixture
def project(tmp_path: Path) -> Project:
    """An empty project."""
    (tmp_path / ".git").mkdir()
    (tmp_path / "suites").mkdir()
    return load_project(tmp_path)


def load_bytes(project: Project, name: str, data: bytes) -> tuple[LoadedSuite, ...]:
    """Loads the bytes as a suite, or as the goldens of one."""
    path = project.root / "suites" / name
    path.write_bytes(data)
    if path.suffix in GOLDEN_ENDINGS:
        suite = project.root / "suites" / "suite.yaml"
        suite.write_text(f"prompts: hi\ngolden: file://{name}\n")
        path = suite
    return load_suites(project, [path])


def assert_located(error: LoadError) -> None:
    """Every problem says what and where."""
    assert error.problems
    for problem in error.problems:
        assert problem.file, str(problem)
        assert problem.line >= 1, str(problem)
        assert problem.message.strip()
        assert len(str(problem)) < 2000


@pytest.mark.parametrize("seed", sorted(path.name for path in SEEDS.iterdir()))
def test_hostile_seed_is_refused_with_file_and_line(project: Project, seed: str) -> None:
    started = time.process_time()
    with pytest.raises(LoadError) as caught:
        load_bytes(project, seed, (SEEDS / seed).read_bytes())
    assert time.process_time() - started < LONGEST_SECONDS
    assert_located(caught.value)


@pytest.mark.parametrize("seed", sorted(path.name for path in GOOD_SEEDS.iterdir()))
def test_odd_but_good_seed_is_read(project: Project, seed: str) -> None:
    (loaded,) = load_bytes(project, seed, (GOOD_SEEDS / seed).read_bytes())
    rows = list(loaded.goldens.rows())
    prompt = loaded.suite.prompts[0].template
    assert rows
    assert isinstance(prompt, str)
    assert "\r" not in prompt
    assert "\ufeff" not in prompt
    if seed == "nfc-nfd.jsonl":
        assert len({row.digest for row in rows}) == 2  # Unicode is not normalised
    if seed == "formula.csv":
        assert rows[0].vars == {"a": "=1+1", "b": "@x"}


LARGE: dict[str, Callable[[], tuple[str, bytes]]] = {
    "10 MB line": lambda: ("large.jsonl", b'{"a": "' + b"x" * 10_000_000 + b'"}\n'),
    "10 MB suite": lambda: ("large.yaml", b"prompts: " + b"x" * 10_000_000),
    "2 MB scalar": lambda: ("scalar.yaml", b"prompts: " + b"x" * 2_000_000),
    "300,000 nodes": lambda: ("nodes.yaml", b"prompts: [" + b"a," * 300_000 + b"]"),
    "300,000 nodes in JSON": lambda: ("nodes.json", b"[" + b"1," * 300_000 + b"1]"),
    "50,000 unknown fields": lambda: (
        "fields.yaml",
        b"".join(b"k%d: 1\n" % number for number in range(50_000)),
    ),
    "50,000 keys twice": lambda: ("twice.yaml", b"prompts: hi\nk: 1\n" + b"k: 1\n" * 50_000),
    "100,000 keys, last one twice": lambda: (
        "twice.jsonl",
        b"{" + b"".join(b'"k%d":1,' % number for number in range(100_000)) + b'"k99999":1}\n',
    ),
    "deep JSON row": lambda: ("deep.jsonl", b'{"a":' * 50_000),
    "spaces": lambda: ("spaces.yaml", b" " * 4_000_000 + b"\tx"),
    "quotes": lambda: ("quotes.csv", b"a\n" + b'"' * 4_000_001),
    "colons": lambda: ("colons.yaml", b": " * 100_000),
    "questions": lambda: ("questions.yaml", b"? " * 100_000),
    "dashes": lambda: ("dashes.yaml", b"- " * 100_000),
    "comment marks": lambda: ("template.yaml", b'prompts: "' + b"{# " * 100_000 + b'"'),
    "template braces": lambda: ("braces.yaml", b'prompts: "' + b"{{ " * 100_000 + b'"'),
    "template brackets": lambda: ("brackets.yaml", b"prompts: '{{ " + b"(" * 50_000 + b" }}'"),
}


@pytest.mark.parametrize("name", LARGE)
def test_large_input_is_refused_soon(project: Project, name: str) -> None:
    file, data = LARGE[name]()
    started = time.process_time()
    with pytest.raises(LoadError) as caught:
        load_bytes(project, file, data)
    assert time.process_time() - started < LONGEST_SECONDS
    assert_located(caught.value)


WORDS = (
    *"prompts golden target checks gate repeat routing threshold tools vars tags max_usd".split(),
    *"type value weight metric class tier provider rubricPrompt config label text file".split(),
    *"python http command watch version url n pass min_pass_rate confidence role content".split(),
    *"id description name judge format semantic subject confirm not-equals is-json".split(),
)
SCALARS = (
    "hi", "{{x}}", "{{ x.y }}", "{% if x %}", "{{", "{# c #}", "file://a.txt", "file://../../x",
    "file://", "hf://a/b", "hf://./x", "proxy", "frontier", "openai/x", "app:f", "equals", "is-json",
    "true", "null", "~", "no", "012", "1e3", "1e999", ".nan", "-1", "0", "0.5", "7", "9" * 30,
    "2026-01-01", "12:30:45", "''", '"a\\u0000b"', '"\\x41"', "!!int 3", "*a", "&a b", "<<", "@x",
    "`", "%", "|", ">", "''''", "é", "\u202e", "\x85", "a#b", "a/b", "- a", "? a", "{", "]", "user",
)  # fmt: skip
MUTATIONS = (
    b"\0",
    b"\t",
    b"\r",
    b"\xff",
    b"\xef\xbb\xbf",
    b"\n",
    b'"',
    b"'",
    b"{",
    b"]",
    b":",
    b"*",
)


def value(rng: random.Random, depth: int) -> object:
    """A random value that a suite might hold somewhere."""
    kind = rng.random()
    if depth > 4 or kind < 0.55:
        return rng.choice(SCALARS)
    if kind < 0.75:
        return [value(rng, depth + 1) for _ in range(rng.randrange(4))]
    return {rng.choice(WORDS): value(rng, depth + 1) for _ in range(rng.randrange(5))}


def yaml_text(node: object, indent: int = 0) -> str:
    """A value as block YAML; scalars as they are, quoted or not."""
    pad = "  " * indent
    if isinstance(node, dict):
        return (
            "".join(f"{pad}{k}:{yaml_child(v, indent)}" for k, v in node.items()) or f"{pad}{{}}\n"
        )
    if isinstance(node, list):
        return "".join(f"{pad}-{yaml_child(item, indent)}" for item in node) or f"{pad}[]\n"
    return f"{pad}{node}\n"


def yaml_child(node: object, indent: int) -> str:
    return f"\n{yaml_text(node, indent + 1)}" if isinstance(node, (dict, list)) else f" {node}\n"


def generated(rng: random.Random, endings: Sequence[str]) -> tuple[str, bytes]:
    """One generated file: mostly grammatical, then perhaps damaged."""
    ending = rng.choice(endings)
    strange = {rng.choice(WORDS): value(rng, 2) for _ in range(rng.choice((0, 1, 2, 4)))}
    suite = {**GOOD_SUITE, **strange}
    if ending == "yaml":
        data = yaml_text(suite).encode("utf-8", "surrogatepass")
    elif ending == "json":
        data = json.dumps(suite, indent=rng.choice((None, 1))).encode()
    elif ending == "jsonl":
        rows = [{rng.choice(WORDS): value(rng, 1) for _ in range(3)} for _ in range(4)]
        data = "\n".join(json.dumps(row) for row in rows).encode()
    else:
        cells = [[rng.choice(SCALARS) for _ in range(3)] for _ in range(4)]
        data = "\n".join(",".join(row) for row in [rng.sample(WORDS, 3), *cells]).encode()
    for _ in range(rng.choice((0, 0, 1, 3))):
        place = rng.randrange(len(data) + 1)
        data = data[:place] + rng.choice(MUTATIONS) + data[place + rng.choice((0, 0, 1)) :]
    return f"generated.{ending}", data


@pytest.mark.fuzz
@pytest.mark.timeout(1200)
@pytest.mark.parametrize("kind", ENDINGS)
def test_generated_input_gives_only_located_problems(
    project: Project, rounds: Rounds, kind: str
) -> None:
    good = bad = 0
    count = rounds(1000, 10_000)
    for seed in range(count):
        name, data = generated(random.Random(seed), ENDINGS[kind])  # not for secrets
        started = time.process_time()
        try:
            load_bytes(project, name, data)
        except LoadError as error:
            assert_located(error)
            bad += 1
        except BaseException as error:
            raise AssertionError(f"seed {seed}: {type(error).__name__} from {data!r}") from error
        else:
            good += 1
        assert time.process_time() - started < LONGEST_SECONDS, f"seed {seed}"
    assert good >= count // 50, "the grammar makes hardly anything that loads"
    assert bad >= count // 4, "the grammar makes hardly anything that is refused"


@pytest.mark.fuzz
@pytest.mark.timeout(600)
@pytest.mark.parametrize("ending", ["yaml", "toml"])
def test_generated_configuration_gives_only_our_errors(
    tmp_path: Path, rounds: Rounds, ending: str
) -> None:
    from evalrunner.errors import ConfigError  # the base of what a configuration may raise

    name = "evalrunner.yaml" if ending == "yaml" else "pyproject.toml"
    for seed in range(rounds(200, 10_000)):
        rng = random.Random(seed)  # not for secrets
        words = ("models", "tiers", "routing", "cache", "plugins", "cost", "report", "suites")
        config = {rng.choice(words): value(rng, 0) for _ in range(3)}
        text = yaml_text(config) if ending == "yaml" else f"[tool.evalrunner]\n{json.dumps(config)}"
        (tmp_path / name).write_text(text, encoding="utf-8", errors="replace")
        try:
            load_project(tmp_path)
        except ConfigError as error:
            assert error.message
