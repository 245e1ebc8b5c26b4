"""What this machine read of the files of a source the last time, so that a backup reads what changed since.

The signs are those by which restic decides what it reads: a file with the size, the times and the inode that it had
is the file that it was. So the manifest says what restic holds. Nobody but root can set the time of a change (ctime);
what changes the bytes of a file behind the back of its file system is found by a spot check, which reads the source.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from orchestrator.backups.remembered import recall, remember

if TYPE_CHECKING:
    from orchestrator.backups.sources.tree import Seen

#: A file that was changed so shortly before it was looked at may be changed again with the same time: clocks of file
#: systems tick in steps, on some of two seconds. It is read again the next time.
YOUNG_NS = 3 * 10**9


class KnownContent:
    """The SHA-256 of the files of one source, as they were last read here. Whatever is lost is read again."""

    def __init__(self, file: Path) -> None:
        self._file = file

    def of(self, files: Iterable[Seen]) -> dict[Seen, str]:
        """Return the digests of those files that are as they were when they were read."""
        known = recall(self._file) or {}
        found: dict[Seen, str] = {}
        for each in files:
            *signs, digest = known.get(each.key, ("",))
            if signs == _signs(each):
                found[each] = digest
        return found

    def keep(self, digests: Mapping[Seen, str], looked_ns: int) -> None:
        """Remember the digests of files that were the same before and after they were read; nothing of others.

        `looked_ns` is when they were looked at, in nanoseconds of the wall clock. May be repeated, and killed.
        """
        old = looked_ns - YOUNG_NS
        remember(
            self._file, {each.key: [*_signs(each), digest] for each, digest in digests.items() if each.ctime_ns < old}
        )


def _signs(seen: Seen) -> list[int]:
    return [seen.size, seen.mtime_ns, seen.ctime_ns, seen.device, seen.inode]
