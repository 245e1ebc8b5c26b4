"""The seal of a database: it gets a name that no client knows, after all of them were sent away.

What an owner can do otherwise does not hold. A client takes `default_transaction_read_only` back by SET; taking CONNECT
away does nothing to clients that log in as the owner, as many do; a limit of connections shuts out our own dump too;
a database without connections lets nobody in, not even for the last copy. A name is in the catalogue of the server: it
outlives sessions, restarts and us, it shuts out everybody who was configured with it, superusers as well, and renaming
back restores it exactly. The read-only default is set beside it, for programs that try every database of a server.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

from orchestrator.backups import databases as db
from orchestrator.backups.access import Access
from orchestrator.backups.databases import Connection, Database, Mark
from orchestrator.backups.document import SourceProof
from orchestrator.backups.places.postgresql import DatabasePlace
from orchestrator.backups.proof import Proof
from orchestrator.backups.seal.common import Sealed
from orchestrator.backups.sources.postgresql import Server, connect, fingerprint_tables
from orchestrator.errors import CheckFailed, Refused


def seal_database(access: Access, place: DatabasePlace, source: str, run: str) -> Sealed:
    """Send all clients of a database away, and let none of them back. May be repeated, after any crash.

    Raises Refused, with the database as it was before, when our user may not rename it or end its sessions.
    """
    server, sealed = place.server(access), _sealed_name(place, run)
    with db.administering(server) as admin:
        known = db.databases(admin)
        database = db.marked(known, "sealed", place.database, run) or known.get(place.database)
        if database is None:
            raise CheckFailed(f"{place}: there is no such database to be sealed", hint=_where(place, known))
        ended = 0
        if database.name != sealed:
            db.check_rights(admin, server, place.database)
            ended = _send_away(admin, server, database, place, run)
            with admin.transaction():
                db.rename(admin, database.name, sealed)
                db.set_setting(admin, sealed, db.READ_ONLY, "on")
                db.set_open(admin, sealed, to=True)
        at = datetime.now(UTC)
    return Sealed(source, "postgresql", str(place), sealed, at, f"renamed to {sealed}; {ended} sessions ended")


def unseal_database(access: Access, place: DatabasePlace, run: str) -> bool:
    """Let a database be what it was before the run sealed it; return whether it was sealed. May be repeated.

    Raises CheckFailed when somebody has made a database of its name meanwhile: nothing is changed then.
    """
    server = place.server(access)
    with db.administering(server) as admin:
        known = db.databases(admin)
        database = db.marked(known, "sealed", place.database, run)
        if database is None:
            return False
        mark = database.mark
        assert mark is not None
        if database.name != mark.name:
            if mark.name in known:
                raise CheckFailed(
                    f"{place}: there is another database of that name; {database.name} is the sealed one",
                    hint=f"look at both, rename or drop {mark.name}, then unseal again",
                )
            db.close_and_clear(admin, server, database)
        with admin.transaction():
            if database.name != mark.name:
                db.rename(admin, database.name, mark.name)
                db.set_setting(admin, mark.name, db.READ_ONLY, mark.read_only)
            db.set_comment(admin, mark.name, mark.comment)
            db.set_open(admin, mark.name, to=mark.open)
    return True


def prove_database_sealed(access: Access, place: DatabasePlace, sealed: Sealed, proof: SourceProof | None) -> Proof:
    """Look whether anybody can write, or did: the name that clients know, sessions, and every table since the dump."""
    server = place.server(access)
    with db.administering(server) as admin:
        known = db.databases(admin)
        faults = [f"there is a database {place.database} again"] if place.database in known else []
        if sealed.name not in known:
            return Proof(False, "the sealed database is gone", (*faults, f"there is no database {sealed.name}"))
        found = db.sessions(admin, sealed.name)
        faults += [f"connected: {each}" for each in found]
        faults += [f"prepared transaction {gid}" for gid in db.prepared(admin, sealed.name)]
    detail = f"no client knows {sealed.name}, no session, no prepared transaction"
    if proof is not None:
        with connect(replace(server, database=sealed.name)) as connection:
            now = fingerprint_tables(connection)
        faults += [f"{table} changed" for table in _changed(dict(proof.facts["tables"]), now)]
        detail += f"; {len(now)} tables as they were backed up"
    return Proof(not faults, detail if not faults else f"{len(faults)} faults", tuple(faults))


def sealed_server(access: Access, place: DatabasePlace, sealed: Sealed) -> Server:
    """Return how a sealed database is reached: for us, who know its name."""
    return replace(place.server(access), database=sealed.name)


def _sealed_name(place: DatabasePlace, run: str) -> str:
    return db.name_of(place.database, "sealed", run)


def _send_away(admin: Connection, server: Server, database: Database, place: DatabasePlace, run: str) -> int:
    """Mark the database with how it was, let nobody in and end its sessions. A failure leaves it as it was."""
    if database.mark is None or (database.mark.role, database.mark.run) != ("sealed", run):
        before = db.settings(admin, database).get(db.READ_ONLY)
        mark = Mark("sealed", run, place.database, database.name, database.comment, database.open, before)
        db.set_mark(admin, database.name, mark)
    try:
        return db.close_and_clear(admin, server, database)
    except Refused:
        db.set_comment(admin, database.name, database.comment)
        raise


def _where(place: DatabasePlace, known: dict[str, Database]) -> str:
    other = db.marked(known, "sealed", place.database)
    if other and other.mark:
        return f"{other.name} is it, sealed by run {other.mark.run}"
    return "look at the source's database in the tenant's file"


def _changed(want: dict[str, object], got: dict[str, dict[str, object]]) -> list[str]:
    return sorted(table for table in want.keys() | got.keys() if want.get(table) != got.get(table))
