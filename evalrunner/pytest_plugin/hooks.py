"""What pytest calls. Loaded in every run of every user: imports pytest and the standard library alone."""

from __future__ import annotations

import os
import signal
from collections.abc import Generator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from evalrunner.pytest_plugin.collecting import ENDINGS, is_suite
from evalrunner.pytest_plugin.session import (
    CACHE,
    EVALS,
    WORKER_KEY,
    Evals,
    evals_of,
    is_python_eval,
    selected,
)

if TYPE_CHECKING:
    from evalrunner.pytest_plugin.items import SuiteFile
    from evalrunner.pytest_plugin.llm_cache import LlmCache
    from evalrunner.pytest_plugin.llm_eval import LlmEval


def pytest_addoption(parser: pytest.Parser) -> None:
    """Adds the options that begin with ``--eval-``."""
    group = parser.getgroup("evalrunner", "LLM evals (evalrunner)")
    group.addoption(
        "--eval-frozen", action="store_true", help="Ask nobody: answers come from the cache alone."
    )
    group.addoption(
        "--eval-on-miss",
        choices=("fail", "skip"),
        default="fail",
        help="What --eval-frozen makes of a case that the cache does not answer (default: fail).",
    )
    group.addoption(
        "--eval-recache", action="store_true", help="Ask everything again, and store the answers."
    )
    group.addoption(
        "--eval-max-usd", metavar="USD", help="The ceiling of this session; it is never passed."
    )
    group.addoption(
        "--eval-gate",
        action="store_true",
        default=True,
        help="Gates may refuse the start and fail the session (default).",
    )
    group.addoption(
        "--no-eval-gate",
        dest="eval_gate",
        action="store_false",
        help="Gates are shown and decide nothing; ceilings still hold.",
    )
    group.addoption(
        "--eval-intercept",
        action="store_true",
        help="Every test's own model calls go through the cache, as with the fixture llm_cache.",
    )
    parser.addini(
        "eval_intercept_hosts",
        type="linelist",
        help="Further hosts, or host:port, whose model calls are intercepted.",
    )
    group.addoption(
        "--eval-output",
        action="append",
        default=[],
        metavar="PATH",
        help="Write a report; the ending names the format: .json .jsonl .junit.xml .md .html .csv. "
        "Repeatable.",
    )


def pytest_configure(config: pytest.Config) -> None:
    """Makes room for the session's evals; nothing is started."""
    config.addinivalue_line(
        "markers",
        "evalcase(suite=None, target=None, checks=(), **tags): an eval written in Python; every item "
        "of a suite file has it too.",
    )
    config.addinivalue_line(
        "markers",
        "llm_cache(hosts=()): the test's own model calls go through the cache, those to further hosts too.",
    )
    config.stash[EVALS] = evals = Evals(config)
    config.pluginmanager.register(evals, "evalrunner-session")
    if config.getoption("eval_intercept"):
        from evalrunner.pytest_plugin.llm_cache import InterceptAll

        config.pluginmanager.register(InterceptAll(), "evalrunner-intercept")


def pytest_unconfigure(config: pytest.Config) -> None:
    """Ends what was started."""
    if EVALS in config.stash:
        config.stash[EVALS].close()


@pytest.hookimpl(optionalhook=True)
def pytest_configure_node(node: Any) -> None:
    """Tells one of xdist's workers where the service will be."""
    if os.name != "posix":
        return  # no Unix sockets, and so no evals: whoever wants some is told so
    host = evals_of(node.config).host
    host.start_when_called()
    node.workerinput[WORKER_KEY] = host.place


def pytest_collect_file(file_path: Path, parent: pytest.Collector) -> SuiteFile | None:
    """Collects suites, and opens no file that cannot be one."""
    if file_path.suffix not in ENDINGS:
        return None
    if not is_suite(file_path, named=parent.session.isinitpath(file_path)):
        return None
    from evalrunner.pytest_plugin.items import SuiteFile

    return SuiteFile.from_parent(parent, path=file_path)


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtestloop(session: pytest.Session) -> Generator[None, object, object]:
    """Has the selected cases answered, all at once, before the first of them is run."""
    option = session.config.option
    broken = session.testsfailed and not option.continue_on_collection_errors
    if not option.collectonly and not broken:
        cases, planned = selected(getattr(session, "items", ()))
        if planned:
            _start(session, cases, planned)
    return (yield)


def _start(session: pytest.Session, cases: dict[str, list[str]], planned: list[str]) -> None:
    from evalrunner.pytest_plugin.service import ServiceError

    evals = evals_of(session.config)
    try:
        evals.service.call("start", cases=cases, planned=planned)
    except ServiceError as error:
        raise pytest.UsageError(evals.explained(error)) from None


@pytest.fixture
def llm_eval(request: pytest.FixtureRequest) -> Generator[LlmEval, None, None]:
    """Asks a model from a test and checks what it says; see ``evalrunner.pytest.LlmEval``."""
    from evalrunner.pytest_plugin.llm_eval import LlmEval

    made = LlmEval(request)
    yield made
    made.close()


@pytest.fixture
def llm_cache(request: pytest.FixtureRequest) -> Generator[LlmCache, None, None]:
    """Puts the model calls of the code under test through the cache; see ``evalrunner.pytest.LlmCache``."""
    from evalrunner.pytest_plugin.llm_cache import intercepting

    with intercepting(request.node) as made:
        yield made


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Counts what a test itself has found out as a check of its evals."""
    report = yield
    if call.when == "call" and CACHE in item.stash:
        item.stash[CACHE].settle(report)
    if call.when == "call" and is_python_eval(item):
        from evalrunner.pytest_plugin.verdicts import settle

        settle(item, call, report)
    return report


@pytest.hookimpl(tryfirst=True)
def pytest_sessionfinish(session: pytest.Session, exitstatus: int) -> None:
    """Concludes the evals, and fails the session where a gate does or a planned test is missing."""
    evals = evals_of(session.config)
    if evals.is_worker or not evals.used:
        return
    from evalrunner.pytest_plugin.service import ServiceError

    interrupted = exitstatus == pytest.ExitCode.INTERRUPTED
    complete = not (interrupted or session.shouldstop or session.shouldfail)
    try:
        evals.concluded = evals.conclude(
            stopped=int(signal.SIGINT) if interrupted else None, complete=complete
        )
    except ServiceError as error:
        evals.concluded = {"reports": [], "failures": [evals.explained(error)]}
    if evals.concluded["failures"] and exitstatus == pytest.ExitCode.OK:
        session.exitstatus = pytest.ExitCode.TESTS_FAILED
    _put_into_junit(session.config, evals.concluded)


def _put_into_junit(config: pytest.Config, concluded: dict[str, Any]) -> None:
    """The figures as properties of the test suite that ``--junitxml`` writes."""
    from _pytest.junitxml import xml_key

    xml = config.stash.get(xml_key, None)
    if xml is not None:
        for report in concluded["reports"]:
            for name, value in report["properties"].items():
                xml.add_global_property(name, value)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Says what the evals came to."""
    concluded = evals_of(terminalreporter.config).concluded
    if concluded is None:
        return
    if concluded["reports"] or concluded["failures"]:
        terminalreporter.section("evals")
    for report in concluded["reports"]:
        for line in report["lines"]:
            terminalreporter.write_line(line)
    for failure in concluded["failures"]:
        terminalreporter.write_line(f"FAILED  {failure}", red=True, bold=True)
