"""What a user would write by hand: gather and a semaphore around aiohttp. No cache, no report.

python benchmarks/aiohttp_loop.py GOLDEN.jsonl PORT [--judge]
"""

from __future__ import annotations

import asyncio
import json
import sys
from pathlib import Path

import aiohttp
import uvloop
from workload import IN_FLIGHT, JUDGE, MODEL, PROMPT, RUBRIC


async def ask(session: aiohttp.ClientSession, url: str, model: str, text: str) -> str:
    """One question, one answer."""
    body = {
        "model": model,
        "messages": [{"role": "user", "content": text}],
        "max_tokens": 1024,
        "temperature": 0,
    }
    async with session.post(url, json=body) as reply:
        reply.raise_for_status()
        content: str = (await reply.json())["choices"][0]["message"]["content"]
        return content


async def holds(
    session: aiohttp.ClientSession, url: str, row: dict[str, str], *, judge: bool
) -> bool:
    """Whether the answer to one row passes its checks."""
    said = await ask(session, url, MODEL, PROMPT.replace("{{question}}", row["question"]))
    passed = row["expected"] in said and isinstance(json.loads(said), dict)
    if judge:
        rubric = RUBRIC.replace("{{question}}", row["question"])
        passed = (
            passed and json.loads(await ask(session, url, JUDGE, f"{rubric}\n\n{said}"))["pass"]
        )
    return passed


async def main(rows: list[dict[str, str]], port: int, *, judge: bool) -> str:
    """Asks all rows and returns the verdict line."""
    url = f"http://127.0.0.1:{port}/v1/chat/completions"
    slots = asyncio.Semaphore(IN_FLIGHT)

    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=IN_FLIGHT)) as session:

        async def one(row: dict[str, str]) -> bool:
            async with slots:
                return await holds(session, url, row, judge=judge)

        held = await asyncio.gather(*map(one, rows))
    return f"{sum(held)} of {len(rows)} passed"


if __name__ == "__main__":
    lines = Path(sys.argv[1]).read_text(encoding="utf-8").splitlines()
    golden = [json.loads(line) for line in lines]
    verdict = uvloop.run(main(golden, int(sys.argv[2]), judge="--judge" in sys.argv))
    print(verdict)
