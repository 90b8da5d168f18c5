"""The price map that litellm brings along, read as the file that it is: litellm is not imported."""

from __future__ import annotations

import importlib.util
import json
import re
from collections.abc import Iterator, Mapping
from decimal import ROUND_CEILING, Decimal
from functools import lru_cache
from pathlib import Path
from typing import Final, cast

from evalrunner.values.money import PICO_PER_USD, Picodollars, Price, PriceStep
from evalrunner.values.pricing import Unknown

_FILE: Final = "model_prices_and_context_window_backup.json"
_SUFFIX: Final = {"standard": "", "batch": "_batches", "flex": "_flex", "priority": "_priority"}
_ABOVE: Final = re.compile(r"input_cost_per_token_above_(\d+)k_tokens")
_MODES: Final = frozenset(("chat", "completion", "responses"))

# Fees beside the tokens that a price of ours cannot say: such a model is unknown, not cheap.
_OTHER_FEES: Final = frozenset(
    "input_cost_per_request input_cost_per_query input_cost_per_character output_cost_per_character"
    " input_cost_per_second output_cost_per_second cost_per_second off_peak_pricing".split()
)


class PriceMap:
    """The map: models by id, with dollars a token.

    Args:
        models: The document.
        source: Its name and version, for provenance.
    """

    def __init__(self, models: Mapping[str, object], *, source: str) -> None:
        self.source = source
        self._models = models

    def price(self, provider: str, model: str, processing: str = "standard") -> Price | Unknown:
        """The price of a model; a rate that is missing, zero, negative or no number is no price.

        Where batch or flex has no price of its own, the ordinary one is its bound and the source says
        so; what is dearer than ordinary is unknown then.
        """
        entry = self._entry(provider, model)
        if entry is None:
            return Unknown(reason=f"{self.source} does not list it")
        if entry.get("mode") not in _MODES or _OTHER_FEES & entry.keys():
            return Unknown(reason=f"{self.source} has fees beside tokens for it")
        suffix, source = _SUFFIX[processing], self.source
        if suffix and _rates(entry, "", suffix) is None:
            if processing == "priority":
                return Unknown(reason=f"{source} has no price for priority")
            suffix, source = "", f"{source} (standard rates, none for {processing})"
        base = _rates(entry, "", suffix)
        if base is None and _at_nothing(entry):
            return Unknown(reason=f"{source} lists it at $0; if it is free, say price: free")
        if base is None:
            return Unknown(reason=f"{source} has no usable price for it")
        return Price(**base, steps=tuple(_steps(entry, suffix, base)), source=source)

    def _entry(self, provider: str, model: str) -> Mapping[str, object] | None:
        for name in (f"{provider}/{model}", model):
            entry = self._models.get(name)
            if not isinstance(entry, dict):
                continue
            if "/" in name and name != model:
                return entry
            if str(entry.get("litellm_provider", "")).partition("-")[0] == provider:
                return entry
        return None


def _rates(entry: Mapping[str, object], above: str, suffix: str) -> dict[str, Picodollars] | None:
    """The rates under names with those endings; ``None`` where one direction has none."""
    sent = _rate(entry.get(f"input_cost_per_token{above}{suffix}"))
    made = _rate(entry.get(f"output_cost_per_token{above}{suffix}"))
    if sent is None or made is None:
        return None
    thought = _rate(entry.get("output_cost_per_reasoning_token"))
    rates = {"input": sent, "output": max(made, thought or made)}
    for ours, theirs in (
        ("cached_input", "cache_read_input_token_cost"),
        ("cache_write", "cache_creation_input_token_cost"),
    ):
        rate = _rate(entry.get(f"{theirs}{above}{suffix}"))
        if rate is not None:
            rates[ours] = rate
    return rates


def _at_nothing(entry: Mapping[str, object]) -> bool:
    """Whether a list gives a model away, which it also does where it knows no price."""
    listed = (entry.get("input_cost_per_token"), entry.get("output_cost_per_token"))
    return all(isinstance(rate, int | Decimal) and Decimal(rate).is_zero() for rate in listed)


def _steps(
    entry: Mapping[str, object], suffix: str, base: Mapping[str, Picodollars]
) -> Iterator[PriceStep]:
    """The rates of long prompts; a rate that the map leaves out there is that of short ones."""
    lengths = sorted({int(found[1]) for name in entry if (found := _ABOVE.match(name))})
    for length in lengths:
        rates = _rates(entry, f"_above_{length}k_tokens", suffix)
        if rates is not None:
            yield PriceStep(above=length * 1000, **{**base, **rates})
    for start, rates in _tiers(entry):
        yield PriceStep(above=start, **rates)


def _tiers(entry: Mapping[str, object]) -> Iterator[tuple[int, dict[str, Picodollars]]]:
    tiers = entry.get("tiered_pricing")
    for tier in cast("list[object]", tiers) if isinstance(tiers, list) else ():
        if not isinstance(tier, dict):
            continue
        reach, rates = tier.get("range"), _rates(tier, "", "")
        start = reach[0] if isinstance(reach, list) and reach else None
        if rates is not None and isinstance(start, int | Decimal) and start > 0:
            yield int(start), rates


def _rate(listed: object) -> Picodollars | None:
    """Dollars a token, as whole picodollars; fractions round up, and zero is no price."""
    if isinstance(listed, bool) or not isinstance(listed, int | Decimal):
        return None
    value = Decimal(listed)
    if not value.is_finite() or not 0 < value <= 1:
        return None
    return Picodollars(int((value * PICO_PER_USD).to_integral_value(ROUND_CEILING)))


@lru_cache(maxsize=1)
def load_price_map() -> PriceMap | None:
    """The map of the installed litellm, or ``None`` where there is none that can be read."""
    try:
        from importlib import metadata  # only here: it brings the email package along

        spec = importlib.util.find_spec("litellm")
        folders = list(spec.submodule_search_locations or ()) if spec else []
        text = (Path(folders[0]) / _FILE).read_text(encoding="utf-8")
        models = json.loads(text, parse_float=Decimal)
        source = f"litellm@{metadata.version('litellm')}"
    except (ImportError, IndexError, OSError, ValueError, RecursionError):
        return None
    return PriceMap(models, source=source) if isinstance(models, dict) else None
