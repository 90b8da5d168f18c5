"""Applications under test: real callables, a real server, real processes."""

from __future__ import annotations

import asyncio
import json
import os
import sys
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from evalrunner import errors
from evalrunner.adapters.target_http import filled, found_at
from evalrunner.adapters.target_identity import identity_of
from evalrunner.adapters.targets import target_client
from evalrunner.errors import ConfigError, TargetFailed
from evalrunner.values.exchange import Json, Message, ModelResponse, TargetRequest
from evalrunner.values.spec import Target

from .fault_server import FAULTS, FaultServer, http

APP = """
import asyncio, time, threading
from evalrunner.values.answer import Answer
def plain(prompt, vars): return f"{prompt}:{vars['x']}"
async def coroutine(prompt, vars):
    await asyncio.sleep(0)
    return plain(prompt, vars)
class Bot:
    async def __call__(self, prompt, vars): return "bot"
    def method(self, prompt, vars): return threading.current_thread().daemon and "daemon"
bot = Bot()
def awaitable(prompt, vars): return coroutine(prompt, vars)
def metered(prompt, vars):
    return Answer("m", usage={"input_tokens": 3, "output_tokens": 4}, usd="0.25", calls=2)
def roles(prompt, vars): return ",".join(m["role"] for m in prompt)
def broken(prompt, vars): raise RuntimeError("no way\\n with sk-secret-12345678")
def leaving(prompt, vars): raise SystemExit(3)
def exhausted(prompt, vars): raise StopIteration
def wrong(prompt, vars): return 7
def negative(prompt, vars): return Answer("x", usd=-1.0)
def not_money(prompt, vars): return Answer("x", usd=float("nan"))
def true_count(prompt, vars): return Answer("x", calls=True)
def odd_usage(prompt, vars): return Answer("x", usage={"tokens": 1})
def hanging(prompt, vars): time.sleep(30)
async def self_cancelled(prompt, vars): raise asyncio.CancelledError
async def leaving_coroutine(prompt, vars): raise SystemExit(4)
async def stubborn(prompt, vars):
    try: await asyncio.sleep(30)
    except asyncio.CancelledError: await asyncio.sleep(30)
"""


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    folder = tmp_path_factory.mktemp("project")
    (folder / "bot_under_test").mkdir()
    (folder / "bot_under_test" / "__init__.py").write_text("")
    (folder / "bot_under_test" / "app.py").write_text(APP)
    before = list(sys.path)
    yield folder
    sys.path[:] = before


def ask(
    target: Target,
    root: Path,
    *,
    prompt: str | tuple[Message, ...] = "hi",
    row: Mapping[str, Json] | None = None,
    deadline: float = 10.0,
    environ: Mapping[str, str] | None = None,
) -> ModelResponse:
    request = TargetRequest(
        target="{}", prompt=prompt, vars={"x": 1} if row is None else row, endpoint="bot"
    )

    async def call() -> ModelResponse:
        client = target_client(
            target, root=root, environ={"PATH": os.environ["PATH"], **(environ or {})}
        )
        try:
            return await client.answer(request, deadline)
        finally:
            await client.aclose()

    return asyncio.run(call())


def python(name: str) -> Target:
    return Target(label="bot", kind="python", spec={"python": f"bot_under_test.app:{name}"})


def command(*argv: str, **spec: Json) -> Target:
    return Target(label="bot", kind="command", spec={"command": list(argv), **spec})


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("plain", "hi:1"),
        ("coroutine", "hi:1"),
        ("bot", "bot"),
        ("bot.method", "daemon"),
        ("awaitable", "hi:1"),
    ],
)
def test_a_callable_answers_in_every_form(root: Path, name: str, text: str) -> None:
    assert ask(python(name), root).text.raw == text


def test_a_chat_prompt_comes_as_messages(root: Path) -> None:
    chat = (Message(role="system", content="a"), Message(role="user", content="b"))
    assert ask(python("roles"), root, prompt=chat).text.raw == "system,user"


