"""The objects of a bucket as one tar, written and read as a stream: `bucket.tar` in the snapshot.

Plain tar reads it, so restic and tar bring the files back without this program. An object that did not change gives
the same bytes each time: the objects come in the order of their keys, and of a header's fields only name, size and
time are in use. What the application says of an object stands in the header's PAX records, with the key as it is.
"""

from __future__ import annotations

import tarfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import IO, Protocol

from orchestrator.errors import CheckFailed

KEY = "TRICENTER.key"
HEADER = "TRICENTER.header."
PIECE_BYTES = 1 << 20
BLOCK = tarfile.BLOCKSIZE


class Input(Protocol):
    def read(self, size: int = -1, /) -> bytes: ...


@dataclass(frozen=True, slots=True)
class Member:
    """One object of an archive: what it is called as object and as file, and what is said of it."""

    key: str
    path: str
    size_bytes: int
    modified_at: datetime
    headers: Mapping[str, str]


class Writer:
    """Writes an archive piece by piece. `write` takes all that it is given."""

    def __init__(self, write: Callable[[bytes], None]) -> None:
        self._write, self._left = write, 0

    def begin(self, member: Member) -> None:
        """Begin an object. Exactly its size must follow, by `add`."""
        self._end_object()
        info = tarfile.TarInfo(member.path)
        info.size, info.mode, info.mtime = member.size_bytes, 0o644, int(member.modified_at.timestamp())
        info.pax_headers = {KEY: member.key, **{HEADER + name: text for name, text in sorted(member.headers.items())}}
        self._write(info.tobuf(tarfile.PAX_FORMAT))
        self._left, self._padding = member.size_bytes, -member.size_bytes % BLOCK

    def add(self, piece: bytes) -> None:
        """Add content of the object that was begun."""
        self._left -= len(piece)
        self._write(piece)

    def end(self) -> None:
        """End the archive."""
        self._end_object()
        self._write(bytes(2 * BLOCK))

    _padding = 0

    def _end_object(self) -> None:
        if self._left:
            raise CheckFailed(f"an object came with {self._left} bytes less than it was said to have")
        if self._padding:
            self._write(bytes(self._padding))
            self._padding = 0


def read_archive(stream: Input) -> Iterator[tuple[Member, Iterator[bytes]]]:
    """Yield every object with its content, which must be read before the next one, and read `stream` to its end.

    Raises CheckFailed for what is no such archive.
    """
    try:
        with tarfile.open(fileobj=_as_file(stream), mode="r|", bufsize=PIECE_BYTES) as archive:
            for info in archive:
                archive.members.clear()  # type: ignore[attr-defined]  # else it would keep them all
                content = archive.extractfile(info)
                said = info.pax_headers
                if content is None or KEY not in said:
                    raise CheckFailed(f"{info.name} in the archive of a bucket is no object")
                headers = {name[len(HEADER) :]: text for name, text in said.items() if name.startswith(HEADER)}
                modified = datetime.fromtimestamp(int(info.mtime), UTC)
                yield Member(said[KEY], info.name, info.size, modified, headers), _pieces(content)
    except tarfile.TarError as error:
        raise CheckFailed(f"the archive of a bucket cannot be read: {error}") from error
    while stream.read(PIECE_BYTES):
        pass  # else whoever writes it would end by a broken pipe


def _pieces(content: IO[bytes]) -> Iterator[bytes]:
    while True:
        try:
            piece = content.read(PIECE_BYTES)
        except tarfile.TarError as error:
            raise CheckFailed(f"the archive of a bucket ends in the middle: {error}") from error
        if not piece:
            return
        yield piece


def _as_file(stream: Input) -> IO[bytes]:
    return stream  # type: ignore[return-value]  # tarfile asks a stream for nothing but `read`
