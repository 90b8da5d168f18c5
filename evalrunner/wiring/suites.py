"""Suites become cases: targets get endpoints, checks get judges, rows get rendered."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from evalrunner.checks.registry import problems as check_problems
from evalrunner.engine.case import EvalCase
from evalrunner.engine.expand import Expansion, Variant
from evalrunner.engine.panel import Bench, PanelBuilder
from evalrunner.engine.select import Selection
from evalrunner.errors import ConfigError, LoadError, Problem
from evalrunner.suite.endpoints import endpoint_for
from evalrunner.suite.goldens import row_ids
from evalrunner.suite.load import LoadedSuite
from evalrunner.values.exchange import Tier
from evalrunner.values.project import Project
from evalrunner.values.spec import Endpoint, Routing, Suite, Target

TIER_NAMES = {tier.value: tier for tier in (Tier.PROXY, Tier.FRONTIER)}


@dataclass(slots=True)
class Assembly:
    """Suites on their way to cases, and whom those cases may ask.

    Attributes:
        project: The project.
        state_dir: Where digests of model files are remembered; ``None`` for nowhere.
        draws: How often each case is drawn, instead of what the suite says.
        variables: Variables that win over every row's.
        endpoints: Every model and application that was seated, by name.
        applications: The applications among them.
    """

    project: Project
    state_dir: Path | None = None
    draws: int | None = None
    variables: Mapping[str, str] = field(default_factory=dict)
    endpoints: dict[str, Endpoint] = field(default_factory=dict)
    applications: dict[str, Target] = field(default_factory=dict)

    def cases(self, loaded: Sequence[LoadedSuite], selection: Selection) -> list[EvalCase]:
        """The selected cases of all suites, in order.

        Raises:
            LoadError: Everything in any suite that cannot be used.
        """
        problems: list[Problem] = []
        cases: list[EvalCase] = []
        for one in loaded:
            try:
                cases.extend(self._suite_cases(one, selection))
            except LoadError as error:
                problems.extend(error.problems)
        if problems:
            raise LoadError(problems)
        return cases

    def _suite_cases(self, loaded: LoadedSuite, selection: Selection) -> Iterator[EvalCase]:
        suite = loaded.suite
        found = [problem for spec in suite.checks for problem in check_problems(spec)]
        if found:
            raise LoadError(found)
        bench = self._bench()
        expansion = Expansion(
            suite,
            variants=[self._variant(suite, target, bench) for target in suite.targets],
            proxy=bench.proxy,
            draws=self.draws or suite.repeat.n,
            overrides=self.variables,
        )
        return expansion.cases(row_ids(loaded.goldens.rows()), selection)

    def _bench(self) -> Bench:
        tiers = self.project.tiers
        frontier = tiers.frontier
        if frontier is None and tiers.proxy is None and len(self.project.models) == 1:
            frontier = next(iter(self.project.models))  # the only model there is serves as target
        return Bench(
            proxy=self._seated(tiers.proxy) if tiers.proxy else None,
            frontier=self._seated(frontier) if frontier else None,
            find=self._seated,
        )

    def _seated(self, name: str) -> Endpoint:
        """The endpoint of a name or id, its identity completed, remembered for the crew."""
        endpoint = endpoint_for(self.project, name)
        known = self.endpoints.get(endpoint.name)
        if known is not None:
            return known
        if endpoint.provider == "local":
            endpoint = replace(endpoint, identity=self._local_identity(endpoint))
        self.endpoints[endpoint.name] = endpoint
        return endpoint

    def _local_identity(self, endpoint: Endpoint) -> str:
        from evalrunner.adapters.local_identity import local_identity

        digests = self.state_dir / "model-digests.json" if self.state_dir else None
        return local_identity(endpoint, root=self.project.root, digests=digests)

    def _variant(self, suite: Suite, target: Target, bench: Bench) -> Variant:
        if target.kind != "model":
            return self._application(suite, target, bench)
        try:
            endpoint, tier = self._target_model(target, bench)
        except LoadError:
            raise
        except ConfigError as error:
            problem = Problem(
                error.message, file=target.source.file, line=target.source.line, hint=error.hint
            )
            raise LoadError([problem]) from None
        builder = PanelBuilder(
            suite,
            bench,
            self._routing(suite),
            application=False,
            target_is_proxy=tier is Tier.PROXY,
        )
        return Variant(
            label=target.label,
            endpoint=endpoint,
            tier=tier,
            builder=builder,
            panel=builder.build(suite.checks),
        )

    def _target_model(self, target: Target, bench: Bench) -> tuple[Endpoint, Tier]:
        name = target.model or Tier.FRONTIER.value
        tier = TIER_NAMES.get(name)
        if tier is None:
            endpoint = bench.find(name)
            return endpoint, bench.tier_of(endpoint)
        endpoint_of_tier = bench.of(tier)
        if endpoint_of_tier is None:
            raise ConfigError(
                f"the target is the tier {name!r}, and no model is configured for it",
                hint=f"add tiers: {{{name}: NAME}} to evalrunner.yaml",
            )
        return endpoint_of_tier, tier

    def _application(self, suite: Suite, target: Target, bench: Bench) -> Variant:
        from evalrunner.adapters.targets import identity_of

        identity, cacheable, _ = identity_of(target, self.project.root)
        name = f"{suite.name}:{target.label}"
        endpoint = Endpoint(
            name=name,
            provider="application",
            model=target.kind,
            identity=identity,
            client=target.kind,
            timeout_seconds=_timeout(target),
        )
        self.endpoints[name] = endpoint
        self.applications[name] = target
        builder = PanelBuilder(
            suite, bench, self._routing(suite), application=True, target_is_proxy=False
        )
        return Variant(
            label=target.label,
            endpoint=endpoint,
            tier=Tier.TARGET,
            application=True,
            cacheable=cacheable,
            builder=builder,
            panel=builder.build(suite.checks),
        )

    def _routing(self, suite: Suite) -> Routing:
        return suite.routing or self.project.routing


def _timeout(target: Target) -> float:
    seconds = target.spec.get("timeout_seconds")
    return float(seconds) if isinstance(seconds, int | float) else 60.0
