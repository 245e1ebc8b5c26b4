"""Is a database archived as its site says: what the server is told, and whether its WAL arrives at every centre."""

from __future__ import annotations

import time
from dataclasses import dataclass

from orchestrator.archive.configuration import postgresql_settings
from orchestrator.archive.observing import segment_names
from orchestrator.archive.pgbackrest import PgBackRest
from orchestrator.archive.place import Access, Archive
from orchestrator.archive.server import ask_settings, make_mark
from orchestrator.catalogue.archives import record_mark
from orchestrator.errors import TricenterError
from policies.archive import Mark, segment_of

LOOK_SECONDS = 0.5


@dataclass(frozen=True, slots=True)
class Looked:
    """What was found of an archive: what is wrong with the server's settings, and of each centre what is."""

    archive: Archive
    settings: tuple[str, ...]
    #: Centre -> seconds until a segment that was just written was there; None where it did not come.
    arrived: dict[str, float | None]
    errors: dict[str, TricenterError]

    @property
    def good(self) -> bool:
        return not self.settings and not self.errors and None not in self.arrived.values()


def check_archive(access: Access, archive: Archive, *, patience_seconds: float) -> Looked:
    """Ask the server, end a WAL segment, and wait for it at every centre. Changes nothing but that.

    Raises Unreachable when the database does not answer, InvalidInput on another host than its own.
    """
    wrong = tuple(_wrong_settings(archive))
    began, mark = time.monotonic(), make_mark(archive)
    record_mark(access.catalogue, *archive.key, mark)
    arrived: dict[str, float | None] = dict.fromkeys(archive.centres)
    errors: dict[str, TricenterError] = {}
    for centre in archive.centres:
        try:
            PgBackRest(archive, archive.configuration).backups(archive.repository(centre))
        except TricenterError as error:
            errors[centre] = error
    # Nothing comes from a server that was never told to archive.
    waited = [centre for centre in archive.centres if centre not in errors] if not wrong else []
    while waited and time.monotonic() - began < patience_seconds:
        for centre in list(waited):
            try:
                if has_segment(access, archive, centre, mark):
                    arrived[centre] = time.monotonic() - began
                    waited.remove(centre)
            except TricenterError as error:
                errors[centre] = error
                waited.remove(centre)
        time.sleep(LOOK_SECONDS)
    return Looked(archive, wrong, arrived, errors)


def has_segment(access: Access, archive: Archive, centre: str, mark: Mark) -> bool:
    """Return whether a vault lists the segment of a mark."""
    wanted = segment_of(mark.segment, mark.segment_bytes)
    names = segment_names(access.bucket(centre, archive.ref.tenant.tenant), archive)
    return any(segment_of(name, mark.segment_bytes) == wanted for name in names)


def _wrong_settings(archive: Archive) -> list[str]:
    told, wrong = ask_settings(archive), []
    if told["data_directory"].rstrip("/") != archive.rule.data_folder.rstrip("/"):
        wrong.append(f"data_folder is {archive.rule.data_folder}, the server's is {told['data_directory']}")
    for name, want in postgresql_settings(archive).items():
        good = {
            "wal_level": told[name] in ("replica", "logical"),
            "archive_mode": told[name] in ("on", "always"),
            "archive_timeout": told[name] != "0",
        }.get(name, told[name] == want)
        if not good:
            wrong.append(f"{name} is {told[name] or 'empty'!r}, want {want!r}")
    return wrong
