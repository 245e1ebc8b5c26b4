"""A bureau's database for a `postgresql` source: its role, its tables, and some fifty thousand rows."""

from __future__ import annotations

import json
import random
from datetime import UTC, date, datetime, timedelta
from typing import Any

import psycopg
from psycopg import sql

from orchestrator.lab import postgres
from orchestrator.lab import seed_text as text
from orchestrator.lab.layout import Centre, Lab

PERSONS, PARCELS, PERMITS, EVENTS = 8_000, 6_000, 18_000, 18_000
GROWN_PERMITS = 400
FIRST_DAY = date(2021, 1, 4)

SCHEMA = """
CREATE TABLE persons (
    id integer PRIMARY KEY,
    name text NOT NULL,
    card_number char(18) NOT NULL UNIQUE,
    address text NOT NULL,
    born date NOT NULL
);
CREATE TABLE parcels (
    id integer PRIMARY KEY,
    code text NOT NULL UNIQUE,
    district text NOT NULL,
    land_use text NOT NULL CHECK (land_use IN ('residential', 'commercial', 'industrial', 'public', 'farmland')),
    area_m2 numeric(12, 2) NOT NULL CHECK (area_m2 > 0),
    owner_id integer NOT NULL REFERENCES persons
);
CREATE INDEX parcels_by_district ON parcels (district, land_use);
CREATE SEQUENCE permit_numbers;
CREATE TABLE permits (
    id bigint PRIMARY KEY DEFAULT nextval('permit_numbers'),
    parcel_id integer NOT NULL REFERENCES parcels,
    applicant_id integer NOT NULL REFERENCES persons,
    subject text NOT NULL,
    status text NOT NULL CHECK (status IN ('received', 'reviewing', 'granted', 'refused')),
    received_on date NOT NULL,
    decided_on date CHECK (decided_on >= received_on),
    fee numeric(10, 2) NOT NULL,
    CHECK ((status IN ('granted', 'refused')) = (decided_on IS NOT NULL))
);
ALTER SEQUENCE permit_numbers OWNED BY permits.id;
CREATE INDEX permits_by_day ON permits (received_on);
CREATE TABLE permit_events (
    permit_id bigint NOT NULL REFERENCES permits,
    happened_at timestamptz NOT NULL,
    detail jsonb NOT NULL
);
CREATE INDEX permit_events_by_permit ON permit_events (permit_id);
CREATE VIEW open_permits AS
    SELECT permits.id, parcels.code, persons.name AS applicant, permits.received_on
    FROM permits JOIN parcels ON parcels.id = parcel_id JOIN persons ON persons.id = applicant_id
    WHERE permits.decided_on IS NULL;
CREATE TABLE seeding (generation integer NOT NULL);
INSERT INTO seeding VALUES (0);
"""


def fill(lab: Lab, database: str, password: str, key: str, *, scale: float = 1.0) -> bool:
    """Make the role and the database, both named `database`, and fill it, unless that is done. Return whether it was.

    The tables and their rows come in one transaction, so a database that has tables is whole.
    """
    _make_database(lab, database, password)
    with _connect(lab, database, password) as connection:
        if connection.execute("SELECT to_regclass('seeding')").fetchone() != (None,):
            return False
        connection.execute(SCHEMA)
        _fill_tables(connection, text.generator(f"{key}/rows"), scale)
    return True


def _make_database(lab: Lab, database: str, password: str) -> None:
    make_role(lab, database, password, "production")
    named = sql.Identifier(database)
    with postgres.administrator(lab) as server:
        if not server.execute("SELECT 1 FROM pg_database WHERE datname = %s", [database]).fetchone():
            server.execute(sql.SQL("CREATE DATABASE {} OWNER {}").format(named, named))
        server.execute(sql.SQL("REVOKE CONNECT ON DATABASE {} FROM PUBLIC").format(named))


def make_role(lab: Lab, name: str, password: str, centre: Centre) -> bool:
    """Make the role at a centre's server, or give it this password. Return whether it was made.

    It may create databases, because a restore makes one beside the real one, and rename its own.
    """
    named = sql.Identifier(name)
    with postgres.administrator(lab, centre=centre) as server:
        there = server.execute("SELECT 1 FROM pg_roles WHERE rolname = %s", [name]).fetchone() is not None
        if not there:
            server.execute(sql.SQL("CREATE ROLE {} LOGIN CREATEDB").format(named))
        server.execute(sql.SQL("ALTER ROLE {} PASSWORD {}").format(named, sql.Literal(password)))
    return not there


