"""The configuration: what it may say, what it becomes, and every way to get it wrong."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path

import pytest

from evalrunner.errors import ConfigError, LoadError
from evalrunner.suite.addresses import is_loopback, normal_url
from evalrunner.suite.config import load_project
from evalrunner.suite.config_model import config_schema
from evalrunner.suite.endpoints import endpoint_for
from evalrunner.suite.root import find_root
from evalrunner.values.exchange import Tier
from evalrunner.values.project import Project
from evalrunner.values.spec import Route
from tests.suite.conftest import Write

FULL = """\
models:
  small: {model: openai/llama, base_url: "HTTP://10.0.0.5:8080/v1/", revision: r1,
          price: {input_per_mtok: 0.05, output_per_mtok: "0.1"}}
  big: {model: anthropic/claude-x, api_key_env: MY_KEY, params: {temperature: 0.5}, rpm: 5,
        timeout_seconds: 2m}
  hour: {model: openai/x, base_url: "http://127.0.0.1/v1", price: {usd_per_hour: 1.8}}
  nothing: {model: openai/y, price: 0}
  gguf: local/models/a.gguf
tiers: {proxy: small, frontier: big}
routing: {format: {subject: target}, semantic: {judge: proxy}}
cache: {url: "redis://cache", namespace: repo, max_age: 30d, stores: [{url: "disk:", mode: read}]}
plugins: [app.checks]
cost:
  max_usd_per_run: 0.10
  runs_per_month: 110
  gate: {on: window, warning: 0.2}
  production: [{source: fixed, usd_per_month: 1200.10}, {source: focus, path: "s/*.csv"}]
