"""The JSON Schemas of the files that evalrunner reads and writes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

from evalrunner.reports.document_schema import schema_plan, schema_run
from evalrunner.suite.config_model import config_schema
from evalrunner.suite.spec import suite_schema

DIALECT: Final = "https://json-schema.org/draft/2020-12/schema"

_SCHEMAS: Final[Mapping[str, Callable[[], Mapping[str, object]]]] = {
    "config": config_schema,
    "plan": schema_plan,
    "run": schema_run,
    "suite": suite_schema,
}


def json_schema(name: str) -> dict[str, object]:
    """The schema of a ``suite``, of the ``config``uration, or of a ``run`` or ``plan`` document."""
    return {"$schema": DIALECT, **_SCHEMAS[name]()}
