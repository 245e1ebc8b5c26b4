"""What a recovery point is taken for, as a condition of a query."""

from __future__ import annotations

from sqlalchemy import ColumnElement, case, func, null, select

from orchestrator.catalogue import tables as t
from policies.suspicion import Standing


def standing() -> ColumnElement[str]:
    """What the point of the row is taken for: the last word on it, else what its signals say."""
    word = select(t.settlements.c.verdict).where(t.settlements.c.point_id == t.points.c.id)
    signals = case((t.points.c.suspicion.is_(null()), str(Standing.GOOD)), else_=str(Standing.SUSPECT))
    return func.coalesce(word.correlate(t.points).scalar_subquery(), signals)


def is_good() -> ColumnElement[bool]:
    return standing() == str(Standing.GOOD)


def is_suspect() -> ColumnElement[bool]:
    return t.points.c.suspicion.is_not(null()) & (standing() == str(Standing.SUSPECT))
