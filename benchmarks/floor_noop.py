"""The floor behind one hash: where no input changed, the stored verdict is the answer.

    python benchmarks/floor_noop.py GOLDEN.jsonl STORE.sqlite3 PORT [--judge]

Where an input did change, everything is done again as ``floor.py`` does it.
"""

from __future__ import annotations

import hashlib
import sys
from pathlib import Path


def main() -> str:
    """The stored verdict for these inputs, or a fresh one, which is then stored."""
    golden, store, port, *flags = sys.argv[1:]
    digest = hashlib.sha256(repr((port, flags)).encode())
    digest.update(Path(golden).read_bytes())
    memo = Path(f"{store}.{digest.hexdigest()}")
    if memo.exists():
        return memo.read_text(encoding="utf-8")
    import floor

    verdict = floor.main(golden, store, int(port), judge="--judge" in flags)
    memo.write_text(verdict, encoding="utf-8")
    return verdict


if __name__ == "__main__":
    print(main())
