"""The ledger on a server that several machines share: one script settles and reserves in one step."""

from __future__ import annotations

import json
import secrets
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import islice
from typing import Final

from evalrunner.adapters.ledger_fields import (
    amount_text,
    attempt_fields,
    end_fields,
    kept_entry,
    kept_usual,
    ledger_day,
    origin_fields,
)
from evalrunner.adapters.ledger_script import EXCHANGE
from evalrunner.adapters.ledger_server import (
    PATIENCE_SECONDS,
    RECORDING_PATIENCE_SECONDS,
    LedgerServer,
    as_list,
    as_pairs,
    as_scored,
    as_text,
)
from evalrunner.adapters.server_address import ServerAddress
from evalrunner.engine.ledger_json import (
    read_origin,
    read_run,
    run_json,
)
from evalrunner.engine.ports import (
    Attempt,
    LedgerDay,
    LedgerEntry,
    Origin,
    PastEstimate,
    RunRow,
    Settlement,
    Usual,
)
from evalrunner.engine.spending import cells_of
from evalrunner.errors import LedgerError
from evalrunner.values.ceilings import Ceilings, month_scope, utc_day
from evalrunner.values.money import Picodollars
from evalrunner.values.spending import SpendCell

FORGET_FROM: Final = 4000
_BATCH: Final = 500
_SUMS: Final = ("held", "spent", "open_unknown", "spent_unknown", "calls", "unmetered")
_REFUSALS: Final = {
    "strange": "the attempt {!r} was never reserved",
    "again": "the attempt {!r} was reserved before",
    "large": "the sums of the ledger have outgrown its server at the attempt {!r}",
}


def base_key(namespace: str) -> str:
    """What the names of all keys of a namespace's ledger begin with; rights are given by it.

    The braces keep them together on one node of a cluster.

    Example:
        >>> base_key("my-repo")
        'evalrunner:ledger:1:{my-repo}'
    """
    return f"evalrunner:ledger:1:{{{namespace}}}"


