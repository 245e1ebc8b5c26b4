"""The options that the commands of this room share."""

from __future__ import annotations

import click

output_option = click.option(
    "--output", type=click.Choice(["table", "json"]), default="table", show_default=True, help="输出格式 output format"
)
jobs_option = click.option(
    "--jobs", type=click.IntRange(1, 16), default=2, show_default=True, help="同时处理的系统数 systems at a time"
)
due_option = click.option("--due", is_flag=True, help="只做已到期的 only what is due now, for cron and timers")
dry_run_option = click.option("--dry-run", is_flag=True, help="只检查并说明，不做 check and say what would be done")