def test_an_answer_may_say_what_it_cost(root: Path) -> None:
    response = ask(python("metered"), root)
    assert (response.usage.input_tokens, response.usage.output_tokens) == (3, 4)
    assert response.reported_usd == 250_000_000_000
    assert response.calls == 2
    assert not ask(python("plain"), root).usage.known


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("broken", "raised RuntimeError: no way with"),
        ("leaving", "raised SystemExit: 3"),
        ("leaving_coroutine", "raised SystemExit: 4"),
        ("self_cancelled", "cancelled itself"),
        ("exhausted", "raised RuntimeError"),
        ("wrong", "returned int, not text"),
        ("negative", "is no cost"),
        ("not_money", "is no cost"),
        ("true_count", "is no count"),
        ("odd_usage", "usage that cannot be read"),
        ("missing", "raised AttributeError"),
    ],
)
def test_a_failing_callable_is_a_value_not_a_crash(root: Path, name: str, words: str) -> None:
    with pytest.raises(TargetFailed, match=words) as caught:
        ask(python(name), root, environ={"BOT_API_KEY": "sk-secret-12345678"})
    assert "sk-secret" not in caught.value.message


def test_a_failure_says_which_line_of_the_application_it_came_through(root: Path) -> None:
    line = (
        APP.splitlines().index(next(row for row in APP.splitlines() if "RuntimeError" in row)) + 1
    )
    with pytest.raises(TargetFailed) as caught:
        ask(python("broken"), root)
    assert caught.value.message.endswith(f" (bot_under_test/app.py:{line})")


@pytest.mark.parametrize("name", ["hanging", "stubborn"])
def test_a_hanging_callable_ends_with_its_deadline(root: Path, name: str) -> None:
    started = time.monotonic()
    with pytest.raises(errors.CallTimeout):
        ask(python(name), root, deadline=0.2)
    assert time.monotonic() - started < 1.0


def test_a_command_reads_json_and_writes_text(root: Path) -> None:
    echo = command(sys.executable, "-c", "import sys; print(sys.stdin.read())")
    assert json.loads(ask(echo, root).text.raw) == {"prompt": "hi", "vars": {"x": 1}}


def test_a_command_may_answer_with_an_object(root: Path) -> None:
    said = json.dumps({"output": {"a": 1}, "usage": {"output_tokens": 2}, "usd": "0.1"})
    response = ask(command("echo", said), root)
    assert response.text.raw == '{"a": 1}'
    assert response.usage.output_tokens == 2
    assert response.reported_usd == 100_000_000_000
    assert ask(command("echo", '{"a": 1}'), root).text.raw == '{"a": 1}'


def test_a_command_sees_no_key_unless_it_is_named(root: Path) -> None:
    environ = {"OPENAI_API_KEY": "sk-1", "DB_PASSWORD": "p", "NAMED_TOKEN": "t", "PLAIN": "y"}
    names = sorted(environ)
    script = f"import os; print(sorted(set(os.environ) & set({names})))"
    seen = ask(
        command(sys.executable, "-c", script, env=["NAMED_TOKEN"]), root, environ=environ
    ).text.raw
    assert seen == "['NAMED_TOKEN', 'PLAIN']"


@pytest.mark.parametrize(
    ("argv", "kind", "words"),
    [
        (("sh", "-c", "echo oops >&2; exit 3"), TargetFailed, "ended with code 3: oops"),
        (("sh", "-c", "kill -9 $$"), TargetFailed, "ended by signal 9"),
        (("no-such-program-here",), TargetFailed, "cannot run"),
        (("printf", r"\377"), TargetFailed, "not UTF-8"),
        (("echo", '{"output": 1, "cost": 2}'), TargetFailed, "unknown field 'cost'"),
        (("head", "-c", "9000000", "/dev/zero"), errors.ReplyTooLarge, "more than"),
        (("sleep", "30"), errors.CallTimeout, "no answer within"),
    ],
)
def test_a_failing_command_is_a_value(
    root: Path, argv: tuple[str, ...], kind: type[errors.ModelCallError], words: str
) -> None:
    started = time.monotonic()
    with pytest.raises(kind, match=words):
        ask(command(*argv), root, deadline=0.5 if "sleep" in argv else 10)
    assert time.monotonic() - started < 5