report: {include: redacted}
suites: ["evals/*.yaml"]
"""


@pytest.fixture
def project(tmp_path: Path, write: Write) -> Project:
    write("evalrunner.yaml", FULL)
    return load_project(tmp_path)


def test_endpoints(project: Project) -> None:
    small, big = project.models["small"], project.models["big"]
    assert small.identity == '{"model":"llama","provider":"openai","revision":"r1"}'
    assert (small.base_url, small.client) == ("http://10.0.0.5:8080/v1", "direct")
    assert small.price is not None
    assert (small.price.input, small.price.output, small.price.source) == (
        50_000,
        100_000,
        "override",
    )
    assert (big.client, big.timeout_seconds, big.params) == ("litellm", 120.0, {"temperature": 0.5})
    assert (big.price, big.api_key_env, big.source.line) == (None, "MY_KEY", 4)
    hour = project.models["hour"]
    assert hour.identity == '{"base_url":"http://127.0.0.1/v1","model":"x","provider":"openai"}'
    assert hour.price is not None
    assert hour.price.per_second == 500_000_000
    assert project.models["nothing"].price is not None
    assert project.models["nothing"].price.source == "free"
    gguf = project.models["gguf"]
    assert (gguf.client, gguf.model, gguf.price and gguf.price.free) == (
        "local",
        "models/a.gguf",
        True,
    )


def test_the_rest(project: Project) -> None:
    assert project.routing.format == Route(subject="target", judge=Tier.PROXY, confirm=False)
    assert project.routing.semantic == Route(subject="target", judge=Tier.PROXY)
    assert project.cache.max_age_seconds == 30 * 86_400
    assert [store.mode for store in project.cache.stores] == ["read"]
    assert project.cost.max_usd_per_run == 100_000_000_000
    assert project.cost.gate.warning == Decimal("0.2")
    assert project.cost.gate.on == ("window",)
    fixed, focus = project.cost.production
    assert fixed.options == {"usd_per_month": "1200.1"}
    assert (focus.name, focus.texts("path")) == ("focus", ("s/*.csv",))
    assert (project.report_include, project.suites) == ("redacted", ("evals/*.yaml",))
    assert [file.path for file in project.files] == ["evalrunner.yaml"]


@pytest.mark.parametrize(
    ("text", "line", "message"),
    [
        ("foo: 1", 1, "'foo' is not a field here"),
        ("\nteirs: {}", 2, "did you mean 'tiers'?"),
        ("cost: {tiers: {}}", 1, "'tiers' stands in another section"),
        ("models: {a: {model: gpt}}", 1, "not PROVIDER/MODEL"),
        ("models: {a/b: openai/x}", 1, "part of case ids"),
        ("models: {proxy: openai/x}", 1, "the name of a tier"),
        ("models: {a: {model: openai/x, base_url: 'https://u:p@h/'}}", 1, "credentials"),
        ("models: {a: {model: openai/x, base_url: 'http://example.com'}}", 1, "private address"),
        ("models: {a: {model: local/x, base_url: 'http://localhost'}}", 1, "no base_url"),
        ("models:\n  a:\n    model: openai/x\n    rpm: 0", 4, "models.a.rpm"),
        (
            "models: {a: {model: openai/x, price: {input_per_mtok: 1}}}",
            1,
            "output_per_mtok' is missing",
        ),
        (
            "models: {a: {model: openai/x, price: {input_per_mtok: -1, output_per_mtok: 1}}}",
            1,
            "negative",
        ),
        ("models: {a: {model: openai/x, price: cheap}}", 1, "a price is {input_per_mtok"),
        ("models: {a: {model: openai/x, price: true}}", 1, "a price is {input_per_mtok"),
        ("models: {a: {model: openai/x, api_key_env: sk-123}}", 1, "environment variable"),
        ("models: {a: {model: openai/x, params: {max_tokens: 0}}}", 1, "max_tokens"),
        ("models: {a: {model: openai/x, rpm: '5'}}", 1, "integer"),
        ("models: {abc: openai/x}\ntiers: {proxy: abd}", 2, "did you mean 'abc'?"),
        ("cost: {max_usd_per_run: -1}", 1, "negative"),
        ("cost: {max_usd_per_run: true}", 1, "number"),
        ("cost: {max_usd_per_run: 5 dollars}", 1, "number"),
        ("cost: {gate: {healthy: 0.5}}", 1, "must not decrease"),
        ("cost: {gate: {warning: 2}}", 1, "between 0 and 1"),
        ("cost: {production: [{source: fixt}]}", 1, "did you mean 'fixed'?"),
        ("cache: {max_age: 3 fortnights}", 1, "duration"),
        ("cache: {stores: [{url: x, mode: both}]}", 1, "mode"),
        ("plugins: ['os; x']", 1, "module"),
        ("report: {include: all}", 1, "'all' is not one of"),
        ("- a", 1, "mapping"),
    ],
)
def test_mistake_is_named_with_its_line(
    tmp_path: Path, write: Write, text: str, line: int, message: str
) -> None:
    write("evalrunner.yaml", text)
    with pytest.raises(LoadError) as caught:
        load_project(tmp_path)
    assert message in str(caught.value)
    assert [problem.line for problem in caught.value.problems] == [line]


def test_all_mistakes_come_at_once(tmp_path: Path, write: Write) -> None:
    write("evalrunner.yaml", "foo: 1\nmodels: {a: {model: x}}\ncache: {max_age: 0}\n")
    with pytest.raises(LoadError) as caught:
        load_project(tmp_path)
    assert [problem.line for problem in caught.value.problems] == [1, 2, 3]


def test_pyproject_keeps_money_exact(tmp_path: Path, write: Write) -> None:
    write(
        "pyproject.toml", "[project]\nname='x'\n\n[tool.evalrunner.cost]\nmax_usd_per_run = 0.1\n"
    )
    project = load_project(tmp_path)
    assert project.cost.max_usd_per_run == 100_000_000_000
    write("pyproject.toml", "[project]\nname='x'\n\n[tool.evalrunner]\nfoo = 2026-01-01\n")
    with pytest.raises(LoadError, match=r"pyproject.toml:5: .*quoted"):
        load_project(tmp_path)


def test_root_is_the_nearest_configuration_then_git_then_the_start(
    tmp_path: Path, write: Write
) -> None:
    deep = write("a/b/x.txt", "").parent
    assert find_root(deep).path == tmp_path  # the fixture's .git
    write("a/pyproject.toml", "[tool.other]\n")
    assert find_root(deep).path == tmp_path
    write("a/pyproject.toml", "[tool.evalrunner]\n")
    assert find_root(deep).config == tmp_path / "a" / "pyproject.toml"
    write("a/b/evalrunner.yaml", "")
    assert find_root(deep / "x.txt").config == deep / "evalrunner.yaml"
    write("a/b/pyproject.toml", "[tool.evalrunner]\n")
    with pytest.raises(ConfigError, match="both"):
        find_root(deep)


def test_explicit_configuration_wins(tmp_path: Path, write: Write) -> None:
    write("evalrunner.yaml", "foo: 1")
    path = write("other/policy.yaml", "report: {include: none}")
    project = load_project(tmp_path, config=path)
    assert (project.report_include, project.root) == ("none", tmp_path / "other")


@pytest.mark.parametrize(
    ("name", "provider", "client"),
    [
        ("openai/gpt-x", "openai", "direct"),
        ("openrouter/meta/llama", "openrouter", "direct"),
        ("gemini/flash", "gemini", "litellm"),
        ("local/a.gguf", "local", "local"),
    ],
)
def test_raw_id_is_an_endpoint(project: Project, name: str, provider: str, client: str) -> None:
    found = endpoint_for(project, name)
    assert (found.name, found.provider, found.client) == (name, provider, client)
    assert "base_url" not in found.identity


def test_endpoint_by_tier_name_and_mistake(project: Project) -> None:
    assert endpoint_for(project, "frontier").name == "big"
    assert endpoint_for(project, "small") is project.models["small"]
    with pytest.raises(ConfigError) as caught:
        endpoint_for(project, "smal")
    assert caught.value.hint == "did you mean 'small'?"
    with pytest.raises(ConfigError, match="tier 'proxy' has no model"):
        endpoint_for(Project(root=project.root), "proxy")


@pytest.mark.parametrize(
    ("url", "normal"),
    [
        ("https://API.Example.com:443/v1/", "https://api.example.com/v1"),
        ("http://localhost:8080", "http://localhost:8080"),
        ("http://vllm:8000/v1", "http://vllm:8000/v1"),
        ("http://[::1]:80/", "http://[::1]"),
        ("http://192.168.1.2/v1", "http://192.168.1.2/v1"),
        ("http://gpu.internal", "http://gpu.internal"),
    ],
)
def test_url_has_one_spelling(url: str, normal: str) -> None:
    assert normal_url(url) == normal
    assert normal_url(normal) == normal


@pytest.mark.parametrize(
    "url",
    [
        "", "ftp://x", "file:///etc/passwd", "http://example.com", "http://8.8.8.8",
        "https://user@h", "https://h/?key=1", "https://h/#x", "https://h/?", "https://h:99999",
        "https://h:x", "http://169.254.169.254/latest", "https://169.254.169.254",
        "http://[::ffff:169.254.169.254]/", "http://[fe80::1]/", "http://2130706433/",
        "http://0x7f000001/", "http://0177.0.0.1", "http://127.1", "http://0.0.0.0", "https://a b",
        "https://h\\@x", "https://h\n", "https://", "https://exa_mple..com", "https://[::1",
        "http://metadata.google.internal/", "http://localhost.example.com",
    ],
)  # fmt: skip
def test_url_that_may_not_be_named(url: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        normal_url(url)


def test_loopback() -> None:
    assert is_loopback("http://127.0.0.2/v1")
    assert is_loopback("http://localhost:1")
    assert not is_loopback("http://10.0.0.1")
    assert not is_loopback("https://localhost.example.com")


def test_schema_names_every_section() -> None:
    properties = config_schema()["properties"]
    assert isinstance(properties, dict)
    assert {"models", "tiers", "routing", "cache", "cost", "report"} <= set(properties)
