"""The same work for pydantic-evals, with the openai client: ``python … GOLDEN.jsonl PORT``. No cache."""

from __future__ import annotations

import asyncio
import json
import sys
from dataclasses import dataclass
from pathlib import Path

from openai import AsyncOpenAI
from pydantic_evals import Case, Dataset
from pydantic_evals.evaluators import Evaluator, EvaluatorContext


@dataclass
class ContainsExpected(Evaluator[str, str]):
    """Whether the answer holds the code word."""

    def evaluate(self, ctx: EvaluatorContext[str, str]) -> bool:
        """True where it does."""
        return ctx.expected_output is not None and ctx.expected_output in ctx.output


@dataclass
class IsJson(Evaluator[str, str]):
    """Whether the answer is JSON."""

    def evaluate(self, ctx: EvaluatorContext[str, str]) -> bool:
        """True where it is."""
        try:
            json.loads(ctx.output)
        except ValueError:
            return False
        return True


async def main(rows: list[dict[str, str]], port: int) -> None:
    """Asks all rows, 50 in flight."""
    cases = [Case(inputs=row["question"], expected_output=row["expected"]) for row in rows]
    client = AsyncOpenAI(base_url=f"http://127.0.0.1:{port}/v1", api_key="none", max_retries=0)

    async def answer(question: str) -> str:
        reply = await client.chat.completions.create(
            model="bench",
            messages=[{"role": "user", "content": f"Answer in one word: {question}"}],
            temperature=0,
            max_tokens=1024,
        )
        return reply.choices[0].message.content or ""

    dataset = Dataset(name="bench", cases=cases, evaluators=[ContainsExpected(), IsJson()])
    report = await dataset.evaluate(answer, max_concurrency=50, progress=False)
    passed = sum(all(a.value for a in case.assertions.values()) for case in report.cases)
    print(f"{passed} of {len(rows)} passed")


if __name__ == "__main__":
    lines = Path(sys.argv[1]).read_text(encoding="utf-8").splitlines()
    asyncio.run(main([json.loads(line) for line in lines], int(sys.argv[2])))
