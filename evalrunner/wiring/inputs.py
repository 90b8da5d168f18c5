"""What a run's requests are made of, gathered from what was loaded."""

from __future__ import annotations

from collections.abc import Sequence

from evalrunner.adapters.cache_disk import DiskStore
from evalrunner.engine.ports import CacheStore
from evalrunner.suite.loaded import LoadedSuite
from evalrunner.values.exchange import Json, Message
from evalrunner.values.fingerprint import SCHEMA, digest
from evalrunner.values.inputs import CheckInputs, EndpointInputs, Inputs, SuiteInputs, written
from evalrunner.values.spec import CheckSpec, Suite
from evalrunner.wiring.stores import namespace_of
from evalrunner.wiring.suites import Assembly


def inputs_of(
    assembly: Assembly, loaded: Sequence[LoadedSuite], store: CacheStore | None
) -> Inputs:
    """The inputs of a run over these suites, once its endpoints are known."""
    project = assembly.project
    return Inputs(
        schema=SCHEMA,
        namespace=namespace_of(project),
        store=store.identity() if isinstance(store, DiskStore) else "",
        include=project.report_include,
        endpoints={
            name: EndpointInputs(
                identity=endpoint.identity, params=endpoint.params, source=endpoint.source
            )
            for name, endpoint in assembly.endpoints.items()
        },
        suites={one.suite.name: _suite(one.suite) for one in loaded},
    )


def _suite(suite: Suite) -> SuiteInputs:
    prompts = {
        prompt.label: written(_template(prompt.template), prompt.source) for prompt in suite.prompts
    }
    return SuiteInputs(
        prompts={label: one for label, one in prompts.items() if one is not None},
        targets={target.label: target.model or target.kind for target in suite.targets},
        tools=written(suite.tools, suite.source),
        response_format=written(suite.response_format, suite.source),
        checks=tuple(map(_check, suite.checks)),
    )


def _check(spec: CheckSpec) -> CheckInputs:
    frame = spec.rubric_prompt
    return CheckInputs(
        type=spec.name,
        value=written(spec.value, spec.source),
        frame=digest([None if frame is None else _template(frame), spec.config])[:16],
        source=spec.source,
    )


def _template(template: str | tuple[Message, ...]) -> Json:
    if isinstance(template, str):
        return template
    return [{"role": message.role, "content": message.content} for message in template]
