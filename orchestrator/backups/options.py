"""The options that the commands of this room share."""

from __future__ import annotations

from datetime import datetime

import click

from orchestrator.catalogue.database import now
from orchestrator.errors import InvalidInput
from policies.moments import BadMoment, parse_moment
from policies.site import Site
from policies.windows import zone

output_option = click.option(
    "--output", type=click.Choice(["table", "json"]), default="table", show_default=True, help="输出格式 output format"
)
jobs_option = click.option(
    "--jobs", type=click.IntRange(1, 16), default=2, show_default=True, help="同时处理的系统数 systems at a time"
)
due_option = click.option("--due", is_flag=True, help="只做已到期的 only what is due now, for cron and timers")
dry_run_option = click.option("--dry-run", is_flag=True, help="只检查并说明，不做 check and say what would be done")
point_option = click.option("--point", help="恢复点，缺省为最新 the recovery point; the newest when not given")
at_option = click.option(
    "--at",
    metavar="TIME",
    help="该时刻或之前最新的恢复点 the newest of then or before: 2026-11-23 18:00, 昨天 18:00, yesterday 18:00, 2h ago",
)


def moment_of(site: Site, at: str | None) -> datetime | None:
    """Return the moment that --at names, in the site's time. Raises InvalidInput."""
    try:
        return None if at is None else parse_moment(at, now(), zone(site.timezone))
    except BadMoment as error:
        raise InvalidInput(f"--at: {error}", hint=f"times are those of the site's zone, {site.timezone}") from None
