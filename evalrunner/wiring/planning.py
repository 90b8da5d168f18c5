"""One plan, from the flags to the exit code: a run up to where it would ask, without writing anything."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import replace

from evalrunner.adapters.prices import ConfiguredPrices
from evalrunner.engine.accounts import Accounts
from evalrunner.engine.case import EvalCase
from evalrunner.engine.garbage import seldom_collected
from evalrunner.engine.plan import plan_cases
from evalrunner.suite.load import require_good_rows
from evalrunner.values.kept import KeptRows
from evalrunner.values.plan import PlanReport
from evalrunner.wiring.command import Command
from evalrunner.wiring.loading import load
from evalrunner.wiring.opening import Opened, open_run
from evalrunner.wiring.past_runs import failed_in, load_run
from evalrunner.wiring.reuse import Reuse, find_reuse
from evalrunner.wiring.setup import reader_for, setup_for
from evalrunner.wiring.suites import Assembly
from evalrunner.wiring.user_code import function_finder, refusing_loader


@seldom_collected()
def plan_command(command: Command) -> PlanReport:
    """What a run of this command would find, ask and cost.

    Neither a model, an application nor a line of the user's code is run, and nothing is made or
    changed.

    Raises:
        EvalRunnerError: What the user wrote or typed cannot be used.
    """
    project, suites = load(command, with_code=False)
    reuse = find_reuse(_as_run(command), project, suites)
    if reuse is None:
        require_good_rows(suites)
    with ExitStack() as stack:
        opened = open_run(command, project, suites, stack, look_only=True)
        assembly = _assembly(command, opened)
        changed = reuse.cases(assembly) if reuse and opened.store else None
        if reuse and changed is None:
            reuse = None
            require_good_rows(suites)
        return _plan(command, opened, assembly, reuse, changed)


def _as_run(command: Command) -> Command:
    """The run that is planned: its record says which rows have not changed."""
    words = [word for word in command.argv[1:] if word != "--json"]
    return replace(command, argv=("run", *words))


def _plan(
    command: Command,
    opened: Opened,
    assembly: Assembly,
    reuse: Reuse | None,
    changed: list[EvalCase] | None,
) -> PlanReport:
    only = failed_in(load_run("last", opened.state)) if command.only_failed else None
    cases = changed
    if cases is None:
        cases = assembly.cases(opened.loaded, command.selection(only))
    kept: KeptRows | None = reuse.kept if reuse else None
    accounts = Accounts(
        ConfiguredPrices(at=opened.started), assembly.endpoints, reuse.answers if reuse else ()
    )
    reader = reader_for(command, opened, accounts)
    setup = setup_for(
        command, opened, assembly, cases, reader=reader, accounts=accounts, with_code=False
    )
    return plan_cases(replace(setup, kept=kept, unseen=True))


def _assembly(command: Command, opened: Opened) -> Assembly:
    root = opened.project.root
    return Assembly(
        project=opened.project,
        state_dir=opened.state.path if opened.state.path.is_dir() else None,
        draws=command.repeat,
        variables=dict(command.variables),
        load=lambda suite: (
            refusing_loader
            if command.safe
            else function_finder(root, folder=(root / suite.path).parent)
        ),
        plugins_absent=bool(opened.project.plugins),
    )
