"""What a pytest session knows of its evals, in each of its processes."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import pytest

if TYPE_CHECKING:
    from evalrunner.pytest_plugin.llm_cache import LlmCache
    from evalrunner.pytest_plugin.service import Host, Service, ServiceError
    from evalrunner.wiring.python_evals import PythonEvals

WORKER_KEY: Final = "evalrunner"
"""Where xdist's workers find the service's place among their input."""


class Evals:
    """The evals of one pytest process: the way to the service, and what was reported.

    ``service`` is the same for suites, for ``llm_eval`` and for whatever else asks models in a test:
    it is reachable in the controller and in every worker, and nothing is started before it is used.

    Args:
        config: The process's configuration.
    """

    def __init__(self, config: pytest.Config) -> None:
        self._config = config
        self._host: Host | None = None
        self._service: Service | None = None
        self.reported: dict[str, None] = {}
        self.concluded: dict[str, Any] | None = None
        self.python: dict[Path, PythonEvals] = {}

    @property
    def is_worker(self) -> bool:
        """Whether this is one of xdist's workers."""
        return hasattr(self._config, "workerinput")

    @property
    def skips_misses(self) -> bool:
        """Whether a case that a frozen session would have to ask for is skipped."""
        return bool(self._config.getoption("eval_on_miss") == "skip")

    @property
    def used(self) -> bool:
        """Whether anybody has asked the service anything, in any process that this one can know of."""
        return self._host is not None and self._host.started

    @property
    def service(self) -> Service:
        """The service; it is started by the first question."""
        if self._service is None:
            if os.name != "posix":
                raise pytest.UsageError(
                    "evals need Unix sockets, which this platform does not have"
                )
            self._service = self._reach()
        return self._service

    @property
    def host(self) -> Host:
        """The owner of the service's process, in the process that owns it."""
        if self._host is None:
            from evalrunner.pytest_plugin.service import Host

            self._host = Host(self._settings())
        return self._host

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Notes a test that has got its verdict, in whichever process it ran."""
        if report.when == "call" or not report.passed:
            self.reported[report.nodeid] = None

    def _reach(self) -> Service:
        from evalrunner.pytest_plugin.service import Service

        if not self.is_worker:
            return Service(self.host.place, self.host.start)
        return Service(self._config.workerinput[WORKER_KEY])  # type: ignore[attr-defined]  # xdist's

    def explained(self, error: ServiceError) -> str:
        """The error for people; a service that died has left its last words."""
        words = self.service.last_words() if error.kind == "Gone" else ""
        return f"evalrunner: {error}" + (f"\n{words}" if words else "")

    def conclude(self, *, stopped: int | None, complete: bool) -> dict[str, Any]:
        """Ends the service and returns what it has to say.

        Args:
            stopped: The signal that ended the session.
            complete: Whether every planned test should have been reported.
        """
        reported = list(self.reported) if complete else None
        return dict(self.service.call("finish", reported=reported, stopped=stopped))

    def close(self) -> None:
        """Lets go of the service, and ends its process where this one owns it."""
        if self._service is not None:
            self._service.close()
        if self._host is not None:
            self._host.end()

    @property
    def _outputs(self) -> list[str]:
        return list(self._config.getoption("eval_output") or ())

    def _settings(self) -> str:
        option = self._config.getoption
        ceilings = [option("eval_max_usd"), os.environ.get("EVALRUNNER_MAX_USD")]
        return json.dumps(
            {
                "arguments": ["pytest", *map(str, self._config.invocation_params.args)],
                "frozen": option("eval_frozen") or _is_on("EVALRUNNER_FROZEN"),
                "skip_misses": self.skips_misses,
                "recache": option("eval_recache"),
                "max_usd": [text for text in ceilings if text],
                "gate": option("eval_gate"),
                "outputs": [str(Path(path).absolute()) for path in self._outputs],
            }
        )


EVALS: Final = pytest.StashKey[Evals]()
CACHE: Final[pytest.StashKey[LlmCache]] = pytest.StashKey()
"""Under a test's item, while its own model calls go through the cache."""


def evals_of(config: pytest.Config) -> Evals:
    """The evals of a process."""
    return config.stash[EVALS]


def _is_on(name: str) -> bool:
    return os.environ.get(name, "").strip().lower() in {"1", "true", "t", "yes", "y", "on"}


def selected(items: Iterable[pytest.Item]) -> tuple[dict[str, list[str]], list[str]]:
    """The cases among the items, by project, and the ids of all items that count as evals."""
    cases: dict[str, list[str]] = {}
    planned: list[str] = []
    for item in items:
        if is_case(item):
            cases.setdefault(item.root, []).append(item.case_id)  # type: ignore[attr-defined]
            planned.append(item.nodeid)
        elif is_python_eval(item):
            planned.append(item.nodeid)
    return cases, planned


def is_case(item: pytest.Item) -> bool:
    """Whether an item is a case of a suite file."""
    return hasattr(item, "case_id")


def is_python_eval(item: pytest.Item) -> bool:
    """Whether an item is an eval written in Python: by its fixture or its marker."""
    if is_case(item):
        return False
    fixtures = getattr(item, "fixturenames", ())
    return "llm_eval" in fixtures or item.get_closest_marker("evalcase") is not None
