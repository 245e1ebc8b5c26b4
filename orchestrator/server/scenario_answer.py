"""The loss statement as plain JSON: ISO times, lengths in seconds, null for what nobody knows or what is not there."""

from __future__ import annotations

from dataclasses import asdict
from datetime import datetime, timedelta
from typing import Any

from orchestrator.catalogue.scenario import CentreLeft, Statement
from orchestrator.server.scenario_show import bureau_totals
from policies.scenarios import Choice, Outcome, Recovery, Totals, totals
from policies.site import Site


def as_json(statement: Statement, site: Site) -> dict[str, Any]:
    """Return everything that the statement says."""
    titles = {str(name): centre.title.model_dump() for name, centre in site.centres.items()}
    return {
        "site": site.site,
        "title": site.title.model_dump(),
        "read_at": statement.read_at.isoformat(),
        "at": statement.at.isoformat(),
        "lost_centres": [{"centre": centre, "title": titles[centre]} for centre in statement.lost],
        "left_centres": [{**_left(each, statement), "title": titles[each.centre]} for each in statement.left],
        "holds": statement.holds,
        "everything_lost": statement.no_vault_left and not statement.home_stands,
        "totals": _totals(totals(statement.outcomes), statement.at),
        "tenants": [
            {"tenant": tenant, "title": site.tenants[tenant].title.model_dump(), **_totals(each, statement.at)}
            for tenant, each in bureau_totals(statement).items()
        ],
        "systems": [_outcome(each, statement.at, site) for each in statement.outcomes],
    }


def _left(left: CentreLeft, statement: Statement) -> dict[str, Any]:
    here = [each for each in statement.outcomes if each.recovery and each.choice and each.choice.centre == left.centre]
    return {
        "centre": left.centre,
        "restores_data": left.has_vault,
        "runs_servers": left.has_cloud,
        "recoveries_at_once": left.room,
        "recoveries": len(here),
    }


def _totals(each: Totals, at: datetime) -> dict[str, Any]:
    plain = {key: value for key, value in asdict(each).items() if key not in ("worst_loss", "last_back")}
    return {
        **plain,
        "worst_loss_seconds": each.worst_loss.total_seconds(),
        "all_back_after_seconds": _seconds(each.last_back),
        "all_back_at": _after(at, each.last_back),
    }


def _outcome(outcome: Outcome, at: datetime, site: Site) -> dict[str, Any]:
    system = outcome.system
    ref = site.system(system.tenant, system.system)
    return {
        "tenant": system.tenant,
        "system": system.system,
        "title": ref.system.title.model_dump() if ref else None,
        "tier": system.tier,
        "known_since": system.known_since.isoformat(),
        "fate": outcome.fate,
        "holds": outcome.holds,
        "loss_seconds": outcome.loss.total_seconds(),
        "copy": _choice(outcome.choice) if outcome.choice else None,
        "alternatives": [_choice(each) for each in outcome.alternatives],
        "recovery": _recovery(outcome.recovery, at) if outcome.recovery else None,
    }


def _choice(choice: Choice) -> dict[str, Any]:
    copy = choice.copy
    return {
        "centre": copy.centre,
        "data_time": choice.data_time.isoformat(),
        "landed_at": copy.newest.landed_at.isoformat() if copy.newest else None,
        "size_bytes": copy.size_bytes,
        "loss_seconds": choice.loss.total_seconds(),
        "rpo_objective_seconds": copy.rpo.total_seconds(),
        "rpo": choice.rpo,
        "rto_objective_seconds": copy.rto.total_seconds(),
        "newest_is_proved": choice.proved_price == timedelta(0),
        "proved_data_time": copy.proved_data_time.isoformat() if copy.proved_data_time else None,
        "proved_price_seconds": _seconds(choice.proved_price),
        "open_findings": copy.faults,
        "last_drill_failed": copy.drill_failed,
    }


def _recovery(recovery: Recovery, at: datetime) -> dict[str, Any]:
    estimate, after = recovery.estimate, recovery.back_after
    return {
        "order": recovery.order,
        "waits_seconds": _seconds(recovery.waits),
        "takes_seconds": _seconds(estimate.takes),
        "basis": estimate.basis,
        "basis_drills": estimate.drills,
        "back_after_seconds": _seconds(after),
        "back_at": _after(at, after),
        "rto_objective_seconds": recovery.rto_objective.total_seconds(),
        "rto": recovery.rto,
    }


def _seconds(length: timedelta | None) -> float | None:
    return None if length is None else length.total_seconds()


def _after(at: datetime, length: timedelta | None) -> str | None:
    return None if length is None else (at + length).isoformat()
