"""Rows of the database as values, and values as rows, where the two differ."""

from __future__ import annotations

from typing import Any

from sqlalchemy import RowMapping

from orchestrator.catalogue import tables as t
from orchestrator.catalogue.records import (
    AttemptRow,
    Cleanup,
    Outcome,
    Point,
    PointAt,
    RunRow,
    RunState,
    Settlement,
    SourceCopy,
    WorkerRow,
)
from policies.suspicion import Signal, Standing

LONGEST_ERROR_TYPE = 60


def as_run(row: RowMapping) -> RunRow:
    return RunRow(**{**dict(row), "state": RunState(row["state"]), "slots": tuple(row["slots"])})


def as_worker(row: RowMapping) -> WorkerRow:
    return WorkerRow(**row)


def as_attempt(row: RowMapping) -> AttemptRow:
    return AttemptRow(**{**dict(row), "outcome": Outcome(row["outcome"])})


def as_cleanup(row: RowMapping) -> Cleanup:
    return Cleanup(**{key: value for key, value in row.items() if key != "done_at"})


def as_point(row: RowMapping) -> Point:
    values = {c.name: row[c.name] for c in t.points.c}
    sources = tuple(SourceCopy.from_json(each) for each in values["sources"])
    suspicion = tuple(Signal.from_json(each) for each in values["suspicion"] or ())
    bypassed = tuple(values["bypassed"] or ())
    return Point(**{**values, "sources": sources, "suspicion": suspicion, "bypassed": bypassed})


def as_point_at(row: RowMapping) -> PointAt:
    return PointAt(as_point(row), row["centre"], row["landed_at"], row["proved_at"], as_settlement(row))


def as_settlement(row: RowMapping) -> Settlement | None:
    """Return what was said of a point; None where the row has nothing of the kind."""
    if row["verdict"] is None:
        return None
    verdict = Standing(row["verdict"])
    return Settlement(row["point_id"], verdict, row["reason"], row["settled_by"], row["settled_at"])


def error_columns(error: BaseException | None) -> dict[str, str | None]:
    """Return what attempts and runs keep of an error: its type's name and its message."""
    if error is None:
        return {"error_type": None, "error": None}
    return {"error_type": type(error).__name__[:LONGEST_ERROR_TYPE], "error": str(error)}


def end_columns(error: BaseException | None) -> dict[str, Any]:
    """Return what a run keeps of the error that it ended with: also the hint and the exit code."""
    code = None if error is None else int(getattr(error, "exit_code", 1))
    return {**error_columns(error), "hint": getattr(error, "hint", None) or None, "exit_code": code}
