"""RPO compliance as an objective with an error budget, and alerts on how fast the budget burns.

The city promises that each system's exposure is within its RPO for a share of the time. What may be missed is the
budget of 30 days. An alert looks at a long window, so that it is not about a moment, and at a short one, so that it
ends when the trouble does: the pairs and factors are those of the SRE Workbook, chapter 5, "Alerting on SLOs".
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

from exporters.rules.rule import Alert, Group, Recording, Severity

#: The share of the time that an RPO is kept. The budget of 30 days is then 7 hours and 12 minutes.
TARGET = 0.99
MISSED = "tricenter:rpo_missed:bool"


@dataclass(frozen=True, slots=True)
class Burn:
    """`factor` times the speed that would use the budget of 30 days up in 30 days."""

    factor: float
    long: str
    short: str
    severity: Severity
    used: str


BURNS = (
    Burn(14.4, "1h", "5m", "critical", "2%"),
    Burn(6, "6h", "30m", "critical", "5%"),
    Burn(3, "1d", "2h", "warning", "10%"),
    Burn(1, "3d", "6h", "warning", "10%"),
)
#: Long windows move slowly, and a look at them costs: they are looked at every five minutes.
SLOW = ("1d", "3d")


def burn_groups(target: float) -> tuple[Group, ...]:
    """Return the recordings and alerts of a promise to keep RPOs for this share of the time."""
    windows = sorted({each for burn in BURNS for each in (burn.long, burn.short)})
    quick = [Recording(f"tricenter:rpo_missed:avg{each}", _average(each)) for each in windows if each not in SLOW]
    slow = [Recording(f"tricenter:rpo_missed:avg{each}", _average(each)) for each in (*SLOW, "7d", "30d")]
    missed = Recording(MISSED, "tricenter_rpo_actual_seconds > bool tricenter_rpo_objective_seconds")
    return (
        Group("tricenter-rpo", timedelta(minutes=1), (missed, *quick)),
        Group("tricenter-rpo-slow", timedelta(minutes=5), tuple(slow)),
        Group("tricenter-rpo-burn", timedelta(minutes=1), alerts=tuple(_alert(each, target) for each in BURNS)),
    )


def _average(window: str) -> str:
    return f"avg_over_time({MISSED}[{window}])"


def _alert(burn: Burn, target: float) -> Alert:
    limit = f"{burn.factor * (1 - target):.6g}"
    long, short = f"tricenter:rpo_missed:avg{burn.long}", f"tricenter:rpo_missed:avg{burn.short}"
    return Alert(
        name=f"TricenterRpoBurn{burn.long}",
        # What a vault that was away has burnt is no second page, also while the short window still remembers it.
        expression=f"{long} > {limit}\nand\n{short} > {limit}\nunless on (job, instance, centre) "
        f"(max_over_time(tricenter_vault_unreachable[{burn.short}]) == 1)",
        severity=burn.severity,
        summary="{{ $labels.tenant }}/{{ $labels.system }} · {{ $labels.centre }}: RPO 达标预算消耗过快 "
        f"burns its RPO budget {burn.factor:g} times too fast",
        description=(
            f"近 {burn.long} 有 {{{{ $value | humanizePercentage }}}} 的时间超出 RPO，已用去 30 天预算的 "
            f"{burn.used} 以上。 Exposure was beyond the RPO for {{{{ $value | humanizePercentage }}}} of "
            f"the last {burn.long}: more than {burn.used} of the budget of 30 days is used up."
        ),
        runbook="rpo-burn",
        follows="vault",
    )