def test_nothing_that_a_command_started_outlives_its_call(root: Path, tmp_path: Path) -> None:
    script = f"sleep 60 & echo $! > {tmp_path}/pid; wait"
    with pytest.raises(errors.CallTimeout):
        ask(command("sh", "-c", script), root, deadline=0.5)
    pid = int((tmp_path / "pid").read_text())
    ends_at = time.monotonic() + 5
    while time.monotonic() < ends_at:
        try:
            os.kill(pid, 0)
            if "\tZ" in Path(f"/proc/{pid}/status").read_text().split("State:")[1][:4]:
                return
        except (ProcessLookupError, FileNotFoundError):
            return
        time.sleep(0.02)
    pytest.fail("the grandchild lives on")


@pytest.fixture(scope="module")
def server() -> Iterator[FaultServer]:
    with FaultServer(faults={**FAULTS, "plain": http(200, b"just text")}) as running:
        yield running


def web(server: FaultServer, fault: str, **spec: Json) -> Target:
    url = f"{server.url(fault)}/ask"
    return Target(label="bot", kind="http", spec={"http": {"url": url, **spec}})


def test_an_http_target_fills_its_body_once_and_finds_its_answer(
    server: FaultServer, root: Path
) -> None:
    target = web(
        server,
        "ok",
        body={"q": "Answer {{prompt}} for {{ who }}", "n": "{{n}}", "fixed": [1, None]},
        headers={"X-Kind": "eval"},
        output="choices[0].message.content",
        api_key_env="BOT_TOKEN",
    )
    row: dict[str, Json] = {"who": "{{n}}", "n": 3}
    response = ask(target, root, row=row, environ={"BOT_TOKEN": "t0ken"})
    assert response.text.raw == "ok"
    sent = json.loads(server.bodies["ok"])
    assert sent == {"q": "Answer hi for {{n}}", "n": 3, "fixed": [1, None]}
    assert "authorization: Bearer t0ken" in server.heads["ok"]
    assert "x-kind: eval" in server.heads["ok"]


def test_an_http_target_that_says_its_key_back_is_not_quoted(root: Path) -> None:
    with FaultServer(faults={"echo": http(200, b"my key is t0ken-0123456789")}) as running:
        target = web(running, "echo", api_key_env="BOT_TOKEN")
        response = ask(target, root, environ={"BOT_TOKEN": "t0ken-0123456789"})
    assert response.text.raw == "my key is [redacted]"


def test_an_http_target_without_paths_answers_with_its_body(
    server: FaultServer, root: Path
) -> None:
    assert ask(web(server, "plain"), root).text.raw == "just text"
    assert json.loads(server.bodies["plain"]) == {"prompt": "hi", "vars": {"x": 1}}
    assert json.loads(ask(web(server, "ok"), root).text.raw)["model"] == "served-1"


@pytest.mark.parametrize(
    ("fault", "spec", "kind", "words"),
    [
        ("429", {}, errors.RateLimited, "429"),
        ("503", {}, errors.ProviderUnavailable, "503"),
        ("302", {}, errors.RedirectRefused, "302"),
        ("hang", {}, errors.CallTimeout, "no complete reply"),
        ("gzip-bomb", {}, errors.ReplyTooLarge, "larger"),
        ("ok", {"output": "a.b"}, TargetFailed, "nothing at 'a.b'"),
        ("plain", {"output": "a"}, TargetFailed, "not answer with JSON"),
        ("ok", {"body": "{{nobody}}"}, TargetFailed, "no variable"),
        ("ok", {"bdy": 1}, TargetFailed, "'bdy'"),
        ("ok", {"api_key_env": "UNSET_TOKEN"}, errors.CredentialsRejected, "UNSET_TOKEN"),
        ("ok", {"usage": "choices"}, TargetFailed, "usage that cannot be read"),
    ],
)
def test_a_failing_http_target_is_a_value(
    server: FaultServer,
    root: Path,
    fault: str,
    spec: dict[str, Json],
    kind: type[errors.ModelCallError],
    words: str,
) -> None:
    with pytest.raises(kind, match=words):
        ask(web(server, fault, **spec), root, deadline=1 if fault == "hang" else 10)
    assert not server.trapped


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("a[0].b", 1),
        ("$.a.0.b", 1),
        ("a", [{"b": 1}]),
        ("a[1]", None),
        ("a.b", None),
        ("a b", None),
    ],
)
def test_a_path_leads_to_a_value_or_to_nothing(path: str, value: object) -> None:
    assert found_at({"a": [{"b": 1}]}, path) == value


