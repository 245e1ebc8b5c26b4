"""Until when each centre can give a database back: by its own listing, and by marks that were made in the WAL.

A name of a segment carries no time. So from time to time a mark is made: the moment, and the segment by which all that
was committed then is written. The moment counts for a centre once its vault lists that segment and every one before.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

from orchestrator.archive.pgbackrest import PgBackRest
from orchestrator.archive.place import Access, Archive, archives
from orchestrator.archive.server import make_mark
from orchestrator.catalogue.archives import (
    ArchiveAt,
    forget_marks,
    read_archives,
    read_marks,
    record_archive,
    record_mark,
)
from orchestrator.engine.port import Run
from orchestrator.errors import CheckFailed, TricenterError
from orchestrator.vault.s3 import Bucket
from policies.archive import Mark, reach_of
from policies.site import SystemRef

#: What a segment is large where nobody has said.
USUAL_SEGMENT = 16 << 20
#: Marks that a centre has not come to are kept for so long.
LONGEST_AWAY = timedelta(days=30)


def observe_system(run: Run, access: Access, ref: SystemRef) -> list[ArchiveAt]:
    """Look at every archive of a system at every centre, remember what was seen, and make a new mark.

    May be repeated; derived anew after a crash. A centre that is away keeps what was known of it, and is raised as
    Unreachable at the end. Raises CheckFailed where segments are missing.
    """
    seen, failed = [], []
    for archive in archives(ref):
        found, errors = run.attempt(f"observe:{archive.source}", observe_archive, access, archive)
        seen += found
        failed += errors
    if failed:
        raise failed[0]
    for each in seen:
        if each.reach.missing:
            raise CheckFailed(
                f"{ref} {each.source}: the WAL segment {each.reach.missing} is not at {each.centre}, and later ones "
                f"are: nothing after it can be given back there",
                hint=f"a base backup begins anew: tricenter archive backup {ref} --full",
            )
    return seen


def observe_archive(access: Access, archive: Archive) -> tuple[list[ArchiveAt], list[TricenterError]]:
    """Return what each centre can give back now, remembered, and what kept us from looking at the others."""
    failed: list[TricenterError] = []
    marks = read_marks(access.catalogue, *archive.key)
    seen = []
    for centre in archive.centres:
        try:
            seen.append(look(access, archive, centre, marks))
            record_archive(access.catalogue, seen[-1])
        except TricenterError as error:
            failed.append(error)
    _forget(access, archive)
    try:
        record_mark(access.catalogue, *archive.key, make_mark(archive))
    except TricenterError as error:
        failed.append(error)
    return seen, failed


def look(access: Access, archive: Archive, centre: str, marks: list[Mark]) -> ArchiveAt:
    """Return what a centre can give back, as its vault lists it now."""
    backups = PgBackRest(archive, archive.configuration).backups(archive.repository(centre))
    size = marks[-1].segment_bytes if marks else USUAL_SEGMENT
    names = segment_names(access.bucket(centre, archive.ref.tenant.tenant), archive)
    reach = reach_of(names, backups, marks, size)
    return ArchiveAt(
        *archive.key,
        centre,
        datetime.now(UTC),
        reach,
        max((each.began_at for each in backups if each.full), default=None),
        max((each.began_at for each in backups), default=None),
        len(backups),
    )


def segment_names(bucket: Bucket, archive: Archive) -> Iterator[str]:
    """Yield the names of the segments that a vault lists, of the newest version of the database."""
    start = f"{archive.prefix}/archive/{archive.stanza}/"
    found: dict[str, list[str]] = {}
    for entry in bucket.list(start):
        version, _, rest = entry.key.removeprefix(start).partition("/")
        if rest:
            found.setdefault(version, []).append(rest.rpartition("/")[2])
    # 15-1, 16-2: the version of the server, and a number that counts up.
    newest = max(found, key=lambda each: int(each.rpartition("-")[2]), default=None)
    yield from found.get(newest or "", ())


def archives_known(access: Access, archive: Archive) -> list[ArchiveAt]:
    """Return what the last looks at an archive found, by centre."""
    found = read_archives(access.catalogue)
    return [each for each in found if (each.tenant, each.system, each.source) == archive.key]


def _forget(access: Access, archive: Archive) -> None:
    """Let go of marks that every centre is past, and of very old ones: not of those that tell how far one is."""
    known = {each.centre: each.reach.until for each in archives_known(access, archive)}
    reached = [until for centre in archive.centres if (until := known.get(centre))]
    before = min(reached) if len(reached) == len(archive.centres) else datetime.now(UTC) - LONGEST_AWAY
    forget_marks(access.catalogue, *archive.key, before, reached)
