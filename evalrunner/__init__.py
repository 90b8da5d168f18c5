"""A CI/CD test runner for LLM evals: cached, tiered, priced.

Names are imported when they are first used, so that ``import evalrunner`` costs next to nothing.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from evalrunner.checks.registry import check as check
    from evalrunner.values.answer import Answer as Answer
    from evalrunner.values.result import RunReport as RunReport
    from evalrunner.values.result import Score as Score
    from evalrunner.version import __version__ as __version__
    from evalrunner.wiring.api import load_suite as load_suite
    from evalrunner.wiring.api import run_suite as run_suite

__all__ = [
    "Answer",
    "RunReport",
    "Score",
    "__version__",
    "check",
    "load_suite",
    "run_suite",
]

_HOMES = {
    "Answer": "evalrunner.values.answer",
    "RunReport": "evalrunner.values.result",
    "Score": "evalrunner.values.result",
    "__version__": "evalrunner.version",
    "check": "evalrunner.checks.registry",
    "load_suite": "evalrunner.wiring.api",
    "run_suite": "evalrunner.wiring.api",
}


def __getattr__(name: str) -> object:
    """Imports a public name from the module where it lives."""
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    value: object = getattr(import_module(home), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