class RedisLedger:
    """A :class:`~evalrunner.engine.ports.LedgerBook` on a Redis or Valkey server.

    A ceiling holds over all machines that name the same run, since one script admits and records. What
    was sent twice because its reply was lost counts once. What cannot be acknowledged is a
    :class:`~evalrunner.errors.LedgerError`, so that nothing is paid which is not on record; how long a
    record outlives the server's own end is the server's setting.

    Args:
        address: The server.
        namespace: Whose ledger this is; projects may share a server.
        run_id: The run whose attempts this process reserves.
        ceilings: The most that may be spent.
        tags: Where the run comes from; on record from its first reservation on.
        patience_seconds: How long the server may be gone; by default longer where a call is to be
            recorded than where the ledger is opened or read.

    Raises:
        LedgerError: It cannot be reached, does not know us, or may throw away what it is told to keep.
    """

    def __init__(
        self,
        address: ServerAddress,
        *,
        namespace: str,
        run_id: str,
        ceilings: Ceilings = Ceilings(),  # noqa: B008  # frozen
        tags: Mapping[str, str] | None = None,
        patience_seconds: float | None = None,
    ) -> None:
        self._base = base_key(namespace)
        self._run_id = run_id
        self._ceilings = ceilings
        self._tags = dict(tags or {})
        self._recording_patience = patience_seconds or RECORDING_PATIENCE_SECONDS
        self._server = LedgerServer(address, patience_seconds=patience_seconds or PATIENCE_SECONDS)
        try:
            self._server.refuse_forgetful()
        except LedgerError:
            self._server.close()
            raise

    # ------------------------------------------------------------ a run's calls

    def reserve(self, attempts: Sequence[Attempt]) -> Sequence[bool]:
        """Records those attempts, in turn, for which every ceiling leaves room; see the port."""
        return self.exchange((), attempts)

    def settle(self, settlements: Iterable[Settlement]) -> None:
        """Records how attempts ended; the first settlement of an attempt stands. See the port."""
        self.exchange(settlements, ())

    def exchange(
        self, settlements: Iterable[Settlement], attempts: Sequence[Attempt]
    ) -> Sequence[bool]:
        """Settles and then reserves, in one step on the server; see the port."""
        ended: dict[str, Settlement] = {}
        for settlement in settlements:
            ended.setdefault(settlement.id, settlement)
        if not ended and not attempts:
            return []
        origin = Origin(
            run_id=self._run_id, at=attempts[0].at if attempts else 0.0, tags=self._tags
        )
        return self._exchange(
            ends=[end_fields(end) for end in ended.values()],
            attempts=[attempt_fields(attempt, self._run_id) for attempt in attempts],
            origins=[origin_fields(origin)] if attempts else [],
        )

    def _exchange(
        self,
        *,
        ends: Sequence[Mapping[str, object]] = (),
        attempts: Sequence[Mapping[str, object]] = (),
        origins: Sequence[Mapping[str, object]] = (),
        unlimited: bool = False,
    ) -> list[bool]:
        limits = {
            "run": amount_text(self._ceilings.run),
            "month": amount_text(self._ceilings.month),
            "suites": {suite: amount_text(limit) for suite, limit in self._ceilings.suites.items()},
        }
        batch = {
            "ends": ends,
            "attempts": attempts,
            "origins": origins,
            "limits": limits,
            "unlimited": unlimited,
            "forget_from": FORGET_FROM,
        }
        token = secrets.token_hex(12)
        (reply,) = self._server.ask(
            [["EVAL", EXCHANGE, "1", self._base, token, json.dumps(batch)]],
            patience_seconds=self._recording_patience,
        )
        said = as_text(reply)
        if said.startswith("!"):
            why, _, id_ = said[1:].partition(" ")
            raise LedgerError(_REFUSALS[why].format(id_))
        return [fits == "1" for fits in said]

    # ------------------------------------------------------------ runs

    def record_run(self, rows: Sequence[RunRow]) -> None:
        """Appends a run's rows, one a suite. A second one for the same run and suite is ignored."""
        self._add_runs(rows)

    def _add_runs(self, rows: Iterable[RunRow]) -> int:
        commands: list[Sequence[str]] = []
        for row in rows:
            name = json.dumps([row.run_id, row.suite])
            commands += [
                ["HSETNX", self._key("runs"), name, json.dumps(run_json(row))],
                ["ZADD", self._key("runs_at"), "NX", repr(row.at), name],
                ["ZADD", self._key("began"), "LT", repr(row.at), row.run_id],
            ]
        replies = self._server.ask(commands) if commands else []
        return sum(reply == 1 for reply in replies[::3])

    def spent(self, run_id: str) -> Picodollars | None:
        """What the settled attempts of a run cost; ``None`` where the cost of one is unknown."""
        sums = self._sums([f"run/{run_id}"])[0]
        return None if sums["spent_unknown"] else Picodollars(sums["spent"])

    def open_reservations(self, run_id: str) -> Picodollars | None:
        """What a run reserved and never settled, or settled as possibly paid, at the worst case."""
        sums = self._sums([f"run/{run_id}"])[0]
        return None if sums["open_unknown"] else Picodollars(sums["held"] - sums["spent"])

    # ------------------------------------------------------------ the past

    def began(self) -> float | None:
        """When the first run but this one began; see the port."""
        (reply,) = self._server.ask([["ZRANGE", self._key("began"), "0", "1", "WITHSCORES"]])
        return min((at for run, at in as_scored(reply) if run != self._run_id), default=None)

    def days(self, since: float, until: float) -> Sequence[LedgerDay]:
        """The days on which anything happened, both ends among them; see the port."""
        first, after = since // 86400, until // 86400 + 1
        span = repr(first * 86400), f"({after * 86400!r}"
        paid, began = self._server.ask(
            [
                ["ZRANGEBYSCORE", self._key("days"), str(int(first)), f"({int(after)}"],
                [*("ZRANGEBYSCORE", self._key("began")), *span, "WITHSCORES"],
            ]
        )
        runs = Counter(utc_day(at) for _, at in as_scored(began))
        names = sorted({*map(as_text, as_list(paid))} | runs.keys())
        sums = self._sums([f"day/{name}" for name in names])
        return [ledger_day(name, part, runs[name]) for name, part in zip(names, sums, strict=True)]

    def held_in_month(self, at: float) -> Picodollars:
        """What counts against the month's ceiling; see the port."""
        return Picodollars(self._sums([month_scope(at)])[0]["held"])

    def usual_usage(self) -> Mapping[tuple[str, str, str], Usual]:
        """What recent calls of each kind were like; see the port."""
        (reply,) = self._server.ask([["SMEMBERS", self._key("usual_suites")]])
        suites = [as_text(name) for name in as_list(reply)]
        asked = [["HGETALL", self._key(f"usual:{suite}")] for suite in suites]
        found: dict[tuple[str, str, str], Usual] = {}
        for suite, sums in zip(suites, self._server.ask(asked) if asked else [], strict=True):
            found |= kept_usual(suite, as_pairs(sums))
        return found

    def past_estimates(self, suite: str, limit: int) -> Sequence[PastEstimate]:
        """The last runs of a suite that expected to pay something; see the port."""
        found = (
            PastEstimate(
                run_id=row.run_id,
                at=row.at,
                expected=row.expected,
                maximum=row.maximum,
                incurred=row.incurred,
                correction=row.correction,
            )
            for row in self._newest_runs()
            if row.suite == suite and row.expected and row.incurred is not None
        )
        return list(islice(found, limit))

    def _newest_runs(self) -> Iterator[RunRow]:
        start = 0
        while True:
            key, stop = self._key("runs_at"), start + _BATCH - 1
            (reply,) = self._server.ask([["ZREVRANGE", key, str(start), str(stop)]])
            if not (names := [*map(as_text, as_list(reply))]):
                return
            yield from self._run_rows(names)
            start += _BATCH

    # ------------------------------------------------------------ rows

    def attempts(self, run_id: str) -> Iterator[LedgerEntry]:
        """The attempts of a run in the order of their reservation, with what became of them."""
        start = 0
        while True:
            key, stop = self._key(f"run:{run_id}"), start + _BATCH - 1
            (reply,) = self._server.ask([["LRANGE", key, str(start), str(stop)]])
            if not (ids := [*map(as_text, as_list(reply))]):
                return
            rows, ends = self._server.ask(
                [["HMGET", self._key("attempts"), *ids], ["HMGET", self._key("ends"), *ids]]
            )
            for row, end in zip(as_list(rows), as_list(ends), strict=True):
                yield kept_entry(row, end)
            start += _BATCH

    def entries(self, since: float, until: float) -> Iterator[LedgerEntry]:
        """The attempts that were reserved in that time; see the port."""
        (reply,) = self._server.ask(
            [["ZRANGEBYSCORE", self._key("began"), "-inf", f"({until!r}", "WITHSCORES"]]
        )
        for run_id, _ in as_scored(reply):
            for one in self.attempts(run_id):
                if since <= one.attempt.at < until:
                    yield one

    def spending(self, since: float, until: float, by: Sequence[str]) -> Sequence[SpendCell]:
        """The same, added up; see the port."""
        return cells_of(self.entries(since, until), by)

    def runs(self, since: float, until: float) -> Sequence[RunRow]:
        """The rows of the runs that began in that time; see the port."""
        (reply,) = self._server.ask(
            [["ZRANGEBYSCORE", self._key("runs_at"), repr(since), f"({until!r}"]]
        )
        return self._run_rows([*map(as_text, as_list(reply))])

    def _run_rows(self, names: Sequence[str]) -> list[RunRow]:
        rows: list[RunRow] = []
        for start in range(0, len(names), _BATCH):
            chunk = names[start : start + _BATCH]
            (reply,) = self._server.ask([["HMGET", self._key("runs"), *chunk]])
            rows += [read_run(json.loads(as_text(row))) for row in as_list(reply)]
        return rows

    def origins(self) -> Sequence[Origin]:
        """Where each run that paid came from; see the port."""
        (reply,) = self._server.ask([["HVALS", self._key("origins")]])
        found = [read_origin(json.loads(as_text(row))) for row in as_list(reply)]
        return sorted(found, key=lambda origin: (origin.at, origin.run_id))

    def add(
        self,
        entries: Iterable[LedgerEntry],
        runs: Iterable[RunRow],
        origins: Iterable[Origin],
    ) -> int:
        """Takes in rows of another ledger, some hundred attempts in a step; see the port."""
        new = 0
        source = iter(entries)
        while chunk := list(islice(source, _BATCH)):
            new += self._add_chunk({one.attempt.id: one for one in chunk})
        self._exchange(origins=[origin_fields(origin) for origin in origins], unlimited=True)
        return new + self._add_runs(runs)

    def _add_chunk(self, chunk: Mapping[str, LedgerEntry]) -> int:
        rows, ends = self._server.ask(
            [["HMGET", self._key("attempts"), *chunk], ["HMGET", self._key("ends"), *chunk]]
        )
        known = {id_ for id_, row in zip(chunk, as_list(rows), strict=True) if row is not None}
        ended = {id_ for id_, end in zip(chunk, as_list(ends), strict=True) if end is not None}
        fresh = [one for id_, one in chunk.items() if id_ not in known]
        self._exchange(
            attempts=[attempt_fields(one.attempt, one.run_id) for one in fresh], unlimited=True
        )
        closing = [
            one.settlement for id_, one in chunk.items() if one.settlement and id_ not in ended
        ]
        self._exchange(ends=[end_fields(end) for end in closing], unlimited=True)
        return len(fresh) + len(closing)

    def close(self) -> None:
        """Closes the connection. Never raises."""
        self._server.close()

    def _key(self, name: str) -> str:
        return f"{self._base}:{name}"

    def _sums(self, scopes: Sequence[str]) -> list[dict[str, int]]:
        if not scopes:
            return []
        commands = [["HMGET", self._key(f"sums:{scope}"), *_SUMS] for scope in scopes]
        return [
            {
                name: int(as_text(value)) if value else 0
                for name, value in zip(_SUMS, found, strict=True)
            }
            for found in map(as_list, self._server.ask(commands))
        ]
