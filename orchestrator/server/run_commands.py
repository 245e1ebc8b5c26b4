"""`tricenter run`: the runs of a server, listed, followed, asked for, aborted, retried and approved."""

from __future__ import annotations

import json
import os
import shlex
import sys
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import click

from orchestrator.catalogue.records import RunState
from orchestrator.errors import Refused
from orchestrator.person import login_name, same_person
from orchestrator.server.client import Client, connect, quoted
from orchestrator.server.run_show import show_plan, show_run, show_runs, state
from orchestrator.server.run_watch import watch as follow

if TYPE_CHECKING:
    from orchestrator.app import App

CODE_VARIABLE = "TRICENTER_APPROVAL_CODE"

_output = click.option("--output", type=click.Choice(["table", "json"]), default="table", show_default=True)
_yes = click.option("--yes", is_flag=True, help="不询问 do not ask")
_why = click.option("--reason", default="", help="原因 why; it is recorded with the run")
_watch = click.option("--watch", is_flag=True, help="跟随到结束 follow it to its end")


@click.group()
def run() -> None:
    """任务：查看、跟随、发起、中止、重试、批准 list, follow, start, abort, retry and approve runs.

    Speaks with the server of this site: TRICENTER_SERVER (http://127.0.0.1:15090 when not given) with the token in its
    state folder, or in the file that TRICENTER_API_TOKEN_FILE names. Start one with `tricenter serve`.
    """


@run.command(name="list")
@click.option(
    "--state",
    "states",
    type=click.Choice([each.value for each in RunState]),
    multiple=True,
    help="状态 may be repeated",
)
@click.option("--flow", help="流程 backup, replicate, …")
@click.option("--subject", help="对象 such as TENANT/SYSTEM")
@click.option("--limit", type=click.IntRange(1, 500), default=50, show_default=True, help="最多几个 how many")
@click.option("--before", metavar="RUN", help="更早的 older ones than this run")
@_output
@click.pass_obj
def list_(
    app: App,
    states: tuple[str, ...],
    flow: str | None,
    subject: str | None,
    limit: int,
    before: str | None,
    output: str,
) -> None:
    """任务列表 list runs, the last asked for first."""
    answered = _client(app).get("runs", state=states, flow=flow, subject=subject, limit=limit, before=before)
    if output == "json":
        _print_json(answered["runs"])
    else:
        show_runs(app.console, answered["runs"], answered["now"])


@run.command()
@click.argument("name", metavar="RUN")
@_output
@click.pass_obj
def show(app: App, name: str, output: str) -> None:
    """任务详情 show a run: what was asked for, how it is, and what it did."""
    answered = _client(app).get(f"runs/{quoted(name)}")
    if output == "json":
        _print_json(answered)
    else:
        show_run(app.console, answered)


@run.command()
@click.argument("name", metavar="RUN")
@_output
@click.pass_obj
def watch(app: App, name: str, output: str) -> int:
    """跟随任务 follow a run live, and end with its exit code.

    ctrl-C ends the watching and not the run. A server that is started anew is waited for. With --output json each event
    is a line.
    """
    return follow(_client(app), name, app.console, output)


@run.command()
@click.argument("flow")
@click.argument("arguments", metavar="KEY=VALUE…", nargs=-1)
@_why
@_watch
@_output
@click.pass_obj
def start(app: App, flow: str, arguments: tuple[str, ...], reason: str, watch: bool, output: str) -> int:
    """发起任务 ask for a run: `run start backup system=TENANT/SYSTEM`.

    It goes before whatever the schedule asked for, and waits its turn under the site's limits.
    """
    sent = {"flow": flow, "arguments": _pairs(arguments), "reason": reason}
    return _asked(app, lambda client: client.post("runs", sent), watch, output)


@run.command()
@click.argument("name", metavar="RUN")
@_why
@_watch
@_output
@click.pass_obj
def retry(app: App, name: str, reason: str, watch: bool, output: str) -> int:
    """重试 ask for a new run with the flow and arguments of one that has ended."""
    sent = {"reason": reason} if reason else {}
    return _asked(app, lambda client: client.post(f"runs/{quoted(name)}/retry", sent), watch, output)


