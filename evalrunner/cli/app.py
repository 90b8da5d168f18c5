"""The command group: names, one-line helps, and what every error becomes."""

from __future__ import annotations

import importlib
from collections.abc import Sequence
from contextlib import suppress
from typing import Final

import click

from evalrunner.errors import EvalRunnerError, LoadError
from evalrunner.values.exit_code import ExitCode
from evalrunner.version import __version__

COMMANDS: Final = {
    "action": (
        "evalrunner.cli.action:action",
        "Run as a step of a GitHub workflow; action.yml calls it.",
    ),
    "cache": (
        "evalrunner.cli.cache:cache",
        "Look after the cache: stats, verify, prune, clear, export, import, similar.",
    ),
    "compare": (
        "evalrunner.cli.compare:compare",
        "Pair two runs by case: regressions, improvements, significance.",
    ),
    "doctor": ("evalrunner.cli.doctor:doctor", "Say what would be slow, unsafe or missing here."),
    "explain": (
        "evalrunner.cli.explain:explain",
        "Say why a case was asked again, or was not.",
    ),
    "gate": (
        "evalrunner.cli.gate:gate",
        "Judge what testing has cost beside production, without a run.",
    ),
    "init": (
        "evalrunner.cli.init:init",
        "Write a starter configuration, suite, golden file and workflow.",
    ),
    "ledger": (
        "evalrunner.cli.ledger:ledger",
        "Show, export and merge what evals have cost.",
    ),
    "plan": (
        "evalrunner.cli.plan:plan",
        "Say what a run would ask and cost, and whether it may begin; ask nobody.",
    ),
    "prices": (
        "evalrunner.cli.prices:prices",
        "Show what a model costs and who says so; compare price lists.",
    ),
    "report": (
        "evalrunner.cli.report:report",
        "Render a run document again, or merge those of shards.",
    ),
    "run": (
        "evalrunner.cli.run:run",
        "Run suites: plan, ask what is not cached, score, gate, report.",
    ),
    "schema": (
        "evalrunner.cli.schema:schema",
        "Print the JSON Schema of a file, for editors and programs.",
    ),
    "spend": (
        "evalrunner.cli.spend:spend",
        "Say what production has cost, by source and day: show, sync.",
    ),
    "validate": (
        "evalrunner.cli.validate:validate",
        "Load everything, call nothing, list every problem.",
    ),
}


class LazyGroup(click.Group):
    """A group that imports a command when it is called, not when it is listed."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """The names, in the order of the table."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The command itself, imported now."""
        if cmd_name not in COMMANDS:
            return None
        module, _, name = COMMANDS[cmd_name][0].partition(":")
        command: click.Command = getattr(importlib.import_module(module), name)
        return command

    def invoke(self, ctx: click.Context) -> object:
        """Runs a command; whoever stops reading what it prints (``| head``) ends it quietly."""
        try:
            return super().invoke(ctx)
        except BrokenPipeError:
            from evalrunner.wiring.publish import forget_stdout

            forget_stdout()
            return ExitCode.OK

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """The list of commands, from the table alone."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, text) for name, (_, text) in COMMANDS.items()])


@click.group(
    cls=LazyGroup,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    epilog="No telemetry, ever. Exit codes and files: docs/ in the repository.",
)
@click.version_option(__version__, "-V", "--version", message="evalrunner %(version)s")
def app() -> None:
    """Test prompts and LLM applications in CI without paying for the same answer twice."""


def entry(arguments: Sequence[str]) -> int:
    """Runs the command line and returns the exit code; nothing but a bug shows a traceback."""
    words = list(arguments) or ["--help"]
    try:
        result = app.main(args=words, prog_name="evalrunner", standalone_mode=False)
    except click.exceptions.Exit as stop:
        return stop.exit_code
    except click.ClickException as error:
        _say(_usage_line(error))
        return ExitCode.USAGE
    except (KeyboardInterrupt, click.Abort):
        _say("evalrunner: interrupted; what was answered is kept")
        return ExitCode.INTERRUPTED
    except EvalRunnerError as error:
        _say_error(error)
        return ExitCode.USAGE
    except Exception:  # noqa: BLE001  # the one place where a bug becomes a report
        _say(_bug_report(arguments))
        return ExitCode.INTERNAL
    if not arguments:
        return ExitCode.USAGE
    return int(result) if isinstance(result, int) else ExitCode.OK


def _usage_line(error: click.ClickException) -> str:
    command = (
        error.ctx.command_path
        if isinstance(error, click.UsageError) and error.ctx
        else "evalrunner"
    )
    if isinstance(error, click.BadParameter):
        error.param_hint = _variable(error) or error.param_hint
    return f"{command}: {_flat(error.format_message())} (see '{command} --help')"


def _variable(error: click.BadParameter) -> str | None:
    """The environment variable that gave the value, where none of the command line did."""
    context, option = error.ctx, error.param
    if context is None or option is None or not option.name or not isinstance(option.envvar, str):
        return None
    source = context.get_parameter_source(option.name)
    return repr(option.envvar) if source is click.core.ParameterSource.ENVIRONMENT else None


def _say_error(error: EvalRunnerError) -> None:
    if isinstance(error, LoadError):
        for problem in error.problems:
            _say(_flat(str(problem)))
        count = len(error.problems)
        _say(f"evalrunner: {count} problem{'s' if count != 1 else ''}; nothing was run")
        return
    _say(f"evalrunner: {_flat(error.message)}" + (f"; {_flat(error.hint)}" if error.hint else ""))


def _flat(text: str) -> str:
    return " ".join(text.split())


def _bug_report(arguments: Sequence[str]) -> str:
    import platform
    import traceback

    from evalrunner.adapters.credentials import KeyRing

    report = (
        "evalrunner: this is a bug. Please paste what follows into an issue:",
        f"  evalrunner {__version__}, Python {platform.python_version()}, {platform.platform()}",
        f"  arguments: {list(arguments)!r}",
        traceback.format_exc(),
    )
    return KeyRing().redact("\n".join(report))


def _say(text: str) -> None:
    """A line for people, with nothing in it that steers their terminal or their CI runner."""
    from evalrunner.reports.safe_text import for_log

    with suppress(BrokenPipeError):
        click.echo(for_log(text), err=True)
