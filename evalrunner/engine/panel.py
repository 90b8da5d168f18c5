"""Who sits over the answers of a target: checks built, judges seated, the plan of every case made."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from evalrunner.checks.base import Check, JudgeSeat
from evalrunner.checks.kinds import Loader
from evalrunner.checks.registry import build
from evalrunner.checks.registry import problems as check_problems
from evalrunner.checks.tiers import judge_tier, plan_case
from evalrunner.engine.case import Panel
from evalrunner.errors import ConfigError, LoadError, Problem
from evalrunner.values.dataclass import dataclass
from evalrunner.values.exchange import Tier
from evalrunner.values.spec import CheckSpec, Endpoint, Routing, Suite


@dataclass(frozen=True, slots=True, kw_only=True)
class Bench:
    """The models that a suite may seat.

    Attributes:
        proxy: The cheap tier's model, where one is configured.
        frontier: The dear tier's model, where one is configured.
        find: The endpoint of a name or id that a check gives itself.
    """

    proxy: Endpoint | None
    frontier: Endpoint | None
    find: Callable[[str], Endpoint]

    def of(self, tier: Tier) -> Endpoint | None:
        """The model of a tier."""
        return self.proxy if tier is Tier.PROXY else self.frontier

    def tier_of(self, endpoint: Endpoint) -> Tier:
        """What a model counts as: its tier, or neither."""
        for tier in (Tier.FRONTIER, Tier.PROXY):
            seated = self.of(tier)
            if seated is not None and seated.name == endpoint.name:
                return tier
        return Tier.TARGET


class PanelBuilder:
    """Builds the panels of one suite over one target, each distinct set of checks once.

    Args:
        suite: Whose checks.
        bench: The models that may judge.
        routing: The routes in force.
        application: Whether the target is the user's application.
        target_is_proxy: Whether the target is the proxy model itself.
        load: Finds the functions of ``python`` checks; without it they cannot be run.
        plugins_absent: Whether plugins were not imported, so that an unknown check may be theirs.
    """

    def __init__(
        self,
        suite: Suite,
        bench: Bench,
        routing: Routing,
        *,
        application: bool,
        target_is_proxy: bool,
        load: Loader | None = None,
        plugins_absent: bool = False,
    ) -> None:
        self._suite = suite
        self._bench = bench
        self._routing = routing
        self._application = application
        self._target_is_proxy = target_is_proxy
        self._load = load
        self._plugins_absent = plugins_absent

    def build(self, specs: Sequence[CheckSpec]) -> Panel:
        """The panel of these checks.

        Raises:
            LoadError: Every check that cannot be used, and every judge without a model.
        """
        problems: list[Problem] = []
        seated: list[tuple[Check, JudgeSeat | None]] = []
        for spec in specs:
            try:
                seated.append(self._seated(spec))
            except LoadError as error:
                problems.extend(error.problems)
        if problems:
            raise LoadError(problems)
        checks = tuple([check for check, _ in seated])
        return Panel(
            checks=checks,
            seats=tuple([seat for _, seat in seated]),
            plan=plan_case(
                checks,
                self._routing,
                has_proxy=self._bench.proxy is not None,
                target_is_application=self._application,
                target_is_proxy=self._target_is_proxy,
            ),
            threshold=self._suite.threshold,
            judge_always=self._suite.judge_always,
            tools=self._suite.tools,
        )

    def _seated(self, spec: CheckSpec) -> tuple[Check, JudgeSeat | None]:
        """The check with its judge, or the LoadError that says where what is wrong was written."""
        try:
            check = build(spec, load=self._load, plugins_absent=self._plugins_absent)
            return check, self._seat(check)
        except LoadError:
            raise
        except ConfigError as error:
            found = check_problems(spec, plugins_absent=self._plugins_absent)
            raise LoadError(found or [_at(spec, error)]) from None

    def _seat(self, check: Check) -> JudgeSeat | None:
        if not check.is_judge:
            return None
        tier = judge_tier(check, self._routing, has_proxy=self._bench.proxy is not None)
        if check.spec.model is not None:
            endpoint = self._bench.find(check.spec.model)
            own = self._bench.tier_of(endpoint)
            return JudgeSeat(endpoint=endpoint, tier=tier if own is Tier.TARGET else own)
        seated = self._bench.of(tier)
        if seated is None:
            raise LoadError([_no_judge(check.spec, tier)])
        return JudgeSeat(endpoint=seated, tier=tier)


def _at(spec: CheckSpec, error: ConfigError) -> Problem:
    source = spec.source
    return Problem(error.message, file=source.file, line=source.line, hint=error.hint)


def _no_judge(spec: CheckSpec, tier: Tier) -> Problem:
    return Problem(
        f"the check {spec.name!r} needs a judge, and no model is configured for the tier {tier.value!r}",
        file=spec.source.file,
        line=spec.source.line,
        hint=f"add tiers: {{{tier.value}: NAME}} to evalrunner.yaml, or provider: NAME to the check",
    )
