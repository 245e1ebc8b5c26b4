"""The command line: finds a command's room by name, and turns errors into messages and exit codes.

Nothing but click is imported here. A room is loaded when one of its commands runs, so `tricenter --help` is quick.
Exit codes: 0 done · 1 unexpected · 2 usage or configuration · 3 done in part · 4 objective missed or check failed
· 5 refused · 6 a centre or service is unreachable · 130 interrupted.
"""

from __future__ import annotations

import logging
import os
import signal
import sys
from pathlib import Path
from types import FrameType
from typing import NamedTuple

import click

from orchestrator.app import App
from orchestrator.errors import Interrupted
from orchestrator.lazy import LazyGroup


class Room(NamedTuple):
    """Where a command lives, and its line in the help: read here so that the help loads no room."""

    attribute: str
    help: str


COMMANDS = {
    "init": Room("orchestrator.sites.commands:init", "写出带注释的起步站点 write a commented starter site"),
    "validate": Room("orchestrator.sites.commands:validate", "校验站点文件夹 check a site folder, all faults at once"),
    "schema": Room("orchestrator.sites.commands:schema", "站点文件的 JSON Schema for editors"),
    "lab": Room("orchestrator.lab.commands:lab", "本机三中心实验室 three real centres on one machine"),
    "tenant": Room("orchestrator.tenants.commands:tenant", "委办局租户 provision tenants on the clouds"),
    "backup": Room("orchestrator.backups.commands:backup", "备份与恢复 back up, list and restore systems"),
    "archive": Room("orchestrator.archive.commands:archive", "PostgreSQL 连续归档 archiving, recovery to any moment"),
    "replicate": Room("orchestrator.backups.commands:replicate", "复制到异地 copy recovery points to the far centre"),
    "schedule": Room("orchestrator.schedule.commands:schedule", "定时任务 what is done next by itself, and why"),
    "vault": Room("orchestrator.backups.lock_commands:vault", "保险库 object locks; bring back what was deleted"),
    "restic": Room("orchestrator.vault.commands:restic", "直接运行 restic plain restic on one repository"),
    "drill": Room("drills.commands:drill", "灾备演练 rehearse recovery and measure RPO and RTO"),
    "plan": Room("drills.plans.commands:plan", "恢复预案 recovery plans: write, show, are they ready"),
    "epoch": Room("orchestrator.epoch.commands:epoch", "纪元 which centre each system is active at, and who is fenced"),
    "rejoin": Room("drills.rejoin_commands:rejoin", "原中心归队 bring an old centre back, its data in quarantine"),
    "quarantine": Room("drills.rejoin_commands:quarantine", "隔离的数据 what old centres had when they returned"),
    "calendar": Room(
        "orchestrator.schedule.calendar_commands:calendar", "演练日历 the calendar of drills, the annual plan"
    ),
    "finding": Room("drills.finding_commands:finding", "整改 what drills found wrong, until it is right"),
    "audit": Room("orchestrator.catalogue.audit_commands:audit_", "审计链 the audit chain: show it, check it"),
    "grade": Room("orchestrator.catalogue.grade_command:grade_", "等级核对 the elements of GB/T 20988"),
    "status": Room("orchestrator.server.commands:status", "RPO/RTO 看板 the board: objectives and what was reached"),
    "scenario": Room("orchestrator.server.scenario_command:scenario", "灾损测算 what is lost if centres are lost now"),
    "notify": Room("orchestrator.notify.commands:notify", "通知 what people are told, and whether it reached them"),
    "metrics": Room("orchestrator.server.metrics_commands:metrics", "指标 without a server: a textfile, a Pushgateway"),
    "serve": Room("orchestrator.server.serving:serve", "服务 the engine, the schedule, the API and /metrics"),
    "monitoring": Room("exporters.commands:monitoring", "监控 rules for Prometheus, dashboards for Grafana"),
    "worker": Room("orchestrator.server.serving:worker", "执行者 the engine alone, any number on PostgreSQL"),
    "run": Room("orchestrator.server.run_commands:run", "任务 list, follow, start, abort and approve runs"),
    "escrow": Room("orchestrator.escrow.commands:escrow", "托管 rescue bundles, and the shares that open them"),
    "key": Room("orchestrator.escrow.key_commands:key", "口令 the passwords of repositories: check, rotate"),
    "rescue": Room("orchestrator.escrow.rescue_commands:rescue", "救援 begin again from one vault and the shares"),
    "catalogue": Room("orchestrator.backups.rebuild_commands:catalogue", "目录库 read points back from a vault"),
    "db": Room("orchestrator.catalogue.commands:db", "目录数据库 the database: its version, and upgrading it"),
}


