"""The part of a run document that says what the run's requests were made of, written and read."""

from __future__ import annotations

from typing import TypeAlias

from evalrunner.reports.json_node import JsonNode
from evalrunner.values.cause import MissGroup
from evalrunner.values.inputs import CheckInputs, EndpointInputs, Inputs, SuiteInputs, Written
from evalrunner.values.spec import SourceRef

Object: TypeAlias = dict[str, object]


def inputs_json(inputs: Inputs) -> Object:
    """The inputs as an object of the document; texts only where they may be kept."""
    return {
        "schema": inputs.schema,
        "namespace": inputs.namespace,
        "store": inputs.store,
        "include": inputs.include,
        "endpoints": {
            name: {
                "identity": one.identity,
                "params": one.params,
                "source": _source_json(one.source),
            }
            for name, one in inputs.endpoints.items()
        },
        "suites": {name: _suite_json(one) for name, one in inputs.suites.items()},
    }


def inputs_from(node: JsonNode) -> Inputs:
    """The inputs again."""
    endpoints, suites = node.node("endpoints"), node.node("suites")
    return Inputs(
        schema=node.integer("schema"),
        namespace=node.text("namespace"),
        store=node.text("store", ""),
        include=node.text("include", "outputs"),
        endpoints={name: _endpoint(endpoints.node(name)) for name in endpoints.fields},
        suites={name: _suite(suites.node(name)) for name in suites.fields},
    )


def misses_json(group: MissGroup) -> Object:
    """A group of misses as an object of the document."""
    return {
        "cause": group.cause,
        "count": group.count,
        "where": group.where,
        "since": group.since,
    }


def misses_from(node: JsonNode) -> MissGroup:
    """A group of misses again."""
    return MissGroup(
        cause=node.text("cause"),
        count=node.integer("count"),
        where=node.text("where", ""),
        since=node.text_or_none("since"),
    )


def _suite_json(suite: SuiteInputs) -> Object:
    return {
        "prompts": {label: _written_json(one) for label, one in suite.prompts.items()},
        "targets": suite.targets,
        "tools": _written_json(suite.tools),
        "response_format": _written_json(suite.response_format),
        "checks": [
            {
                "type": check.type,
                "value": _written_json(check.value),
                "frame": check.frame,
                "source": _source_json(check.source),
            }
            for check in suite.checks
        ],
    }


def _suite(node: JsonNode) -> SuiteInputs:
    prompts = node.node("prompts")
    labelled = {label: _written(prompts, label) for label in prompts.fields}
    return SuiteInputs(
        prompts={label: one for label, one in labelled.items() if one is not None},
        targets=node.texts("targets"),
        tools=_written(node, "tools"),
        response_format=_written(node, "response_format"),
        checks=tuple(
            CheckInputs(
                type=check.text("type"),
                value=_written(check, "value"),
                frame=check.text("frame", ""),
                source=_source(check),
            )
            for check in node.nodes("checks")
        ),
    )


def _endpoint(node: JsonNode) -> EndpointInputs:
    return EndpointInputs(
        identity=node.text("identity"), params=node.mapping("params"), source=_source(node)
    )


def _written_json(one: Written | None) -> Object | None:
    if one is None:
        return None
    return {"digest": one.digest, "text": one.text, "source": _source_json(one.source)}


def _written(parent: JsonNode, key: str) -> Written | None:
    if not parent.has(key):
        return None
    node = parent.node(key)
    return Written(digest=node.text("digest"), text=node.text_or_none("text"), source=_source(node))


def _source_json(source: SourceRef) -> Object:
    return {"file": source.file, "line": source.line}


def _source(node: JsonNode) -> SourceRef:
    source = node.node("source")
    return SourceRef(file=source.text("file", ""), line=source.integer("line", 0))
