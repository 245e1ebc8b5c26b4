"""`tricenter monitoring`: what a monitoring system is given of this program."""

from __future__ import annotations

import click

from exporters.dashboards.command import dashboards
from exporters.rules.command import alerts, rules


@click.group()
def monitoring() -> None:
    """监控：规则、告警与看板 What Prometheus, Alertmanager and Grafana are given: written out as files."""


monitoring.add_command(rules)
monitoring.add_command(alerts)
monitoring.add_command(dashboards)
