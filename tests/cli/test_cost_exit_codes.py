"""Every exit code that concerns cost, reached by a command line, and what the ratio gate says there."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import pytest

from evalrunner.cli.app import entry
from evalrunner.testing import FakeProvider, FakeReply

from .project import CliProject, echo, make_project

PRICED = "{input_per_mtok: 1000, output_per_mtok: 2000}"


@pytest.fixture
def bought(project: CliProject) -> CliProject:
    """The project with dear tokens: each of its three calls is expected to cost some cents."""
    configure(project, "{source: fixed, usd_per_month: 10000}")
    return project


def configure(
    project: CliProject,
    *production: str,
    cost: str = "",
    gate: str = "",
    price: str = PRICED,
    runs: int = 10,
) -> None:
    """The configuration anew; each of *production* is a source."""
    sources = "".join(f"    - {source}\n" for source in production)
    project.write(
        "evalrunner.yaml",
        f"""\
models:
  small: {{model: openai/fake, base_url: "{project.provider.base_url}", revision: r1,
    price: {price}, params: {{max_tokens: 100}}}}
tiers: {{frontier: small}}
cost:
  runs_per_month: {runs}
{cost}  gate: {{{gate}}}
  production:
{sources or "    []"}
""",
    )


def asked(project: CliProject) -> int:
    return len(project.provider.requests)


def ratio_gate(document: dict[str, Any]) -> dict[str, Any]:
    (found,) = [gate for gate in document["gates"] if gate["name"] == "testing_to_inference"]
    return dict(found)


def said(capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, dict[str, Any]]:
    capsys.readouterr()
    code = entry([*words])
    out = capsys.readouterr().out
    return code, json.loads(out) if out.startswith("{") else {}


# ---------------------------------------------------------------- 0


def test_0_a_run_that_costs_little_beside_production(
    bought: CliProject, capsys: pytest.CaptureFixture[str]
) -> None:
    code, document = said(capsys, "run", "--no-progress", "--json")
    assert code == 0
    assert asked(bought) == 3
    ratio = document["cost_ratio"]
    assert (ratio["status"], ratio["phase"], ratio["bound"]) == ("healthy", "postrun", "lower")
    assert ratio["testing_usd"] == document["summary"]["cost"]["incurred_usd"]
    assert ratio["sources"][0]["status"] == "fresh"
    assert ratio_gate(document)["decision"] == "pass"
    assert bought.run() == 0
    out = capsys.readouterr().out
    assert "ratio  healthy: at least 0." in out
    assert "paid $0" in out
    assert asked(bought) == 3


# ---------------------------------------------------------------- 3


def test_3_the_enterprise_that_tests_for_three_times_its_production_asks_nobody(
    project: CliProject, capsys: pytest.CaptureFixture[str]
) -> None:
    """Ten runs a month of 3 calls that are expected to cost $2.50 each: $75 beside $25."""
    price = "{input_per_mtok: 0, output_per_mtok: 25000}"
    configure(
        project,
        "{source: fixed, usd_per_month: 25}",
        gate="min_production_usd: 1",
        price=price,
    )
    code, document = said(capsys, "run", "--no-progress", "--json")
    assert code == 3
    assert asked(project) == 0
    ratio = document["cost_ratio"]
    assert (ratio["status"], ratio["phase"]) == ("critical", "preflight")
    assert (ratio["projected_total"], ratio["projected_production"]) == ("0.75", "3")
    assert document["summary"]["cost"]["incurred_usd"] == "0"
    assert document["failures"][0]["code"] == 3
    assert {case["reason"] for case in document["cases"]} == {"budget"}


def test_3_after_the_run_where_it_cost_more_than_it_was_expected_to(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The provider counts ten times the tokens that anybody could expect of so short a prompt."""
    monkeypatch.chdir(tmp_path)
    with FakeProvider(lambda body: FakeReply(text=echo(body), usage=(100, 5))) as provider:
        project = make_project(tmp_path, provider)
        price = "{input_per_mtok: 10000, output_per_mtok: 0}"
        configure(
            project,
            "{source: fixed, usd_per_month: 10}",
            gate="min_production_usd: 1",
            price=price,
            runs=1,
        )
        code, document = said(capsys, "run", "--no-progress", "--json")
    assert code == 3
    assert len(provider.requests) == 3
    assert document["cost_ratio"]["phase"] == "postrun"
    assert document["cost_ratio"]["testing_usd"] == "3"
    assert document["summary"]["passed"] == 3
    assert "nothing was spent" not in ratio_gate(document)["detail"]


