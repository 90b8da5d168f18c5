"""Types of checks that other runners know and evalrunner does not, each with what to use instead."""

from __future__ import annotations

from typing import Final

_EMBEDDINGS: Final = "needs an embedding model; use llm-rubric, rouge-n or a python check"
_PYTHON: Final = "runs code that is not Python; write it as a python check"
_TRACE: Final = "needs traces of the application; return what it shows as output and check that"
_RETRIEVAL: Final = "needs embeddings or contexts; use llm-rubric with {{context}} in the rubric"

UNSUPPORTED: Final = {
    "similar": _EMBEDDINGS,
    "similar:cosine": _EMBEDDINGS,
    "similar:dot": _EMBEDDINGS,
    "similar:euclidean": _EMBEDDINGS,
    "classifier": "needs a classifier model; use llm-rubric or a python check",
    "moderation": "needs a moderation service; use llm-rubric or a python check",
    "meteor": "needs WordNet; use rouge-n, bleu or gleu",
    "perplexity": "needs log probabilities, which few endpoints give",
    "perplexity-score": "needs log probabilities, which few endpoints give",
    "guardrails": "needs a provider's guardrail signal; use is-refusal or finish-reason",
    "javascript": _PYTHON,
    "ruby": _PYTHON,
    "webhook": "posts answers to a URL, which a check may not; use a python check",
    "answer-relevance": _RETRIEVAL,
    "context-faithfulness": _RETRIEVAL,
    "context-recall": _RETRIEVAL,
    "context-relevance": _RETRIEVAL,
    "conversation-relevance": _RETRIEVAL,
    "search-rubric": "needs a judge that searches the web; use llm-rubric",
    "agent-rubric": "needs an agent as judge; use llm-rubric",
    "pi": "needs a vendor's scorer; use llm-rubric",
    "select-best": "compares the answers of several prompts; use `evalrunner compare`",
    "max-score": "compares the answers of several prompts; use `evalrunner compare`",
    "human": "needs a person; label the golden set and compare with equals",
    "assert-set": "groups checks; write them one by one, with weights and a threshold of the suite",
    "skill-used": _TRACE,
    "trajectory:tool-used": "needs traces of the application; use tool-call-f1 on its tool calls",
    "trajectory:tool-args-match": _TRACE,
    "trajectory:tool-sequence": _TRACE,
    "trajectory:step-count": _TRACE,
    "trajectory:goal-success": _TRACE,
    "trace-span-count": _TRACE,
    "trace-span-duration": _TRACE,
    "trace-error-spans": _TRACE,
}

_RED_TEAM_PREFIX: Final = "promptfoo:redteam:"


def why_unsupported(name: str) -> str | None:
    """What a type that we know by name would need; ``None`` where we do not know it."""
    if name.startswith(_RED_TEAM_PREFIX):
        return "is a red-team grader; use is-refusal or llm-rubric on an adversarial golden set"
    return UNSUPPORTED.get(name)
