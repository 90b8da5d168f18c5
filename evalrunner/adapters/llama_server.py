"""The child process that serves a GGUF file; it reads its orders from stdin and dies with it.

It is started as a script and imports nothing of ours, so that native code that crashes, leaks or never
returns takes no run with it.
"""

from __future__ import annotations

import ctypes
import importlib
import json
import os
import signal
import sys
import threading
from contextlib import suppress
from typing import Any

_PARENT_DEATH = 1  # prctl's PR_SET_PDEATHSIG


def main() -> None:
    """Loads the model, says the address on stdout, and serves until stdin ends."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # a Ctrl-C is for the run, which drains its calls
    _die_with_parent()
    orders = json.loads(sys.stdin.buffer.readline())
    if os.getppid() != orders["parent"]:
        os._exit(1)  # it died before the watch began
    threading.Thread(target=_watch_stdin, daemon=True).start()
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what native code prints is a log line, never an answer
    server = _serve(orders)
    answers.write(f"{server.listening_address}\n")
    answers.flush()
    threading.Event().wait()


def _serve(orders: dict[str, Any]) -> Any:
    xllamacpp: Any = importlib.import_module("xllamacpp")
    params = xllamacpp.CommonParams()
    params.model.path = orders["path"]
    params.model_alias = {orders["alias"]}
    params.hostnames = ["127.0.0.1"]
    params.port = 0
    params.api_keys = [orders["key"]]
    params.n_parallel = orders["slots"]
    params.n_ctx = orders["context"] * orders["slots"]
    params.cont_batching = True
    params.cache_ram_mib = 0
    params.fit_params = False
    params.warmup = False
    params.endpoint_slots = False
    params.ui = False
    params.verbosity = 1
    for cpu in (params.cpuparams, params.cpuparams_batch):
        cpu.n_threads = orders["threads"]
        cpu.poll = 0  # a thread that waits sleeps: others need the processor too
    return xllamacpp.Server(params)


def _die_with_parent() -> None:
    """On Linux the kernel kills this process with its parent, even while native code holds the lock."""
    if sys.platform == "linux":
        with suppress(OSError, AttributeError):
            ctypes.CDLL(None).prctl(_PARENT_DEATH, signal.SIGKILL)


def _watch_stdin() -> None:
    while os.read(0, 4096):
        pass
    os._exit(0)


if __name__ == "__main__":
    main()
