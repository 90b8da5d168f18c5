"""``python -m evalrunner``: the command line of this very interpreter."""

from __future__ import annotations

from evalrunner.cli import main

main()