def _connect(lab: Lab, database: str, password: str) -> psycopg.Connection[Any]:
    return psycopg.connect(
        host="127.0.0.1",
        port=lab.database_port("production"),
        dbname=database,
        user=database,
        password=password,
        connect_timeout=10,
    )


def _fill_tables(connection: psycopg.Connection[Any], rng: random.Random, scale: float) -> None:
    persons, parcels, permits, events = (max(int(n * scale), 10) for n in (PERSONS, PARCELS, PERMITS, EVENTS))
    uses = ("residential", "commercial", "industrial", "public", "farmland")
    with connection.cursor() as cursor:
        with cursor.copy("COPY persons FROM STDIN") as copy:
            for number in range(1, persons + 1):
                born = date(1940, 1, 1) + timedelta(days=rng.randrange(25_000))
                card = f"2102{rng.randint(0, 99):02d}{born:%Y%m%d}{number % 10_000:04d}"
                copy.write_row((number, text.name(rng), card, text.address(rng), born))
        with cursor.copy("COPY parcels FROM STDIN") as copy:
            for number in range(1, parcels + 1):
                area = f"{rng.uniform(40, 90_000):.2f}"
                code = f"2102{rng.randint(0, 99):02d}GB{number:06d}"
                copy.write_row(
                    (number, code, rng.choice(text.DISTRICTS), rng.choice(uses), area, rng.randint(1, persons))
                )
        with cursor.copy("COPY permits FROM STDIN") as copy:
            for number in range(1, permits + 1):
                copy.write_row((number, *_permit(rng, parcels, persons)))
        with cursor.copy("COPY permit_events FROM STDIN") as copy:
            for _ in range(events):
                copy.write_row(_event(rng, rng.randint(1, permits)))
        cursor.execute("SELECT setval('permit_numbers', %s)", [permits])


def _permit(rng: random.Random, parcels: int, persons: int) -> tuple[object, ...]:
    received = FIRST_DAY + timedelta(days=rng.randrange(2000))
    status = rng.choices(("received", "reviewing", "granted", "refused"), (5, 10, 75, 10))[0]
    decided = received + timedelta(days=rng.randint(1, 40)) if status in ("granted", "refused") else None
    fee = f"{rng.uniform(0, 3000):.2f}"
    return (
        rng.randint(1, parcels), rng.randint(1, persons), rng.choice(text.TOPICS), status, received, decided, fee,
    )  # fmt: skip


def _event(rng: random.Random, permit: int) -> tuple[object, ...]:
    moment = datetime(2021, 1, 4, tzinfo=UTC) + timedelta(minutes=rng.randrange(2_800_000))
    detail = {"经办人": text.name(rng), "意见": text.sentence(rng, text.CHINESE)}
    return permit, moment, json.dumps(detail, ensure_ascii=False)


def grow(lab: Lab, database: str, password: str, key: str) -> int:
    """Add a day's permits and decide some old ones, in one transaction. Return the new generation."""
    with _connect(lab, database, password) as connection:
        row = connection.execute("UPDATE seeding SET generation = generation + 1 RETURNING generation").fetchone()
        assert row is not None
        generation = int(row[0])
        rng = text.generator(f"{key}/grow/{generation}")
        limits = connection.execute("SELECT (SELECT max(id) FROM parcels), (SELECT max(id) FROM persons)").fetchone()
        assert limits is not None
        with connection.cursor() as cursor:
            with cursor.copy(
                "COPY permits (parcel_id, applicant_id, subject, status, received_on, decided_on, fee) FROM STDIN"
            ) as copy:
                for _ in range(GROWN_PERMITS):
                    copy.write_row(_permit(rng, *limits))
            cursor.execute(
                "UPDATE permits SET status = 'granted', decided_on = received_on + 30 WHERE id IN "
                "(SELECT id FROM permits WHERE decided_on IS NULL ORDER BY id LIMIT 50)"
            )
    return generation
