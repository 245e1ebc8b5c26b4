"""The flow of base backups: one at each centre, and what its retention does not keep is let go.

A database is read for one base backup at a time, so the centres take turns; one that is away holds up no other.
"""

from __future__ import annotations

from datetime import UTC, datetime

from orchestrator.archive.configuration import expirer_environment
from orchestrator.archive.pgbackrest import PgBackRest
from orchestrator.archive.place import Access, Archive
from orchestrator.catalogue import leases
from orchestrator.engine.port import Run
from orchestrator.epoch.fence import check_fence
from orchestrator.errors import PartlyDone, TricenterError


def archive_lease(archive: Archive) -> str:
    """Return the name of the lease of an archive's base backups."""
    return f"archive {archive}"


def back_up_archive(
    run: Run, access: Access, archive: Archive, *, full: bool, centre: str | None, since: datetime | None
) -> list[str]:
    """Make a base backup at each centre, or at one; return the centres. Those with one begun after `since` are done.

    May be repeated; one that was killed is gone on with. Raises Busy, PartlyDone when one centre of several failed,
    and what went wrong when none came to its end.
    """
    if centre is not None:
        archive.repository(centre)
    done: list[str] = []
    failed: list[tuple[str, TricenterError]] = []
    with leases.hold(access.catalogue, archive_lease(archive), run.id, exclusive=True):
        for each in [centre] if centre else archive.centres:
            try:
                run.attempt(f"back-up:{each}", _back_up, run, access, archive, each, full, since)
                done.append(each)
            except TricenterError as error:
                failed.append((each, error))
    if failed and done:
        told = "; ".join(f"{where}: {error}" for where, error in failed)
        raise PartlyDone(f"{archive}: {', '.join(done)} has its base backup; {told}", hint=failed[0][1].hint)
    if failed:
        raise failed[0][1]
    return done


def _back_up(run: Run, access: Access, archive: Archive, centre: str, full: bool, since: datetime | None) -> str:
    check_fence(access, str(archive.ref), centre)
    number, program = archive.repository(centre), PgBackRest(archive, archive.configuration)
    env = expirer_environment(access, archive, centre, number)
    backups = program.backups(number)
    if since and any(each.began_at >= since and (each.full or not full) for each in backups):
        return "was done already"

    def report(share: float) -> None:
        run.progress(centre, share, 1.0)

    program.backup(number, full=full, env=env, on_share=report)
    program.expire(number, env=env)
    return f"made at {datetime.now(UTC):%Y-%m-%d %H:%M:%S}Z"
