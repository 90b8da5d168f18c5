"""The published price list of genai-prices, read without its package.

That package needs pydantic and a third of a second to import. Its list is a module of plain
constructor calls, so it is run here with recorders in place of the package's classes: 25 ms, at the
first model that the user has not priced. A list that cannot be read prices nothing.
"""

from __future__ import annotations

import importlib.machinery
import importlib.util
import re
import sys
import types
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import date
from decimal import ROUND_CEILING, Decimal
from functools import lru_cache
from pathlib import Path
from typing import Final, NamedTuple, cast

from evalrunner.values.money import Picodollars, Price, PriceStep
from evalrunner.values.pricing import Unknown

DISTRIBUTION: Final = "genai-prices"
_PACKAGE: Final = "genai_prices"
_STAND_IN: Final = "_evalrunner_price_list"
_CLASSES: Final = (
    "ArrayMatch ClauseAnd ClauseContains ClauseEndsWith ClauseEquals ClauseOr ClauseRegex"
    " ClauseStartsWith ConditionalPrice ModelInfo ModelPrice PriceVariant Provider"
    " StartDateConstraint Tier TieredPrices TimeOfDateConstraint UsageExtractor"
    " UsageExtractorMapping"
).split()

# Names of litellm's that the list's own rules do not know.
_PROVIDERS: Final = {
    "azure_ai": "azure",
    "cohere_chat": "cohere",
    "fireworks_ai": "fireworks",
    "moonshot": "moonshotai",
}
# A fee beside the tokens that a price of ours cannot say: such a model is unknown, not cheap.
_OTHER_FEES: Final = frozenset(("requests_kcount",))
_COMPACT_DATE: Final = re.compile(r"-(\d{4})(\d{2})(\d{2})$")


class Record(NamedTuple):
    """One constructor call of the list: the class's name and its arguments."""

    kind: str
    fields: Mapping[str, object]


class PriceList:
    """The providers of a published list, and how a model is found in them."""

    def __init__(self, providers: Sequence[Record], *, source: str) -> None:
        self.source = source
        self._providers = {str(record.fields["id"]): record.fields for record in providers}

    def find(self, provider: str, model: str, base_url: str | None) -> Mapping[str, object] | None:
        """What the list says of a model of a provider, named or known by its address."""
        name = self._at_address(base_url) if base_url else self._named(provider)
        if name is None:
            return None
        spelled = model.lower()
        dashed = _COMPACT_DATE.sub(r"-\1-\2-\3", spelled)
        return self._model(name, spelled) or self._model(name, dashed)

    def _at_address(self, base_url: str) -> str | None:
        for name, fields in self._providers.items():
            pattern = fields.get("api_pattern")
            if isinstance(pattern, str) and re.match(pattern, base_url):
                return name
        return None

    def _named(self, provider: str) -> str | None:
        name = _PROVIDERS.get(provider.lower(), provider.lower())
        if name in self._providers:
            return name
        matching = (
            candidate
            for candidate, fields in self._providers.items()
            if _holds(fields.get("provider_match"), name)
        )
        return next(matching, None)

    def _model(self, provider: str, model: str) -> Mapping[str, object] | None:
        own = self._providers[provider]
        for name in (provider, *_texts(own.get("fallback_model_providers"))):
            for record in _records(self._providers.get(name, {}).get("models")):
                if _holds(record.fields.get("match"), model):
                    return record.fields
        return None


@lru_cache(maxsize=1)
def load_price_list() -> PriceList | None:
    """The list of the installed genai-prices, or ``None`` where there is none that can be read."""
    try:
        from importlib import metadata  # only here: it brings the email package along

        version = metadata.version(DISTRIBUTION)
        spec = importlib.util.find_spec(_PACKAGE)
        folders = list(spec.submodule_search_locations or ()) if spec else []
        providers = _run_list(Path(folders[0]) / "data.py")
    except (ImportError, IndexError):
        return None
    except Exception:  # noqa: BLE001  # another release may say anything: then it prices nothing
        return None
    return PriceList(providers, source=f"{DISTRIBUTION}@{version}")


def _run_list(path: Path) -> list[Record]:
    """The ``providers`` of the list's module, whose calls are recorded instead of made."""
    classes = types.ModuleType(f"{_STAND_IN}.types")
    for name in _CLASSES:
        setattr(classes, name, _recorder(name))
    package = types.ModuleType(_STAND_IN)
    package.__path__ = []
    loader = importlib.machinery.SourceFileLoader(f"{_STAND_IN}.data", str(path))
    spec = importlib.util.spec_from_file_location(loader.name, loader=loader)
    if spec is None:
        raise ImportError(str(path))
    module = importlib.util.module_from_spec(spec)
    sys.modules.update({_STAND_IN: package, classes.__name__: classes})
    try:
        loader.exec_module(module)
    finally:
        del sys.modules[_STAND_IN], sys.modules[classes.__name__]
    return list(_records(module.providers))


def _recorder(name: str) -> Callable[..., Record]:
    def record(**fields: object) -> Record:
        return Record(name, fields)

    return record


