"""`tricenter epoch`: which centre each system is active at, as the registers of the vaults hold it."""

from __future__ import annotations

import json
import sys
from secrets import token_hex
from typing import TYPE_CHECKING

import click

from orchestrator.catalogue.epochs import adopt as go_by
from orchestrator.epoch.raising import establish
from orchestrator.epoch.registers import Registers, consistent
from orchestrator.epoch.showing import as_document, look, show
from orchestrator.errors import CheckFailed, PartlyDone, Refused, Unreachable
from policies.epoch import State
from policies.epoch_protocol import heal as healing

if TYPE_CHECKING:
    from orchestrator.app import App

_output = click.option("--output", type=click.Choice(["table", "json"]), default="table", show_default=True)


@click.group()
def epoch() -> None:
    """纪元：哪个中心在运行哪些系统 which centre each system is active at, and who is fenced."""


@epoch.command("show")
@_output
@click.pass_obj
def show_epoch(app: App, output: str) -> int:
    """各中心登记册的内容 what every register holds, reachable or not, and what is contested.

    Exit code 4 when epochs are contested, in doubt, or this orchestrator is fenced; 6 when no register answers.
    """
    seen = look(app)
    if output == "json":
        click.echo(json.dumps(as_document(seen), ensure_ascii=False, indent=2))
    else:
        show(app.console, seen)
    if all(each.error for each in seen.registers):
        return Unreachable.exit_code
    return CheckFailed.exit_code if seen.state.contested or seen.state.doubtful or seen.stale else 0


@epoch.command("heal")
@_output
@click.pass_obj
def heal(app: App, output: str) -> int:
    """补齐登记册 make registers that are missing, and bring all of them to what any of them knows. May be repeated.

    Settles votes that came to nothing, when all centres answer. Exit code 3 when some do not.
    """
    registers = Registers(app.registers)
    made = establish(app, registers)
    steps = healing(registers.members, f"heal-{token_hex(6)}")
    state, written = consistent(lambda: registers.drive(steps))
    silent = {name: str(error) for name, error in registers.silent.items()}
    if output == "json":
        told = {"epoch": state.epoch, "made": list(made), "written": list(written), "silent": silent}
        click.echo(json.dumps(told, ensure_ascii=False, indent=2))
    else:
        done = ", ".join(written) or "—"
        app.console.print(f"纪元 epoch {state.epoch}  新建 made: {', '.join(made) or '—'}  已补齐 written: {done}")
        for name, error in silent.items():
            app.console.print(f"[red]✗[/] {name}  {error}", soft_wrap=True)
    if len(silent) == len(registers.members):
        return Unreachable.exit_code
    return PartlyDone.exit_code if silent else 0


@epoch.command("adopt")
@click.option("--yes", is_flag=True, help="不询问 do not ask")
@click.pass_obj
def adopt(app: App, yes: bool) -> None:
    """采用登记册的纪元 go by what the registers say, from an orchestrator that kept no centre's data.

    The old centre's own orchestrator comes back by `tricenter rejoin`, which first saves what it has.
    """
    seen = look(app)
    if not seen.stale and seen.local_epoch == seen.state.epoch:
        app.console.print(f"纪元 epoch {seen.state.epoch}: 已是最新 nothing to adopt")
        return
    _must_be_clear(seen.state)
    if not yes:
        show(app.progress_console, seen)
        if not sys.stdin.isatty():
            raise Refused("nobody is there to confirm", hint="look at tricenter epoch show, then add --yes")
        if not click.confirm("采用? go by it?", err=True):
            raise Refused("not confirmed: nothing was done")
    fresh = go_by(app.catalogue, seen.state.decided)
    app.console.print(f"纪元 epoch {seen.state.epoch}  已采用 adopted: {', '.join(str(each.epoch) for each in fresh)}")


def _must_be_clear(state: State) -> None:
    if state.doubtful:
        raise Refused(
            f"epoch {state.doubtful[0].epoch} is in doubt: it cannot be told whether it was decided",
            hint="when all centres answer: tricenter epoch heal",
        )
