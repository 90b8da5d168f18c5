"""Production spend from a function of the user's, for whatever else keeps it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from datetime import date
from decimal import Decimal

from evalrunner.adapters.spend_rows import SpendRows, day_or_none
from evalrunner.errors import EvalRunnerError, SpendError
from evalrunner.values.spend import SpendRead, SpendSpec, exact_usd

Function = Callable[..., object]


class PythonSpend:
    """A :class:`~evalrunner.engine.ports.SpendSource` for ``def spend(since: date, until: date)``.

    The function yields mappings with ``day`` (a date, or ``YYYY-MM-DD``) and ``usd`` (a text, an
    integer or a ``Decimal``; a float is taken as it is printed), and with whatever filters look at.

    Args:
        spec: The source.
        load: Finds the function; called when it is asked first.
        now: The clock, in seconds since 1970.
    """

    def __init__(
        self, spec: SpendSpec, *, load: Callable[[str], Function], now: Callable[[], float]
    ) -> None:
        self._spec = spec
        self._load = load
        self._now = now

    def fetch(self, since: str, until: str) -> SpendRead:
        """What the function says; see the port."""
        name = self._spec.name
        rows = SpendRows(self._spec, since, until)
        function = self._load(self._spec.text("python"))
        try:
            found = function(date.fromisoformat(since), date.fromisoformat(until))
            for row in found if isinstance(found, Iterable) else ():
                self._add(rows, row)
        except EvalRunnerError:
            raise
        except Exception as error:  # the user's own code may raise anything
            kind = type(error).__name__
            raise SpendError(
                f"{name}: {self._spec.text('python')!r} raised {kind}: {error}"
            ) from error
        if not isinstance(found, Iterable):
            raise SpendError(f"{name}: {self._spec.text('python')!r} returned no rows")
        return rows.read(fetched_at=self._now())

    def _add(self, rows: SpendRows, row: object) -> None:
        given = row if isinstance(row, Mapping) else {}
        moment = given.get("day")
        day = day_or_none(moment.isoformat() if isinstance(moment, date) else moment)
        if day is None:
            raise SpendError(
                f"{self._spec.name}: a row has no 'day'", hint="yield {'day': …, 'usd': …}"
            )
        usd = given.get("usd")
        amount = exact_usd(Decimal(repr(usd)) if isinstance(usd, float) else usd)
        facts = {str(key): None if value is None else str(value) for key, value in given.items()}
        rows.add(
            day,
            amount,
            facts,
            label=facts.get("label") or facts.get("model") or "",
            currency=(facts.get("currency") or "USD").upper(),
        )
