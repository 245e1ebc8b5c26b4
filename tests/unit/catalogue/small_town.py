"""A small town: one bureau with one system, and a real catalogue to write its history into."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

from sqlalchemy import update

from orchestrator.catalogue import tables as t
from orchestrator.catalogue.board import Board, BoardRow, read_board
from orchestrator.catalogue.records import DrillRow, Point
from orchestrator.catalogue.store import Catalogue
from policies.load import load_site
from policies.site import Site
from policies.tiers import Tier

DALIAN = Path(__file__).parents[3] / "examples" / "dalian"
NOW = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
TENANT, SYSTEM = "natural-resources", "land-registry"


def ago(**length: float) -> datetime:
    return NOW - timedelta(**length)


def tier(**keep: str) -> Tier:
    copies = {
        centre: {"rpo": "1h", "rto": "4h", "retention": {"keep_within": keep.get("keep", "90d"), "lock": "0s"}}
        for centre in ("same-city", "provincial")
    }
    return Tier.model_validate(
        {
            "tier": "small",
            "title": {"zh": "小", "en": "Small"},
            "backup_every": "20m",
            "copies": copies,
            "drill": {"every": "30d"},
            "gbt20988_level": 3,
        }
    )


@dataclass
class Town:
    catalogue: Catalogue
    site: Site
    landed: dict[str, dict[str, datetime]] = field(default_factory=dict)
    made: int = 0

    def created(self, at: datetime) -> None:
        self.catalogue.register_systems([(TENANT, SYSTEM)])
        with self.catalogue.engine.begin() as db:
            db.execute(update(t.systems).values(created_at=at))

    def point(self, data_time: datetime, landed: Mapping[str, datetime]) -> str:
        """Record a point and where it landed; return its id."""
        self.made += 1
        name = f"point-{self.made}"
        self.catalogue.add_point(
            Point(name, "run", TENANT, SYSTEM, "small", data_time, data_time, 10, 1, "document", ())
        )
        for centre, at in landed.items():
            here = self.landed.setdefault(centre, {})
            here[name] = at
            self.catalogue.set_landings(centre, TENANT, SYSTEM, here)
        return name

    def expire(self, point: str, centre: str) -> None:
        del self.landed[centre][point]
        self.catalogue.set_landings(centre, TENANT, SYSTEM, self.landed[centre])

    def prove(self, point: str, centre: str, at: datetime) -> None:
        key = (t.landings.c.point_id == point) & (t.landings.c.centre == centre)
        with self.catalogue.engine.begin() as db:
            db.execute(update(t.landings).where(key).values(proved_at=at))

    def drill(self, ended_at: datetime, verdict: str, **changes: object) -> None:
        values: dict[str, object] = {
            "id": f"drill-{ended_at:%d%H%M}",
            "plan": "land-registry",
            "tenant": TENANT,
            "system": SYSTEM,
            "centre": "same-city",
            "kind": "restore",
            "point_id": None,
            "started_at": ended_at - timedelta(minutes=5),
            "ended_at": ended_at,
            "verdict": verdict,
            "rpo_seconds": 60.0,
            "rto_seconds": None if verdict == "failed" else 300.0,
            "stages": {"restore": 200.0, "verify": 100.0},
            "restored_bytes": 10,
            "report": None,
        }
        self.catalogue.add_drill(DrillRow(**{**values, **changes}))  # type: ignore[arg-type]

    def board(self, window: timedelta = timedelta(days=7)) -> Board:
        return read_board(self.site, self.catalogue, NOW, window=window)

    def row(self, centre: str = "same-city", window: timedelta = timedelta(days=7)) -> BoardRow:
        return next(each for each in self.board(window).rows if each.centre == centre)


def small_site(rules: Tier) -> Site:
    dalian = load_site(DALIAN)
    bureau = dalian.tenants[TENANT]
    system = bureau.systems[SYSTEM].model_copy(update={"tier": rules.tier})
    return dalian.model_copy(
        update={
            "tiers": {rules.tier: rules},
            "tenants": {TENANT: bureau.model_copy(update={"systems": {SYSTEM: system}})},
            "plans": {},
        }
    )