@run.command()
@click.argument("name", metavar="RUN")
@_yes
@_output
@click.pass_obj
def abort(app: App, name: str, yes: bool, output: str) -> None:
    """中止任务 abort a run: it stops what it is doing, and takes away what it had made for the time being."""
    client = _client(app)
    if not yes:
        _introduce(app, client.get(f"runs/{quoted(name)}")["run"])
        click.echo("停下正在做的事，并清理已建之物 it stops what it is doing and takes away what it had made", err=True)
        _confirm("中止? abort it?", "look at the run, then add --yes")
    ended = client.post(f"runs/{quoted(name)}/abort", {})["run"]
    if output == "json":
        _print_json(ended)
    else:
        app.console.print(f"{ended['id']}  {state(ended)}")


@run.command()
@click.argument("name", metavar="RUN")
@click.option("--topic", help="等待的事项 what it waits for, when that is to be named")
@click.option("--message", default="", help="附言 words that are kept with the approval")
@click.option("--code", "ask_code", is_flag=True, help="输入动态口令 ask for the code of a second factor")
@_yes
@_output
@click.pass_obj
def approve(app: App, name: str, topic: str | None, message: str, ask_code: bool, yes: bool, output: str) -> None:
    """批准 let a run go on that waits for it. Whoever asked for the run cannot.

    What is approved is what it asks for now: when that changes, the approval counts for nothing. Where the site wants a
    second factor, --code asks for it, or takes it from TRICENTER_APPROVAL_CODE.
    """
    client = _client(app)
    answered = client.get(f"runs/{quoted(name)}")
    waiting = answered["run"]
    if waiting["state"] != "waiting":
        raise Refused(f"run {name} waits for nothing: it is {waiting['state']}", hint=f"tricenter run show {name}")
    if same_person(login_name(), waiting["requested_by"]):
        raise Refused(
            f"{waiting['requested_by']} asked for run {name} and cannot approve it as well",
            hint="another person must approve it",
        )
    if not yes:
        _introduce(app, waiting)
        show_plan(app.console, answered["attempts"])
        _confirm(f"批准 {waiting['waiting_for']}? approve it?", "look at the run, then add --yes")
    sent = {"topic": topic or waiting["waiting_for"], "message": message}
    if ask_code:
        sent["code"] = os.environ.get(CODE_VARIABLE) or click.prompt("动态口令 code", hide_input=True, err=True)
    told = client.post(f"runs/{quoted(name)}/approve", sent)["run"]
    if output == "json":
        _print_json(told)
    else:
        app.console.print(f"{name}  [green]已批准 approved[/]  {sent['topic']}")


# --- between them


def _client(app: App) -> Client:
    named = [] if os.environ.get("TRICENTER_SITE") or not app.site_folder else ["--site", str(app.site_folder)]
    return connect(lambda: app.secrets_folder, shlex.join(["tricenter", *named, "serve"]))


def _asked(app: App, ask: Callable[[Client], Any], watch: bool, output: str) -> int:
    client = _client(app)
    made = ask(client)["run"]
    if watch:
        app.progress_console.print(f"任务 run {made['id']}")
        return follow(client, made["id"], app.console, output)
    if output == "json":
        _print_json(made)
    else:
        app.console.print(f"{made['id']}  {state(made)}  [dim]tricenter run watch {made['id']}[/]", soft_wrap=True)
    return 0


def _pairs(words: tuple[str, ...]) -> dict[str, str]:
    pairs = {}
    for word in words:
        name, equals, value = word.partition("=")
        if not (name and equals):
            raise click.UsageError(f"{word!r} is no KEY=VALUE")
        if name in pairs:
            raise click.UsageError(f"{name} is given twice")
        pairs[name] = value
    return pairs


def _introduce(app: App, run: Mapping[str, Any]) -> None:
    arguments = " ".join(f"{name}={value}" for name, value in run["arguments"].items())
    app.progress_console.print(f"任务 run     {run['id']}  {state(run)}", soft_wrap=True)
    for name, value in (
        ("做什么 what ", f"{run['flow']} {run['subject']}  {arguments}"),
        ("谁 who     ", run["requested_by"]),
        ("原因 why   ", run["reason"]),
        ("等待 waits ", run["waiting_for"]),
    ):
        if value:
            app.progress_console.print(f"{name}  {value}", markup=False, soft_wrap=True)


def _confirm(question: str, hint: str) -> None:
    if not sys.stdin.isatty():
        raise Refused("nobody is there to confirm", hint=hint)
    if not click.confirm(question, err=True):
        raise Refused("not confirmed: nothing was done")


def _print_json(value: Any) -> None:
    click.echo(json.dumps(value, ensure_ascii=False, indent=2))