def test_3_a_ceiling_before_the_run(bought: CliProject) -> None:
    assert bought.run("--max-usd", "0.0001") == 3
    assert asked(bought) == 0


def test_3_the_gate_alone(bought: CliProject, capsys: pytest.CaptureFixture[str]) -> None:
    assert bought.run() == 0
    configure(bought, "{source: fixed, usd_per_month: 0.02}", gate="min_production_usd: 0.001")
    code, document = said(capsys, "gate", "--json")
    assert code == 3
    assert document["schema"] == "evalrunner.gate/1"
    assert document["cost_ratio"]["status"] == "critical"
    assert document["failures"][0]["code"] == document["exit_code"] == 3
    assert entry(["gate"]) == 3
    assert "testing_to_inference fail" in capsys.readouterr().out


# ---------------------------------------------------------------- 4


@pytest.mark.parametrize(
    ("source", "why"),
    [
        ("{source: focus, path: 'no/*.csv'}", "no file matches"),
        ("{source: csv, path: old.csv}", "is stale"),
        ("{source: openai}", "OPENAI_ADMIN_KEY"),
        (
            "{source: litellm, base_url: 'http://127.0.0.1:9', api_key_env: PROXY_TOKEN}",
            "cannot be reached",
        ),
        ("{source: csv, path: odd.csv}", "leaves amounts open"),
    ],
)
def test_4_missing_stale_and_unreadable_spend(
    source: str,
    why: str,
    project: CliProject,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("PROXY_TOKEN", "sk-made-up-1")
    monkeypatch.setattr("evalrunner.adapters.spend_http._ATTEMPTS", 1)
    project.write("old.csv", "date,usd\n2020-01-01,1000\n")
    days = [time.strftime("%Y-%m-%d", time.gmtime(time.time() - n * 86_400)) for n in range(1, 60)]
    project.write("odd.csv", "date,usd\n" + "".join(f"{day},NaN\n" for day in days))
    configure(project, source)
    code, document = said(capsys, "run", "--no-progress", "--json")
    assert code == 4
    assert asked(project) == 0, "nothing is spent before it is known"
    gate = ratio_gate(document)
    assert gate["decision"] == "inconclusive"
    assert why in gate["detail"]
    assert entry(["gate"]) == 4


def test_4_an_unpriced_model(project: CliProject, capsys: pytest.CaptureFixture[str]) -> None:
    configure(project, "{source: fixed, usd_per_month: 10000}")
    text = (project.root / "evalrunner.yaml").read_text()
    project.write("evalrunner.yaml", text.replace(f"price: {PRICED},", ""))
    code, document = said(capsys, "run", "--no-progress", "--json")
    assert code == 4
    assert asked(project) == 0
    assert document["cost_ratio"]["status"] == "inconclusive"


def test_4_too_little_production_and_no_ceiling(
    project: CliProject, capsys: pytest.CaptureFixture[str]
) -> None:
    configure(project, "{source: fixed, usd_per_month: 10}")
    code, document = said(capsys, "run", "--no-progress", "--json")
    assert (code, asked(project)) == (4, 0)
    assert document["cost_ratio"]["status"] == "insufficient_production"
    configure(project, "{source: fixed, usd_per_month: 10}", cost="  max_usd_per_run: 5\n")
    code, document = said(capsys, "run", "--no-progress", "--json")
    assert (code, asked(project)) == (0, 3)
    assert "the ceilings decide" in ratio_gate(document)["detail"]


def test_4_is_forgiven_where_the_policy_or_the_branch_says_so(
    project: CliProject, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    missing = "{source: focus, path: 'no/*.csv'}"
    configure(project, missing, gate="on_inconclusive: warn")
    assert project.run() == 0
    assert asked(project) == 3
    configure(project, missing, gate="branches: {'feature/*': {on_inconclusive: warn}}")
    assert project.run("--recache") == 4
    monkeypatch.setenv("GITHUB_ACTIONS", "true")
    monkeypatch.setenv("GITHUB_HEAD_REF", "feature/x")
    assert project.run("--recache") == 0
    assert entry(["gate"]) == 0
    assert entry(["gate", "--branch", "main"]) == 4
    assert entry(["gate", "--branch", "main", "--warn-only"]) == 0


# ---------------------------------------------------------------- 8, 2, and what never fails


def test_8_a_ceiling_in_mid_run(project: CliProject) -> None:
    price = "{input_per_mtok: 0, output_per_mtok: 1000}"
    configure(project, "{source: fixed, usd_per_month: 10000}", price=price)
    assert project.run("-j", "1", "--max-usd", "0.107", "--no-preflight") == 8
    assert 0 < asked(project) < 3


@pytest.mark.parametrize(
    ("sources", "said_so"),
    [
        (["{source: fixt}"], "did you mean 'fixed'?"),
        (["{source: fixed}"], "either usd_per_month or usd_per_day"),
        (["{source: focus, path: a, colour: red}"], "'colour' is not a field here"),
        (["{source: openai, base_url: 'https://x.example'}"], "needs the api_key_env"),
        (["{source: openai}", "{source: langfuse}"], "may see the same bill"),
        (["{source: openai}", "{source: openai}"], "may see the same bill"),
        (["{source: openai, exclude: {colour: red}}"], "says nothing about 'colour'"),
    ],
)
def test_2_a_source_that_cannot_be_used_is_named_with_its_line(
    sources: list[str], said_so: str, project: CliProject, capsys: pytest.CaptureFixture[str]
) -> None:
    configure(project, *sources)
    assert project.run() == 2
    assert said_so in capsys.readouterr().err
    assert asked(project) == 0


def test_2_without_production_there_is_nothing_to_judge(
    project: CliProject, capsys: pytest.CaptureFixture[str]
) -> None:
    for words in (["gate"], ["spend", "show"], ["spend", "sync"]):
        assert entry(words) == 2
        assert "cost: {production:" in capsys.readouterr().err


def test_a_run_that_pays_nothing_fails_nothing_and_is_told(
    bought: CliProject, capsys: pytest.CaptureFixture[str]
) -> None:
    assert bought.run() == 0
    configure(bought, "{source: fixed, usd_per_month: 0.02}", gate="min_production_usd: 0.001")
    code, document = said(capsys, "run", "--no-progress", "--json")
    assert code == 0
    assert document["cost_ratio"]["status"] == "critical"
    assert ratio_gate(document)["decision"] == "skipped"
    assert asked(bought) == 3


def test_a_frozen_run_asks_no_source(
    bought: CliProject, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert bought.run() == 0
    configure(bought, "{source: openai}")
    monkeypatch.setenv("OPENAI_ADMIN_KEY", "sk-made-up-2")
    code, document = said(capsys, "run", "--no-progress", "--frozen", "--json")
    assert code == 0
    assert document["cost_ratio"]["status"] == "skipped"
    assert "evalrunner spend sync" in document["cost_ratio"]["detail"]


# ---------------------------------------------------------------- spend


def test_an_outage_makes_spend_older_and_never_smaller(
    project: CliProject, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    from tests.adapters.spend_server import SpendServer

    yesterday = time.strftime("%Y-%m-%d", time.gmtime(time.time() - 86_400))

    def answer(_: object) -> dict[str, Any]:
        breakdown = {"api_keys": {"h": {"metrics": {"spend": 500}, "metadata": {}}}}
        day = {"date": yesterday, "metrics": {"spend": 500}, "breakdown": breakdown}
        return {"results": [day], "metadata": {"has_more": False}}

    monkeypatch.setenv("PROXY_TOKEN", "sk-made-up-1")
    monkeypatch.setattr("evalrunner.adapters.spend_http._ATTEMPTS", 1)
    with SpendServer(answer) as server:
        configure(
            project, f"{{source: litellm, base_url: '{server.url}', api_key_env: PROXY_TOKEN}}"
        )
        assert entry(["spend", "sync"]) == 0
        assert "1 rows" in capsys.readouterr().out
        seen = len(server.requests)
        code, document = said(capsys, "spend", "show", "--json")
        assert (code, document["production_usd"]) == (0, "500")
        assert len(server.requests) == seen, "what was said within the hour is not asked for again"
    monkeypatch.setattr("evalrunner.wiring.spending.FRESH_SECONDS", 0.0)
    code, document = said(capsys, "spend", "show", "--json")
    assert document["production_usd"] == "500"
    assert document["sources"][0]["status"] == "kept"
    assert entry(["spend", "sync"]) == 4
    assert entry(["spend", "show"]) == 0
    shown = capsys.readouterr().out
    assert "cannot be reached" in shown
    assert f"{yesterday}       $500.00" in shown
    monkeypatch.setattr("evalrunner.wiring.spending.KEPT_SECONDS", 0.0)
    code, document = said(capsys, "spend", "show", "--json")
    assert (document["production_usd"], document["exact"]) == ("0", False)


def test_spend_files_lie_beside_the_configuration_that_names_them(
    project: CliProject, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Under a policy that is the base's checkout: the head brings no production of its own."""
    head = tmp_path / "head"
    base = tmp_path / "base"
    with FakeProvider() as provider:
        for root, usd in ((base, 1), (head, 10**6)):
            one = make_project(root, provider)
            configure(one, "{source: csv, path: spend.csv}", gate="min_production_usd: 0.01")
            days = [
                time.strftime("%Y-%m-%d", time.gmtime(time.time() - n * 86_400))
                for n in range(1, 60)
            ]
            one.write("spend.csv", "date,usd\n" + "".join(f"{day},{usd}\n" for day in days))
        assert entry(["spend", "show", "--json", "--config", str(head / "evalrunner.yaml")]) == 0
        assert json.loads(capsys.readouterr().out)["production_usd"] == str(28 * 10**6)
        policy = str(base / "evalrunner.yaml")
        words = ["run", "--no-progress", "--json", "--policy", policy, str(head / "suites")]
        entry(words)
        document = json.loads(capsys.readouterr().out)
    assert document["cost_ratio"]["inference_usd"] == "28"


def test_what_a_source_leaves_open_is_said_once_and_never_shown_as_nothing(
    bought: CliProject, capsys: pytest.CaptureFixture[str]
) -> None:
    configure(bought, "{source: focus, path: 'spend/*.csv'}")
    assert entry(["gate"]) == 4
    out = capsys.readouterr().out
    assert "at least $0 production (focus (missing))" in out
    assert "focus says nothing: no file matches" in out
    assert "inconclusive: inconclusive" not in out


def test_the_model_without_a_price_is_named(
    bought: CliProject, capsys: pytest.CaptureFixture[str]
) -> None:
    configure(bought, cost="  max_usd_per_run: 5\n")
    text = (bought.root / "evalrunner.yaml").read_text()
    bought.write("evalrunner.yaml", text.replace(f"price: {PRICED}, ", ""))
    assert entry(["plan"]) == 4
    assert "small has no known price, so that no ceiling can hold: say price:" in " ".join(
        capsys.readouterr().out.split()
    )