def list_price(
    model: Mapping[str, object], day: date, source: str, processing: str
) -> Price | Unknown:
    """The price that holds on a day, the dearest where it depends on the hour.

    Where batch or flex has no price of its own, the ordinary one is its bound and the source says so;
    what is dearer than ordinary is unknown then.
    """
    listed = model.get("prices")
    active = [listed] if isinstance(listed, Record) else list(_active(_records(listed), day))
    rates = [record.fields for record in active if isinstance(record, Record)]
    if processing != "standard":
        variant = _variant(model, day, processing)
        if variant is None and processing == "priority":
            return Unknown(reason=f"{source} has no price for priority")
        if variant is None:
            source += f" (standard rates, none for {processing})"
        rates = [{**fields, **(variant or {})} for fields in rates]
    if any(_OTHER_FEES & fields.keys() for fields in rates):
        return Unknown(reason=f"{source} has fees beside tokens for it")
    base = _rates(rates, None) if rates else None
    if base is None:
        return Unknown(reason=f"{source} has no usable price for it")
    steps = tuple(
        PriceStep(above=start, **step)
        for start in sorted({start for fields in rates for start in _starts(fields)})
        if (step := _rates(rates, start)) is not None
    )
    return Price(**base, steps=steps, source=source)


def _variant(
    model: Mapping[str, object], day: date, processing: str
) -> Mapping[str, object] | None:
    """The rates that differ where calls are handled in that way."""
    wanted = {"processing": "batch"} if processing == "batch" else {"service_tier": processing}
    for record in _records(model.get("price_variants")):
        constraint, prices = record.fields.get("constraint"), record.fields.get("prices")
        begun = not isinstance(constraint, Record) or _begun(
            constraint.fields.get("start_date"), day
        )
        if record.fields.get("when") == wanted and begun and isinstance(prices, Record):
            return prices.fields
    return None


def _active(listed: Iterator[Record], day: date) -> Iterator[object]:
    """The last price whose day has come, and those that hold at some hours of the day."""
    standing: object = None
    for conditional in listed:
        constraint = conditional.fields.get("constraint")
        if not isinstance(constraint, Record):
            standing = conditional.fields["prices"]
        elif constraint.kind == "TimeOfDateConstraint":
            yield conditional.fields["prices"]
        elif _begun(constraint.fields.get("start_date"), day):
            standing = conditional.fields["prices"]
    yield standing


class _Rates(NamedTuple):
    """The four rates of tokens, in dollars a million."""

    input: Decimal | None
    output: Decimal | None
    cached_input: Decimal | None
    cache_write: Decimal | None


def _rates(
    prices: Sequence[Mapping[str, object]], above: int | None
) -> dict[str, Picodollars] | None:
    """The dearest of each rate beyond a length of prompt; ``None`` where one direction has none."""
    found = [
        _Rates(
            input=_rate(fields.get("input_mtok"), above),
            output=_dearest(
                _rate(fields.get("output_mtok"), above),
                _rate(fields.get("output_reasoning_mtok"), above),
            ),
            cached_input=_rate(fields.get("cache_read_mtok"), above),
            cache_write=_rate(fields.get("cache_write_mtok"), above),
        )
        for fields in prices
    ]
    dearest = _Rates(*(_dearest(*column) for column in zip(*found, strict=True)))
    if dearest.input is None or dearest.output is None:
        return None
    return {name: _per_token(rate) for name, rate in dearest._asdict().items() if rate is not None}


def _rate(listed: object, above: int | None) -> Decimal | None:
    """A list's rate for prompts longer than ``above`` tokens; zero is no price."""
    if isinstance(listed, Record):
        steps = [
            (tier.fields["start"], tier.fields["price"])
            for tier in _records(listed.fields.get("tiers"))
        ]
        reached = [
            (start, price)
            for start, price in steps
            if isinstance(start, int) and above is not None and start <= above
        ]
        listed = max(reached)[1] if reached else listed.fields.get("base")
    usable = isinstance(listed, Decimal) and listed.is_finite() and listed > 0
    return listed if usable and isinstance(listed, Decimal) else None


def _starts(fields: Mapping[str, object]) -> Iterator[int]:
    for name in ("input_mtok", "output_mtok", "cache_read_mtok", "cache_write_mtok"):
        listed = fields.get(name)
        if isinstance(listed, Record):
            for tier in _records(listed.fields.get("tiers")):
                start = tier.fields["start"]
                if isinstance(start, int):
                    yield start


def _dearest(*rates: Decimal | None) -> Decimal | None:
    return max((rate for rate in rates if rate is not None), default=None)


def _per_token(usd_per_million: Decimal) -> Picodollars:
    """Dollars a million tokens are microdollars a token: 10⁶ picodollars. Fractions round up."""
    return Picodollars(int((usd_per_million * 10**6).to_integral_value(ROUND_CEILING)))


def _begun(start: object, day: date) -> bool:
    return isinstance(start, date) and day >= start


def _holds(clause: object, text: str) -> bool:
    """Whether a matching rule of the list holds for a text in lower case."""
    if not isinstance(clause, Record):
        return False
    ((_, value),) = clause.fields.items()
    if clause.kind in ("ClauseOr", "ClauseAnd"):
        held = (_holds(part, text) for part in _records(value))
        return any(held) if clause.kind == "ClauseOr" else all(held)
    sought = str(value)
    if clause.kind == "ClauseRegex":
        return re.search(sought, text) is not None
    sought = sought.lower()
    return {
        "ClauseStartsWith": text.startswith(sought),
        "ClauseEndsWith": text.endswith(sought),
        "ClauseContains": sought in text,
        "ClauseEquals": text == sought,
    }.get(clause.kind, False)


def _records(value: object) -> Iterator[Record]:
    return (item for item in _items(value) if isinstance(item, Record))


def _texts(value: object) -> list[str]:
    return [item for item in _items(value) if isinstance(item, str)]


def _items(value: object) -> list[object]:
    return cast("list[object]", value) if isinstance(value, list) else []
