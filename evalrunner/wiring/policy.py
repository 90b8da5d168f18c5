"""``--policy``: the configuration and suites of a trusted checkout rule over those of another.

On a pull request the policy is the base ref. Models, hosts, keys, prices, tiers, cache, cost, plugins, and
each suite's targets, gate, routing, repeats and ceiling come from there; prompts, goldens, schemas and
checks from the head. So a head can neither loosen a gate nor point a key at another host.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import fields, replace
from pathlib import Path

from evalrunner.errors import ConfigError, LoadError, Problem
from evalrunner.suite.config import load_project
from evalrunner.suite.discover import find_suites
from evalrunner.suite.load import load_suites
from evalrunner.suite.loaded import LoadedSuite
from evalrunner.suite.root import find_root
from evalrunner.values.dataclass import dataclass
from evalrunner.values.project import Project
from evalrunner.values.spec import Suite

RULED = ("targets", "gate", "routing", "repeat", "threshold", "max_usd", "judge_always")
"""The parts of a suite that the policy decides, by the names of its fields."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """A trusted project and its suites by name."""

    project: Project
    suites: Mapping[str, Suite]

    def over(self, start: Path) -> Project:
        """The project that *start* belongs to, under this policy.

        Its root is the head's own. Models can be named as the policy names them only.
        """
        return replace(self.project, root=find_root(start).path, under_policy=True)

    def rule(
        self, loaded: Iterable[LoadedSuite], *, whole: bool
    ) -> tuple[tuple[LoadedSuite, ...], tuple[str, ...]]:
        """The suites as the policy has them run, and a line for whatever it overrules.

        Args:
            loaded: The head's suites.
            whole: Whether these are all that the head has, so that a missing one was removed.

        Raises:
            LoadError: A suite that the policy does not know has an application as its target.
        """
        head = tuple(loaded)
        _refuse_strange_targets(one.suite for one in head if one.suite.name not in self.suites)
        ruled = tuple(replace(one, suite=self._ruled(one.suite)) for one in head)
        notes = [note for one in head for note in self._overruled(one.suite)]
        if whole:
            gone = sorted(self.suites.keys() - {one.suite.name for one in head})
            notes += [f"the policy has the suite {name!r}, which is missing here" for name in gone]
        return ruled, tuple(notes)

    def _ruled(self, suite: Suite) -> Suite:
        base = self.suites.get(suite.name)
        if base is None:
            kept = {field.name: field.default for field in fields(Suite) if field.name in RULED}
            return replace(suite, **{**kept, "targets": suite.targets})  # type: ignore[arg-type]
        return replace(suite, **{name: getattr(base, name) for name in RULED})

    def _overruled(self, suite: Suite) -> list[str]:
        base, ruled = self.suites.get(suite.name), self._ruled(suite)
        changed = [name for name in RULED if _differs(getattr(suite, name), getattr(ruled, name))]
        where = f"suite {suite.name!r}: {', '.join(changed)}"
        if not changed:
            return []
        if base is None:
            return [f"{where} of a suite that the policy does not have: the defaults rule"]
        return [f"{where} changed here: the policy's rule"]


def load_policy(path: Path) -> Policy:
    """The policy of a configuration file, with the suites of the checkout that it lies in.

    Raises:
        ConfigError: There is no such file.
        LoadError: It, or one of its suites, cannot be used.
    """
    if not path.is_file():
        raise ConfigError(
            f"there is no policy {str(path)!r}",
            hint="name the evalrunner.yaml of a checkout of the base",
        )
    project = load_project(path.parent, config=path)
    loaded = load_suites(project, find_suites(project), check_rows=False, offline=True)
    return Policy(project=project, suites={one.suite.name: one.suite for one in loaded})


def _refuse_strange_targets(suites: Iterable[Suite]) -> None:
    problems = [
        Problem(
            f"the {target.kind} target {target.label!r} is not in the policy",
            file=target.source.file or suite.path,
            line=target.source.line or 1,
            hint="let the base have the suite first, or test a model that the policy names",
        )
        for suite in suites
        for target in suite.targets
        if target.kind != "model"
    ]
    if problems:
        raise LoadError(problems)


def _differs(here: object, there: object) -> bool:
    """Whether two parts say different things, wherever they are written."""
    if isinstance(here, Sequence) and isinstance(there, Sequence):
        return len(here) != len(there) or any(map(_differs, here, there))
    return _placeless(here) != _placeless(there)


def _placeless(part: object) -> object:
    return replace(part, source=None) if hasattr(part, "source") else part  # type: ignore[type-var]
