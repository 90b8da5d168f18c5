"""What tests import: ``golden()`` for parametrisation, and the types of what ``llm_eval`` gives.

The fixtures need no import; the installed package registers them.
"""

from __future__ import annotations

from evalrunner.pytest_plugin.golden import Row, golden
from evalrunner.pytest_plugin.llm_cache import LlmCache
from evalrunner.pytest_plugin.llm_eval import LlmEval
from evalrunner.pytest_plugin.result import CheckFailed, EvalErrored, EvalNotRun, EvalResult

__all__ = [
    "CheckFailed",
    "EvalErrored",
    "EvalNotRun",
    "EvalResult",
    "LlmCache",
    "LlmEval",
    "Row",
    "golden",
]
