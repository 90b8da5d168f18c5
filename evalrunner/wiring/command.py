"""What the command line asks of a run, as one value."""

from __future__ import annotations

from pathlib import Path

from evalrunner.engine.select import Selection, Shard
from evalrunner.values.dataclass import dataclass
from evalrunner.values.money import Picodollars

DEFAULT_CONCURRENCY = 32


@dataclass(frozen=True, slots=True, kw_only=True)
class Command:
    """The flags of ``evalrunner run``, read; see its ``--help`` for what each means.

    ``start`` is where the project is looked for.
    """

    suites: tuple[str, ...] = ()
    argv: tuple[str, ...] = ()
    start: Path | None = None
    config: Path | None = None
    policy: Path | None = None
    state_dir: Path | None = None
    outputs: tuple[Path, ...] = ()
    as_json: bool = False
    frozen: bool = False
    no_cache: bool = False
    recache: bool = False
    rejudge: bool = False
    verify_sample: float = 0.0
    max_concurrency: int = DEFAULT_CONCURRENCY
    max_usd: Picodollars | None = None
    repeat: int | None = None
    pattern: str | None = None
    tags: tuple[tuple[str, str], ...] = ()
    limit: int | None = None
    only_failed: bool = False
    shard: str | None = None
    baseline: str | None = None
    no_preflight: bool = False
    warn_only: bool = False
    variables: tuple[tuple[str, str], ...] = ()
    env_file: Path | None = None
    safe: bool = False
    no_progress: bool = True
    quiet: bool = False
    verbose: bool = False

    @property
    def asked_again(self) -> tuple[str, ...]:
        """The roles of requests that are asked whatever the cache holds."""
        answers = ("subject", "confirm") if self.recache else ()
        return (*answers, "judge") if self.rejudge else answers

    @property
    def copies_document(self) -> bool:
        """Whether the run document is wanted in another place too."""
        return self.as_json or any(path.suffix == ".json" for path in self.outputs)

    @property
    def shows_cases(self) -> bool:
        """Whether a report is wanted that is made of all cases, beside the run document."""
        return any(path.suffix != ".json" for path in self.outputs)

    def selection(self, only: frozenset[str] | None) -> Selection:
        """The cases that are taken; *only* are the ids of ``--only-failed``."""
        return Selection(
            pattern=self.pattern,
            tags=dict(self.tags),
            limit=self.limit,
            only=only,
            shard=Shard.parse(self.shard) if self.shard else None,
        )