def test_a_placeholder_alone_becomes_the_value() -> None:
    assert filled(["{{a}}", " {{a}}"], {"a": {"b": [1]}}) == [{"b": [1]}, ' {"b": [1]}']


def test_python_identity_is_its_package_and_its_lock_and_imports_nothing(tmp_path: Path) -> None:
    package = tmp_path / "unimportable_app"
    package.mkdir()
    (package / "__init__.py").write_text("raise SystemExit")
    (package / "data.txt").write_text("1")
    target = Target(label="t", kind="python", spec={"python": "unimportable_app.x:f"})
    seen: list[str] = []

    def named() -> str:
        identity, cacheable, files = identity_of(target, tmp_path)
        assert cacheable
        assert files
        return identity

    seen.append(named())
    assert named() == seen[0]
    for change in (
        lambda: (package / "data.txt").write_text("2"),
        lambda: (package / "new.py").write_text(""),
        lambda: (package / "new.py").rename(package / "newer.py"),
        lambda: (tmp_path / "uv.lock").write_text("locked"),
    ):
        change()
        seen.append(named())
    assert len(set(seen)) == len(seen)
    (package / "__pycache__").mkdir()
    (package / "__pycache__" / "x.pyc").write_bytes(b"1")
    (tmp_path / "unrelated.py").write_text("")
    assert named() == seen[-1]
    assert "unimportable_app" not in sys.modules


def test_watch_names_the_files_instead(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("1")
    (tmp_path / "b.txt").write_text("1")
    spec: dict[str, Json] = {"python": "anything:f", "watch": ["a*.txt"]}
    target = Target(label="t", kind="python", spec=spec)
    first = identity_of(target, tmp_path)
    assert first[2] == (tmp_path / "a.txt",)
    (tmp_path / "b.txt").write_text("2")
    assert identity_of(target, tmp_path) == first
    (tmp_path / "a.txt").write_text("2")
    assert identity_of(target, tmp_path)[0] != first[0]


@pytest.mark.parametrize(
    ("kind", "spec"), [("http", {"http": {"url": "http://x"}}), ("command", {"command": ["x"]})]
)
def test_others_are_kept_only_under_a_version(
    tmp_path: Path, kind: str, spec: dict[str, Json]
) -> None:
    def of(version: Json) -> tuple[str, bool]:
        target = Target(label="t", kind=kind, spec={**spec, "version": version})
        return identity_of(target, tmp_path)[:2]

    assert of(None)[1] is False
    assert of(1)[1] is True
    assert of(1)[0] != of(2)[0]


@pytest.mark.parametrize(
    "spec",
    [
        {"python": "no_such_package_at_all:f"},
        {"python": "nocolon"},
        {"python": "json:f", "watch": ["../*"]},
        {"python": "json:f", "watch": ["none-*.py"]},
        {"python": "json:f", "watch": [1]},
        {"python": "json:f", "watch": ["/etc/passwd"]},
    ],
)
def test_an_identity_that_cannot_be_had_is_a_configuration_error(
    tmp_path: Path, spec: dict[str, Json]
) -> None:
    with pytest.raises(ConfigError):
        identity_of(Target(label="t", kind="python", spec=spec), tmp_path)


@pytest.mark.parametrize(
    ("kind", "spec"), [("model", {}), ("command", {"command": []}), ("python", {"python": 1})]
)
def test_a_target_of_the_wrong_form_is_refused(kind: str, spec: dict[str, Json]) -> None:
    with pytest.raises(ConfigError, match="no application"):
        target_client(Target(label="t", kind=kind, spec=spec), root=Path())
