"""The same work for inspect-ai: ``inspect eval inspect_task.py -T golden=… [-T judge=true]``."""

from __future__ import annotations

import json

from inspect_ai import Task, task
from inspect_ai.dataset import Sample, json_dataset
from inspect_ai.model import GenerateConfig, get_model
from inspect_ai.scorer import Score, Scorer, Target, accuracy, model_graded_qa, scorer
from inspect_ai.solver import TaskState, generate


def _sample(record: dict[str, str]) -> Sample:
    return Sample(input=f"Answer in one word: {record['question']}", target=record["expected"])


@scorer(metrics=[accuracy()])
def contains_expected() -> Scorer:
    """Whether the answer holds the code word."""

    async def score(state: TaskState, target: Target) -> Score:
        return Score(value=target.text in state.output.completion)

    return score


@scorer(metrics=[accuracy()])
def is_json() -> Scorer:
    """Whether the answer is JSON."""

    async def score(state: TaskState, target: Target) -> Score:
        try:
            json.loads(state.output.completion)
        except ValueError:
            return Score(value=False)
        return Score(value=True)

    return score


@task
def bench(golden: str, *, judge: bool = False) -> Task:
    """All rows of the golden file, answers cached."""
    scorers = [contains_expected(), is_json()]
    if judge:
        scorers.append(model_graded_qa(model=get_model("openai/judge", responses_api=False)))
    return Task(
        dataset=json_dataset(golden, _sample),
        solver=generate(cache=True),
        scorer=scorers,
        config=GenerateConfig(temperature=0, max_tokens=1024, max_connections=50),
    )
