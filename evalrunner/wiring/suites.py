"""Suites become cases: targets get endpoints, checks get judges, rows get rendered."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from evalrunner.checks.kinds import Loader
from evalrunner.engine.case import EvalCase
from evalrunner.engine.expand import Expansion, Variant
from evalrunner.engine.panel import Bench, PanelBuilder
from evalrunner.engine.select import Selection
from evalrunner.errors import ConfigError, LoadError, Problem
from evalrunner.suite.endpoints import endpoint_for
from evalrunner.suite.goldens import row_ids
from evalrunner.suite.loaded import LoadedSuite
from evalrunner.suite.problems import sorted_problems
from evalrunner.values.exchange import Tier
from evalrunner.values.project import Project
from evalrunner.values.spec import Endpoint, Suite, Target

TIER_NAMES = {tier.value: tier for tier in (Tier.PROXY, Tier.FRONTIER)}


@dataclass(slots=True)
class Assembly:
    """Suites on their way to cases, and whom those cases may ask.

    Attributes:
        project: The project.
        state_dir: Where digests of model files are remembered; ``None`` for nowhere.
        draws: How often each case is drawn, instead of what the suite says.
        variables: Variables that win over every row's.
        load: Makes the finder of a suite's own functions; without it they are planned and never run.
        look_only: Whether nothing is to be run (``validate``): files of models are not read.
        plugins_absent: Whether plugins were not imported, so that an unknown check may be one of theirs.
        endpoints: Every model and application that was seated, by name.
        applications: The applications among them.
        uncached: The names of applications whose answers may not be kept.
        left_out: By suite, how many of the cases that were asked for a limit has left out.
    """

    project: Project
    state_dir: Path | None = None
    draws: int | None = None
    variables: Mapping[str, str] = field(default_factory=dict)
    load: Callable[[Suite], Loader] | None = None
    look_only: bool = False
    plugins_absent: bool = False
    endpoints: dict[str, Endpoint] = field(default_factory=dict)
    applications: dict[str, Target] = field(default_factory=dict)
    uncached: set[str] = field(default_factory=set)
    left_out: dict[str, int] = field(default_factory=dict)

    def cases(self, loaded: Sequence[LoadedSuite], selection: Selection) -> list[EvalCase]:
        """The selected cases of all suites, in order.

        Raises:
            LoadError: Everything in any suite that cannot be used.
        """
        problems: list[Problem] = []
        cases: list[EvalCase] = []
        for one in loaded:
            try:
                cases.extend(self.suite_cases(one, self.variants(one.suite), selection))
            except LoadError as error:
                problems.extend(error.problems)
        if problems:
            raise LoadError(problems)
        return cases

    def suite_cases(
        self, loaded: LoadedSuite, variants: Sequence[Variant], selection: Selection
    ) -> Iterator[EvalCase]:
        """The selected cases of one suite, as they are asked for.

        Raises:
            LoadError: When all rows have been tried: everything that is wrong with them.
        """
        expansion = self.expansion(loaded.suite, variants)
        yield from expansion.cases(row_ids(loaded.goldens.rows()), selection)
        if expansion.left_out:
            self.left_out[loaded.suite.name] = expansion.left_out

    def expansion(self, suite: Suite, variants: Sequence[Variant]) -> Expansion:
        """What turns the suite's rows into cases."""
        return Expansion(
            suite,
            variants=variants,
            proxy=self._bench().proxy,
            draws=self.draws or suite.repeat.n,
            overrides=self.variables,
        )

    def variants(self, suite: Suite) -> list[Variant]:
        """The targets of one suite, ready to be asked and judged.

        Raises:
            LoadError: Every target, check and judge that cannot be used.
        """
        bench = self._bench()
        problems: list[Problem] = []
        variants: list[Variant] = []
        for target in suite.targets:
            try:
                variants.append(self._variant(suite, target, bench))
            except LoadError as error:
                problems.extend(error.problems)
            except ConfigError as error:
                problems.append(_of_target(target, error))
                problems += self.check_problems(suite)
        if not suite.targets:
            problems += self.check_problems(suite)
        if problems:
            raise LoadError(sorted_problems(problems))
        return variants

    def given(self, suite: Suite) -> Variant:
        """A target whose answer is at hand: nobody is asked for it, and every check looks at it.

        Raises:
            LoadError: Every check and judge that cannot be used.
        """
        builder = self._builder(suite, self._bench(), application=True)
        endpoint = Endpoint(
            name="output", provider="application", model="output", identity="output"
        )
        return Variant(
            label="output",
            endpoint=endpoint,
            tier=Tier.TARGET,
            application=True,
            cacheable=False,
            builder=builder,
            panel=builder.build(suite.checks),
        )

    def check_problems(self, suite: Suite) -> list[Problem]:
        """What is wrong with the checks of a suite, whatever its targets."""
        try:
            self._builder(suite, self._bench()).build(suite.checks)
        except LoadError as error:
            return error.problems
        return []

    @property
    def proxy(self) -> Endpoint | None:
        """The cheap tier's model, where one is configured."""
        return self._bench().proxy

    @property
    def frontier(self) -> Endpoint | None:
        """The dear tier's model, where one is configured."""
        return self._bench().frontier

    def _bench(self) -> Bench:
        tiers = self.project.tiers
        frontier = tiers.frontier
        if frontier is None and tiers.proxy is None and len(self.project.models) == 1:
            frontier = next(iter(self.project.models))  # the only model there is serves as target
        return Bench(
            proxy=self.seated(tiers.proxy) if tiers.proxy else None,
            frontier=self.seated(frontier) if frontier else None,
            find=self.seated,
        )

    def seated(self, name: str) -> Endpoint:
        """The endpoint of a name or id, its identity completed, remembered for the crew."""
        endpoint = endpoint_for(self.project, name)
        known = self.endpoints.get(endpoint.name)
        if known is not None:
            return known
        if endpoint.provider == "local" and not self.look_only:
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
        endpoint, tier = self._target_model(target, bench)
        builder = self._builder(suite, bench, target_is_proxy=tier is Tier.PROXY)
        return Variant(
            label=target.label,
            endpoint=endpoint,
            tier=tier,
            builder=builder,
            panel=builder.build(suite.checks),
        )

    def _builder(
        self,
        suite: Suite,
        bench: Bench,
        *,
        application: bool = False,
        target_is_proxy: bool = False,
    ) -> PanelBuilder:
        return PanelBuilder(
            suite,
            bench,
            suite.routing or self.project.routing,
            application=application,
            target_is_proxy=target_is_proxy,
            load=self.load(suite) if self.load else None,
            plugins_absent=self.plugins_absent,
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
        from evalrunner.wiring.user_code import require_callable

        if target.kind == "python":
            require_callable(str(target.spec.get("python")), self.project.root)
        identity, cacheable, _ = identity_of(target, self.project.root)
        name = f"{suite.name}:{target.label}"
        endpoint = Endpoint(
            name=name,
            provider="application",
            model=target.kind,
            identity=identity,
            client=target.kind,
            timeout_seconds=_timeout(target),
            max_per_call=target.max_per_call,
        )
        self.endpoints[name] = endpoint
        self.applications[name] = target
        if not cacheable:
            self.uncached.add(name)
        builder = self._builder(suite, bench, application=True)
        return Variant(
            label=target.label,
            endpoint=endpoint,
            tier=Tier.TARGET,
            application=True,
            cacheable=cacheable,
            builder=builder,
            panel=builder.build(suite.checks),
        )


def _of_target(target: Target, error: ConfigError) -> Problem:
    source = target.source
    return Problem(error.message, file=source.file, line=source.line, hint=error.hint)


def _timeout(target: Target) -> float:
    seconds = target.spec.get("timeout_seconds")
    return float(seconds) if isinstance(seconds, int | float) else 60.0
