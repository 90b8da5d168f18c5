"""Every type of check that evalrunner ships, in one table."""

from __future__ import annotations

from typing import Final

from evalrunner.checks import (
    judge,
    judge_forms,
    markup_html,
    markup_xml,
    measure,
    patterns,
    refusal,
    similarity,
    sql,
    structure,
    text,
    tools,
)
from evalrunner.checks.kinds import (
    CheckKind,
    ThresholdRule,
    anything,
    text_or_list,
    text_or_number,
)
from evalrunner.checks.kinds import text as only_text
from evalrunner.checks.python import python_check, reference_shape
from evalrunner.checks.schema import schema_shape
from evalrunner.values.spec import CheckClass

_FORMAT: Final = CheckClass.FORMAT

_KINDS: Final = (
    # the text as it stands
    CheckKind(name="equals", grade=text.equals, shape=anything, value_required=True),
    CheckKind(name="contains", grade=text.contains, shape=text_or_number, value_required=True),
    CheckKind(name="icontains", grade=text.icontains, shape=text_or_number, value_required=True),
    CheckKind(
        name="contains-any", grade=text.contains_any, shape=text_or_list, value_required=True
    ),
    CheckKind(
        name="icontains-any", grade=text.icontains_any, shape=text_or_list, value_required=True
    ),
    CheckKind(
        name="contains-all", grade=text.contains_all, shape=text_or_list, value_required=True
    ),
    CheckKind(
        name="icontains-all", grade=text.icontains_all, shape=text_or_list, value_required=True
    ),
    CheckKind(
        name="starts-with",
        check_class=_FORMAT,
        grade=text.starts_with,
        shape=text_or_number,
        value_required=True,
    ),
    CheckKind(
        name="regex",
        check_class=_FORMAT,
        grade=patterns.regex,
        shape=patterns.pattern_shape,
        value_required=True,
    ),
    CheckKind(
        name="word-count",
        check_class=_FORMAT,
        grade=text.word_count,
        shape=text.word_shape,
        value_required=True,
    ),
    CheckKind(name="is-refusal", grade=refusal.is_refusal),
    CheckKind(name="finish-reason", grade=text.finish_reason, shape=only_text, value_required=True),
    # structure
    CheckKind(name="is-json", check_class=_FORMAT, grade=structure.is_json, shape=schema_shape),
    CheckKind(
        name="contains-json", check_class=_FORMAT, grade=structure.contains_json, shape=schema_shape
    ),
    CheckKind(
        name="is-xml", check_class=_FORMAT, grade=markup_xml.is_xml, shape=markup_xml.elements_shape
    ),
    CheckKind(
        name="contains-xml",
        check_class=_FORMAT,
        grade=markup_xml.contains_xml,
        shape=markup_xml.elements_shape,
    ),
    CheckKind(name="is-html", check_class=_FORMAT, grade=markup_html.is_html),
    CheckKind(name="contains-html", check_class=_FORMAT, grade=markup_html.contains_html),
    CheckKind(
        name="is-sql",
        check_class=_FORMAT,
        grade=sql.is_sql,
        shape=sql.sql_shape,
        review=sql.sql_review,
    ),
    CheckKind(
        name="contains-sql",
        check_class=_FORMAT,
        grade=sql.contains_sql,
        shape=sql.sql_shape,
        review=sql.sql_review,
    ),
    # nearness to a reference
    CheckKind(
        name="levenshtein",
        grade=similarity.levenshtein,
        shape=text_or_number,
        value_required=True,
        threshold=ThresholdRule(
            default=similarity.LEVENSHTEIN_THRESHOLD, high=None, at_least=False
        ),
    ),
    CheckKind(
        name="rouge-n",
        grade=similarity.rouge_n,
        shape=similarity.references_shape,
        value_required=True,
        threshold=ThresholdRule(default=similarity.ROUGE_THRESHOLD),
        review=similarity.rouge_review,
    ),
    CheckKind(
        name="bleu",
        grade=similarity.bleu,
        shape=similarity.references_shape,
        value_required=True,
        threshold=ThresholdRule(default=similarity.BLEU_THRESHOLD),
    ),
    CheckKind(
        name="gleu",
        grade=similarity.gleu,
        shape=similarity.references_shape,
        value_required=True,
        threshold=ThresholdRule(default=similarity.GLEU_THRESHOLD),
    ),
    # tools
    CheckKind(name="is-valid-openai-tools-call", check_class=_FORMAT, grade=tools.valid_tools_call),
    CheckKind(name="is-valid-function-call", check_class=_FORMAT, grade=tools.valid_function_call),
    CheckKind(
        name="is-valid-openai-function-call", check_class=_FORMAT, grade=tools.valid_function_call
    ),
    CheckKind(
        name="tool-call-f1",
        grade=tools.tool_call_f1,
        shape=text_or_list,
        value_required=True,
        threshold=ThresholdRule(default=tools.TOOL_CALL_F1_THRESHOLD),
    ),
    # what it took
    CheckKind(
        name="latency",
        grade=measure.latency,
        threshold=ThresholdRule(high=None, required=True, at_least=False),
    ),
    CheckKind(
        name="cost",
        grade=measure.cost,
        threshold=ThresholdRule(high=None, required=True, at_least=False),
    ),
    # the user's own code; it is found by the loader that is given to ``build``
    CheckKind(
        name="python",
        grade=lambda spec: python_check(spec, None),
        shape=reference_shape,
        value_required=True,
        threshold=ThresholdRule(high=None),
    ),
    # judges
    CheckKind(
        name="llm-rubric",
        ask=judge.llm_rubric,
        shape=only_text,
        threshold=ThresholdRule(decides=False),
        review=judge.rubric_review,
    ),
    CheckKind(
        name="model-graded-closedqa",
        ask=judge_forms.closed_question,
        shape=only_text,
        value_required=True,
        review=judge.rubric_review,
    ),
    CheckKind(
        name="factuality",
        ask=judge_forms.factuality,
        shape=text_or_number,
        value_required=True,
        threshold=ThresholdRule(),
        review=judge_forms.factuality_review,
    ),
    CheckKind(
        name="model-graded-factuality",
        ask=judge_forms.factuality,
        shape=text_or_number,
        value_required=True,
        threshold=ThresholdRule(),
        review=judge_forms.factuality_review,
    ),
    CheckKind(
        name="g-eval",
        ask=judge_forms.g_eval,
        shape=text_or_list,
        value_required=True,
        threshold=ThresholdRule(default=judge_forms.G_EVAL_THRESHOLD),
        review=judge.rubric_review,
    ),
)

KINDS: Final = {kind.name: kind for kind in _KINDS}
"""By name."""