class Rooms(LazyGroup):
    """The commands of all rooms. Their help is read here, and loads none of them."""

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("命令 Commands"):
            formatter.write_dl([(name, room.help) for name, room in COMMANDS.items()])


@click.command(
    cls=Rooms,
    where={name: room.attribute for name, room in COMMANDS.items()},
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110},
)
@click.option(
    "--site",
    type=click.Path(path_type=Path, file_okay=False),
    envvar="TRICENTER_SITE",
    show_envvar=True,
    help="站点文件夹 the site folder",
)
@click.option(
    "--overlay",
    type=click.Path(path_type=Path, dir_okay=False),
    envvar="TRICENTER_OVERLAY",
    show_envvar=True,
    help="叠加文件 a YAML file merged over the site, e.g. the lab's",
)
@click.option("--debug", is_flag=True, help="出错时显示堆栈 show tracebacks and debug lines")
@click.version_option(package_name="tricenter")
@click.pass_context
def cli(ctx: click.Context, site: Path | None, overlay: Path | None, debug: bool) -> None:
    """两地三中心：政务云租户、备份、容灾演练与 RPO/RTO。

    Tenants, backups, recovery drills and measured RPO/RTO for a city cloud of two sites and three centres.
    """
    logging.basicConfig(level=logging.DEBUG if debug else logging.WARNING, format="%(levelname)s %(name)s: %(message)s")
    ctx.obj = App(site, overlay, debug=debug)
    ctx.call_on_close(ctx.obj.tell_of_runs)


def main() -> None:
    """Run the command line and end the process with the exit code that says how it went."""
    # Also where a shell started us in the background and had SIGINT ignored: who sends it wants us to stop, and our
    # children, which inherit what is ignored, must hear it as well.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, _interrupt)
    sys.exit(run(sys.argv[1:]))


def run(arguments: list[str]) -> int:
    """Run one command and return its exit code; errors are written to stderr."""
    try:
        result = cli.main(arguments, prog_name="tricenter", standalone_mode=False)
        sys.stdout.flush()
    except click.ClickException as error:
        error.show()
        return error.exit_code
    except (KeyboardInterrupt, click.Abort):
        return _explain(Interrupted("中断 interrupted", hint="what was done is kept; run the same command again"))
    except BrokenPipeError:
        # The reader of our output has gone (`| head`); a second complaint at exit would help nobody.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except Exception as error:  # noqa: BLE001  # the last place where an error can become a message
        return _explain(error)
    return result if isinstance(result, int) else 0


def _interrupt(number: int, frame: FrameType | None) -> None:
    raise KeyboardInterrupt


def _explain(error: Exception) -> int:
    code = int(getattr(error, "exit_code", 1))
    what = str(error) if hasattr(error, "exit_code") else f"{type(error).__name__}: {error}"
    click.echo(click.style("错误 error: ", fg="red", bold=True) + what, err=True)
    hint = getattr(error, "hint", "") or ("run it again with --debug to see where" if code == 1 else "")
    if hint:
        click.echo(click.style("下一步 next: ", fg="yellow") + hint, err=True)
    if "--debug" in sys.argv:
        raise error
    return code
