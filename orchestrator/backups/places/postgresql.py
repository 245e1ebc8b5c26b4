"""The place of a database: restored into another one on the same server, and swapped by renaming both at once.

PostgreSQL renames in a transaction, so there is no moment in which the name is half-way. What stood in the place keeps
its data and lets nobody in until the commit. What the server remembers of a database and a dump does not hold - who
may connect, its settings, its limit of connections - is taken over from it.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from psycopg import sql

from orchestrator.backups import databases as db
from orchestrator.backups.access import Access
from orchestrator.backups.databases import Connection, Database, Mark
from orchestrator.backups.document import SourceProof
from orchestrator.backups.places.common import Back, Placed, Swapped
from orchestrator.backups.restore import restore_into_database
from orchestrator.backups.sources.postgresql import Server
from orchestrator.errors import CheckFailed, Refused
from orchestrator.vault.restic import OnProgress, Repository


@dataclass(frozen=True, slots=True)
class DatabasePlace:
    """A database of a PostgreSQL server. `password` names the secret; it is none."""

    host: str
    port: int
    database: str
    user: str
    password: str

    def __str__(self) -> str:
        return f"{self.host}:{self.port}/{self.database}"

    @property
    def here(self) -> bool:
        return False

    def as_argument(self) -> str:
        return json.dumps({"kind": "postgresql", **asdict(self)}, ensure_ascii=False)

    def server(self, access: Access) -> Server:
        return Server(self.host, self.port, self.user, self.database, access.secret(self.password))

    def check(self, access: Access, need_bytes: int) -> None:
        del need_bytes  # a server does not tell how much room it has
        server = self.server(access)
        with db.administering(server) as admin:
            db.check_rights(admin, server, self.database)

    def put(
        self,
        access: Access,
        run: str,
        repository: Repository,
        proof: SourceProof,
        scratch: Path,
        *,
        on_progress: OnProgress | None = None,
    ) -> Placed:
        del scratch
        server, new = self.server(access), self._new(run)
        with db.administering(server) as admin:
            known = db.databases(admin)
            if db.marked(known, "placed", self.database, run):
                return Placed(str(self), self.database, proof.copy.bytes)
            db.check_rights(admin, server, self.database)
            owner = self._make(admin, new, run, self._old(known))
        into = replace(server, database=new, role=owner)
        restore_into_database(repository, proof.copy, into, on_progress=on_progress)
        return Placed(str(self), new, proof.copy.bytes)

    def data(self, access: Access, run: str, scratch: Path) -> Server:
        del scratch
        server = self.server(access)
        with db.administering(server) as admin:
            placed = db.marked(db.databases(admin), "placed", self.database, run)
        return server if placed else replace(server, database=self._new(run))

    def swap(self, access: Access, run: str) -> Swapped:
        server, new = self.server(access), self._new(run)
        with db.administering(server) as admin:
            known = db.databases(admin)
            before = db.marked(known, "before", self.database, run)
            if db.marked(known, "placed", self.database, run):
                return Swapped(str(self), before.name if before else None)
            if new not in known:
                raise CheckFailed(f"{self}: nothing was restored there by run {run}", hint="restore it first")
            old = before or self._old(known)
            sent = self._send_away(admin, server, old, run) if old else 0
            sent += db.close_and_clear(admin, server, known[new])
            with admin.transaction():
                if old:
                    _take_over(admin, old, new)
                    db.rename(admin, old.name, self._before(run))
                db.rename(admin, new, self.database)
                db.set_mark(
                    admin,
                    self.database,
                    Mark("placed", run, self.database, self.database, old.own_comment if old else None),
                )
                db.set_open(admin, self.database, to=True)
        return Swapped(str(self), self._before(run) if old else None, sent)

    def undo(self, access: Access, run: str) -> Back:
        server, new = self.server(access), self._new(run)
        with db.administering(server) as admin:
            known = db.databases(admin)
            placed = db.marked(known, "placed", self.database, run)
            before = db.marked(known, "before", self.database, run)
            if db.marked(known, "committed", self.database, run):
                return Back.COMMITTED
            if placed:
                db.close_and_clear(admin, server, placed)
            with admin.transaction():
                if placed:
                    db.rename(admin, placed.name, new)
                    db.set_mark(admin, new, Mark("new", run, self.database, new))
                if before:
                    self._let_back(admin, before, known)
            db.drop(admin, new)
        if placed or before:
            return Back.BACK
        return Back.DROPPED if new in known else Back.NOTHING

    def commit(self, access: Access, run: str) -> None:
        with db.administering(self.server(access)) as admin:
            known = db.databases(admin)
            placed = db.marked(known, "placed", self.database, run)
            ours = placed or db.marked(known, "committed", self.database, run)
            if ours is None:
                if self._new(run) in known:
                    raise CheckFailed(f"{self}: nothing was swapped by run {run}", hint="swap it first, or undo it")
                return  # committed before
            mark = ours.mark
            assert mark is not None
            db.set_mark(admin, ours.name, replace(mark, role="committed"))
            if before := db.marked(known, "before", self.database, run):
                db.drop(admin, before.name)
            db.set_comment(admin, ours.name, mark.comment)

    def drop(self, access: Access, run: str) -> None:
        with db.administering(self.server(access)) as admin:
            if db.marked(db.databases(admin), "new", self.database, run):
                db.drop(admin, self._new(run))

    def _new(self, run: str) -> str:
        return db.name_of(self.database, "new", run)

    def _before(self, run: str) -> str:
        return db.name_of(self.database, "before", run)

    def _old(self, known: dict[str, Database]) -> Database | None:
        """Return what stands in the place: the database of that name, or the one that was sealed under it."""
        return known.get(self.database) or db.marked(known, "sealed", self.database)

    def _make(self, admin: Connection, new: str, run: str, old: Database | None) -> str | None:
        """Make an empty database like the one whose place it is to take, and return its owner when that is not us."""
        db.drop(admin, new)
        like: sql.Composable = sql.SQL("")
        if old:
            like = sql.SQL("OWNER {} ENCODING {} LC_COLLATE {} LC_CTYPE {}").format(
                sql.Identifier(old.owner), *(sql.Literal(each) for each in (old.encoding, old.collate, old.ctype))
            )
        admin.execute(sql.SQL("CREATE DATABASE {} TEMPLATE template0 {}").format(sql.Identifier(new), like))
        db.set_mark(admin, new, Mark("new", run, self.database, new))
        # Restored data is as secret as its source: until the swap it is its owner's alone.
        admin.execute(sql.SQL("REVOKE CONNECT ON DATABASE {} FROM PUBLIC").format(sql.Identifier(new)))
        return old.owner if old and old.owner != self.user else None

    def _send_away(self, admin: Connection, server: Server, old: Database, run: str) -> int:
        """Mark what stands in the place, with how it was, and end its sessions. A failure leaves it as it was."""
        if old.mark is None or old.mark.role != "before":
            db.set_mark(admin, old.name, Mark("before", run, self.database, old.name, old.comment, old.open))
        try:
            return db.close_and_clear(admin, server, old)
        except Refused:
            db.set_comment(admin, old.name, old.comment)
            raise

    def _let_back(self, admin: Connection, before: Database, known: dict[str, Database]) -> None:
        mark = before.mark
        assert mark is not None
        if before.name != mark.name:
            stranger = known.get(mark.name)
            if stranger and not (stranger.mark and stranger.mark.role == "placed"):
                raise CheckFailed(
                    f"{self} cannot be put back: somebody made it anew, and {before.name} is what was there",
                    hint=f"rename {mark.name} away, then try again",
                )
            db.rename(admin, before.name, mark.name)
        db.set_open(admin, mark.name, to=mark.open)
        db.set_comment(admin, mark.name, mark.comment)


def _take_over(admin: Connection, old: Database, new: str) -> None:
    """Give a database the limit of connections, the settings and the rights that another one has, or had unsealed.

    Settings of single roles in it are not taken over: only a superuser may make them.
    """
    named = sql.Identifier(new)
    admin.execute(sql.SQL("ALTER DATABASE {} CONNECTION LIMIT {}").format(named, sql.Literal(old.limit)))
    for name, value in db.settings(admin, old).items():
        db.set_setting(admin, new, name, value)
    admin.execute(sql.SQL("REVOKE ALL ON DATABASE {} FROM PUBLIC").format(named))
    for grantee, privilege, grantable in db.grants(admin, old.name):
        to = sql.Identifier(grantee) if grantee else sql.SQL("PUBLIC")
        how = sql.SQL(" WITH GRANT OPTION" if grantable else "")
        admin.execute(sql.SQL("GRANT {} ON DATABASE {} TO {}{}").format(sql.SQL(privilege), named, to, how))
