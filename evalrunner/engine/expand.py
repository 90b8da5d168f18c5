"""A suite and its goldens become eval cases: every row, for every prompt, target and draw."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence

from evalrunner.engine.case import EvalCase, Panel
from evalrunner.engine.panel import PanelBuilder
from evalrunner.engine.select import Selection
from evalrunner.errors import LoadError, Problem, TemplateError
from evalrunner.suite.render import JsonTemplate, PromptTemplate
from evalrunner.values.dataclass import dataclass
from evalrunner.values.exchange import Json, Message, ModelRequest, Request, TargetRequest, Tier
from evalrunner.values.result import CaseRef
from evalrunner.values.spec import DEFAULT_MAX_TOKENS, Endpoint, Golden, Suite

Vars = Mapping[str, Json]
Rendered = str | tuple[Message, ...]

MOST_PROBLEMS = 100
"""After so many rows that cannot be rendered the rest is not tried."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Variant:
    """A target of the suite, ready to be asked.

    Attributes:
        label: How reports call it.
        endpoint: The model, or the stand-in of an application, whose ``identity`` is the application's.
        tier: What its answers count as.
        application: Whether it is the user's application.
        cacheable: Whether its answers may be kept.
        builder: Builds the panels over its answers.
        panel: The panel of the suite's own checks.
    """

    label: str
    endpoint: Endpoint
    tier: Tier
    application: bool = False
    cacheable: bool = True
    builder: PanelBuilder
    panel: Panel


class Expansion:
    """Turns one suite's rows into cases.

    Args:
        suite: The suite.
        variants: Its targets.
        proxy: The proxy model, which may answer in a target's place.
        draws: How often each case is drawn.
        overrides: Variables from the command line; they win over the row's.

    Attributes:
        left_out: The cases that the selection's limit left out, once all rows were seen.
    """

    def __init__(
        self,
        suite: Suite,
        *,
        variants: Sequence[Variant],
        proxy: Endpoint | None,
        draws: int,
        overrides: Vars,
    ) -> None:
        self._suite = suite
        self._variants = variants
        self._proxy = proxy
        self._draws = draws
        self._overrides = overrides
        self._prompts = [(prompt.label, PromptTemplate(prompt)) for prompt in suite.prompts]
        self._values = [JsonTemplate(spec.value, spec.source) for spec in suite.checks]
        self.left_out = 0

    def cases(self, rows: Iterable[tuple[str, Golden]], selection: Selection) -> Iterator[EvalCase]:
        """The selected cases, row by row. *rows* are the ROW parts of the ids, and the rows.

        Raises:
            LoadError: When all rows have been tried: those that a template cannot be filled in for,
                or whose own checks cannot be used.
        """
        takes = selection.chooser()
        problems: list[Problem] = []
        for row_id, golden in rows:
            try:
                for ref, variant in self._refs(row_id, golden):
                    if takes(ref):
                        yield self._case(ref, variant, golden)
            except TemplateError as error:
                problems.append(of_row(error.problem, golden))
            except LoadError as error:
                problems.extend(error.problems)
            if len(problems) >= MOST_PROBLEMS:
                break
        self.left_out = takes.left_out
        if problems:
            raise LoadError(problems)

    def _refs(self, row_id: str, golden: Golden) -> Iterator[tuple[CaseRef, Variant]]:
        suite = self._suite
        variables = {**suite.vars, **golden.vars, **self._overrides}
        tags = {**suite.tags, **golden.tags} if suite.tags else golden.tags
        for label, template in self._prompts:
            rendered = template.render(variables)
            for variant in self._variants:
                for repeat in range(self._draws):
                    ref = CaseRef(
                        id=self._case_id(row_id, label, variant, repeat),
                        suite=suite.name,
                        prompt=label,
                        target=variant.label,
                        row=golden.row,
                        repeat=repeat,
                        rendered=rendered,
                        vars=variables,
                        description=golden.description,
                        tags=tags,
                        source=golden.source,
                    )
                    yield ref, variant

    def _case_id(self, row_id: str, prompt: str, variant: Variant, repeat: int) -> str:
        case_id = f"{self._suite.name}/{row_id}"
        if len(self._prompts) > 1:
            case_id += f"@{prompt}"
        if len(self._variants) > 1:
            case_id += f"@{variant.label}"
        return f"{case_id}#{repeat}" if repeat else case_id

    def _case(self, ref: CaseRef, variant: Variant, golden: Golden) -> EvalCase:
        panel, values = variant.panel, self._values
        if golden.checks:
            panel = variant.builder.build((*self._suite.checks, *golden.checks))
            values = [*values, *(JsonTemplate(spec.value, spec.source) for spec in golden.checks)]
        proxy = self._proxy if panel.plan.subject == "proxy" else None
        return EvalCase(
            ref=ref,
            target=self._request(ref, variant),
            proxy=self._ask(ref, proxy, Tier.PROXY) if proxy is not None else None,
            panel=panel,
            values=tuple([value.render(ref.vars) for value in values]),
        )

    def _request(self, ref: CaseRef, variant: Variant) -> Request:
        if not variant.application:
            return self._ask(ref, variant.endpoint, variant.tier)
        return TargetRequest(
            target=variant.endpoint.identity,
            prompt=ref.rendered,
            vars=ref.vars,
            repeat=ref.repeat,
            cacheable=variant.cacheable,
            endpoint=variant.endpoint.name,
            suite=ref.suite,
            case_id=ref.id,
        )

    def _ask(self, ref: CaseRef, endpoint: Endpoint, tier: Tier) -> ModelRequest:
        rendered = ref.rendered
        if isinstance(rendered, str):
            rendered = (Message(role="user", content=rendered),)
        return ModelRequest(
            model=endpoint.identity,
            messages=rendered,
            params=sent_params(endpoint.params),
            tools=self._suite.tools,
            response_format=self._suite.response_format,
            repeat=ref.repeat,
            endpoint=endpoint.name,
            tier=tier,
            suite=ref.suite,
            case_id=ref.id,
        )


def sent_params(params: Mapping[str, Json]) -> Mapping[str, Json]:
    """The parameters of a generation: the endpoint's own, and a ``max_tokens`` in any case.

    Example:
        >>> sent_params({"temperature": 0})
        {'max_tokens': 1024, 'temperature': 0}
        >>> sent_params({"max_completion_tokens": 5})
        {'max_completion_tokens': 5}
    """
    if "max_tokens" in params or "max_completion_tokens" in params:
        return params
    return {"max_tokens": DEFAULT_MAX_TOKENS, **params}


def of_row(problem: Problem, golden: Golden) -> Problem:
    """The same problem with the row that shows it."""
    where = f"{golden.source.file}:{golden.source.line}" if golden.source.file else "the suite"
    return Problem(
        f"{problem.message} in the row of {where}",
        file=problem.file,
        line=problem.line,
        column=problem.column,
        hint=problem.hint,
    )
