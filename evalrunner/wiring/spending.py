"""Production spend as a run sees it: every source looked at once, kept for when it does not answer."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Final

from evalrunner.adapters.prices import ConfiguredPrices
from evalrunner.adapters.spend_snapshots import SpendSnapshots
from evalrunner.adapters.state_dir import StateDir
from evalrunner.engine.ports import SpendSource
from evalrunner.errors import ConfigError, SpendError
from evalrunner.values.ceilings import utc_day
from evalrunner.values.money import Price
from evalrunner.values.project import Project
from evalrunner.values.spec import Endpoint
from evalrunner.values.spend import SourceSeen, SpendRead, SpendSpec, shifted
from evalrunner.wiring.user_code import function_loader, refusing_loader

LOCAL: Final = frozenset({"fixed", "focus", "csv"})
"""The kinds of sources that are looked at without asking anybody."""

FRESH_SECONDS: Final = 3600.0
"""How long what a source said is not asked for again."""

KEPT_SECONDS: Final = 7 * 86_400.0
"""How long what a source said stands in for it while it does not answer."""

_AT_ONCE: Final = 8
_FURTHER_DAYS: Final = 10


class Spending:
    """The sources of a project's production spend.

    Args:
        project: Says which there are.
        state: Where snapshots are kept.
        now: Seconds since 1970.
        user_code: Whether functions of the user's may be called.
    """

    def __init__(
        self, project: Project, state: StateDir, *, now: float, user_code: bool = True
    ) -> None:
        self._project = project
        self._now = now
        self._user_code = user_code
        self._snapshots = SpendSnapshots(state.spend)

    def look(self, ask: bool, *, anew: bool = False) -> list[SourceSeen]:  # noqa: FBT001  # a Look
        """Every source, as it is known now.

        Args:
            ask: Whether those outside may be asked; else what they last said is taken.
            anew: Whether they are asked although they were asked a short while ago.

        Raises:
            ConfigError: A source cannot be asked as it is configured.
        """
        specs = self._project.cost.production
        sources = [self._source(spec) for spec in specs]
        see = partial(self._see, ask=ask, anew=anew)
        with ThreadPoolExecutor(max_workers=_AT_ONCE) as pool:
            return list(pool.map(see, specs, sources))

    def _see(self, spec: SpendSpec, source: SpendSource, *, ask: bool, anew: bool) -> SourceSeen:
        if spec.source in LOCAL:
            return self._local(spec, source)
        last = self._snapshots.last(spec, now=self._now)
        age = self._now - last.fetched_at if last else KEPT_SECONDS + 1
        if last and age < FRESH_SECONDS and not anew:
            return SourceSeen(spec=spec, read=last)
        usable = last if age <= KEPT_SECONDS else None
        if not ask or (spec.source == "python" and not self._user_code):
            why = None if usable else "nobody was asked, and no snapshot of the last 7 days is kept"
            return SourceSeen(spec=spec, read=usable, kept=True, error=why)
        try:
            read = self._fetched(source)
        except SpendError as error:
            return SourceSeen(spec=spec, read=usable, kept=True, error=_said(error, spec))
        self._snapshots.keep(spec, read)
        return SourceSeen(spec=spec, read=read)

    def _local(self, spec: SpendSpec, source: SpendSource) -> SourceSeen:
        try:
            return SourceSeen(spec=spec, read=self._fetched(source))
        except SpendError as error:
            return SourceSeen(spec=spec, read=None, error=_said(error, spec))

    def _fetched(self, source: SpendSource) -> SpendRead:
        """Two windows, and some days more: the last ones may not be settled."""
        until = shifted(utc_day(self._now), -1)
        width = 2 * self._project.cost.gate.window_days + _FURTHER_DAYS
        return source.fetch(shifted(until, 1 - width), until)

    def _source(self, spec: SpendSpec) -> SpendSource:
        """The adapter of a source; an event loop is imported only for what is asked over one."""
        environ = os.environ
        root = _home(self._project)
        match spec.source:
            case "fixed":
                from evalrunner.adapters.spend_fixed import FixedSpend

                return FixedSpend(spec, now=time.time)
            case "focus":
                from evalrunner.adapters.spend_focus import FocusSpend

                return FocusSpend(spec, root=root, now=time.time)
            case "csv":
                from evalrunner.adapters.spend_csv import CsvSpend

                return CsvSpend(spec, root=root, now=time.time)
            case "openai":
                from evalrunner.adapters.spend_openai import OpenAISpend

                return OpenAISpend(spec, environ=environ, now=time.time)
            case "anthropic":
                from evalrunner.adapters.spend_anthropic import AnthropicSpend

                prices = _prices(self._now)
                return AnthropicSpend(spec, environ=environ, now=time.time, price_of=prices)
            case "litellm":
                from evalrunner.adapters.spend_litellm import LitellmSpend

                return LitellmSpend(spec, environ=environ, now=time.time)
            case "langfuse":
                from evalrunner.adapters.spend_langfuse import LangfuseSpend

                return LangfuseSpend(spec, environ=environ, now=time.time)
            case "python":
                from evalrunner.adapters.spend_python import PythonSpend

                load = function_loader(root) if self._user_code else refusing_loader
                return PythonSpend(spec, load=load, now=time.time)
            case _:
                raise ConfigError(f"{spec.source!r} is not a source of spend")


def _home(project: Project) -> Path:
    """Where files and functions of spend lie: beside the configuration that names them.

    Under a policy that is the trusted checkout, so that nobody brings a production of their own.
    """
    return project.config_path.parent if project.config_path else project.root


def _prices(now: float) -> Callable[[str], Price | None]:
    book = ConfiguredPrices(at=now)

    def price_of(model: str) -> Price | None:
        endpoint = Endpoint(name=model, provider="anthropic", model=model, identity=model)
        return book.resolve(endpoint) if model else None

    return price_of


def _said(error: SpendError, spec: SpendSpec) -> str:
    """What went wrong, for pages that name the source already."""
    message = error.message.removeprefix(f"{spec.name}: ")
    return message + (f"; {error.hint}" if error.hint else "")
