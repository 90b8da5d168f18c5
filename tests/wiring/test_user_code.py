"""Python checks of a suite: found beside it, run once, looked at without an import."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from tempfile import gettempdir

import pytest

from evalrunner.cli.app import entry
from evalrunner.errors import ConfigError
from evalrunner.testing import FakeProvider
from evalrunner.wiring.user_code import (
    function_finder,
    function_loader,
    import_plugins,
    require_callable,
)
from tests.cli.project import echo, make_project


@pytest.fixture(autouse=True)
def _modules_are_forgotten(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    # In place: the interpreter itself never looks into another dict than its own.
    before = set(sys.modules)
    monkeypatch.setattr(sys, "path", list(sys.path))
    yield
    for name in set(sys.modules) - before:
        if str(getattr(sys.modules[name], "__file__", None) or "").startswith(gettempdir()):
            del sys.modules[name]


def test_a_python_check_decides(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with FakeProvider(echo) as provider:
        project = make_project(tmp_path, provider)
        project.write(
            "suites/words.py",
            "from own import LONG\ndef short(output, context):\n    return len(output) < LONG\n",
        )
        project.write("own.py", "LONG = 8\n")
        suite = (tmp_path / "suites/greet.yaml").read_text()
        check = "  - {type: python, value: 'file://words.py:short'}\n"
        project.write("suites/greet.yaml", suite + check)
        assert entry(["validate"]) == 0
        assert project.run("-o", "run.json") == 1
    outcomes = {case["id"]: case["outcome"] for case in project.document()["cases"]}
    assert outcomes == {"greet/one": "passed", "greet/two": "passed", "greet/three": "failed"}


def test_a_plugin_brings_a_check(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("evalrunner.checks.registry._PLUGINS", {})
    with FakeProvider(echo) as provider:
        project = make_project(tmp_path, provider)
        config = (tmp_path / "evalrunner.yaml").read_text()
        project.write("evalrunner.yaml", config + "plugins: [own_checks]\n")
        project.write(
            "own_checks.py",
            "from evalrunner import check\n@check('loud')\n"
            "def loud(ctx):\n    return ctx.output.isupper()\n",
        )
        suite = (tmp_path / "suites/greet.yaml").read_text()
        project.write("suites/greet.yaml", suite + "  - {type: not-loud}\n")
        assert project.run() == 0


def test_a_file_is_executed_once(tmp_path: Path) -> None:
    (tmp_path / "c.py").write_text("calls = []\ncalls.append(1)\ndef f(): return len(calls)\n")
    first = function_loader(tmp_path)("c.py:f")
    assert function_loader(tmp_path, folder=tmp_path)("file://c.py:f") is first
    assert first() == 1


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("raise SystemExit(3)", "SystemExit: 3"),
        ("1/0", "ZeroDivisionError"),
        ("def g(: pass", "SyntaxError"),
        ("g = 1", "names no function"),
    ],
)
def test_what_goes_wrong_is_our_error(tmp_path: Path, text: str, said: str) -> None:
    (tmp_path / "c.py").write_text(text)
    with pytest.raises(ConfigError, match=said):
        function_loader(tmp_path)("c.py:f")


def test_nothing_outside_the_project_is_loaded(tmp_path: Path) -> None:
    root = tmp_path / "project"
    (root / "suites").mkdir(parents=True)
    (tmp_path / "c.py").write_text("def f(): ...\n")
    (root / "link.py").symlink_to(tmp_path / "c.py")
    for place in ("../c.py:f", "../../c.py:f", "link.py:f", f"{tmp_path}/c.py:f"):
        for make in (function_loader, function_finder):
            with pytest.raises(ConfigError, match="no file inside the project"):
                make(root, folder=root / "suites")(place)


def test_a_finder_runs_nothing(tmp_path: Path) -> None:
    (tmp_path / "c.py").write_text("raise SystemExit(9)\ndef f(): ...\nif True:\n    h = f\n")
    (tmp_path / "own").mkdir()
    find = function_finder(tmp_path)
    for reference in ("c.py:f", "c.py:h", "own.part:f", "json:loads"):
        with pytest.raises(ConfigError, match="not imported"):
            find(reference)()
    for reference, said in (("c.py:gone", "names no function"), ("gone.mod:f", "'gone'")):
        with pytest.raises(ConfigError, match=said):
            find(reference)


def test_a_plugin_that_fails_is_our_error(tmp_path: Path) -> None:
    (tmp_path / "bad_plugin.py").write_text("raise SystemExit('no')\n")
    for name, said in (("bad_plugin", "SystemExit: no"), ("gone_plugin", "cannot be imported")):
        with pytest.raises(ConfigError, match=said):
            import_plugins([name], root=tmp_path)


BOT = """
raise SystemExit("nobody imports me")
from json import loads
class Bot:
    def method(self): ...
if True:
    def answer(prompt, vars): ...
bot = Bot()
"""


@pytest.mark.parametrize(
    "reference",
    [
        "bot:answer",
        "bot:bot",
        "bot:Bot.method",
        "bot:loads",
        "any:x",
        "lazy:x",
        "json:loads",
        "gone:x",
    ],
)
def test_a_target_is_looked_for_without_running_a_line(tmp_path: Path, reference: str) -> None:
    (tmp_path / "bot.py").write_text(BOT)
    (tmp_path / "any.py").write_text("from os.path import *\n")
    (tmp_path / "src/lazy").mkdir(parents=True)
    (tmp_path / "src/lazy/__init__.py").write_text("def __getattr__(name): ...\n")
    require_callable(reference, tmp_path)


@pytest.mark.parametrize(
    ("reference", "said"),
    [
        ("bot:anwser", "'bot:anwser' names nothing to call"),
        ("bot:Bat.method", "names nothing to call"),
        ("app.bat:x", "the module 'app.bat' is not there"),
        ("broken:x", "'broken.py' cannot be read as Python"),
    ],
)
def test_a_target_that_is_not_there_is_found_before_the_run(
    tmp_path: Path, reference: str, said: str
) -> None:
    (tmp_path / "bot.py").write_text(BOT)
    (tmp_path / "broken.py").write_text("def x(:\n")
    (tmp_path / "app").mkdir()
    with pytest.raises(ConfigError) as caught:
        require_callable(reference, tmp_path)
    assert said in caught.value.message
