"""`tricenter monitoring`: what a monitoring system is given of this program."""

from __future__ import annotations

import click

from exporters.dashboards.command import dashboards


@click.group()
def monitoring() -> None:
    """监控 What Prometheus and Grafana are given: written out as files."""


monitoring.add_command(dashboards)
