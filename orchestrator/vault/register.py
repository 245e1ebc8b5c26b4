"""The register of one centre: a log in its vault that is only ever added to.

Entry number n is an object of its own, written on the condition that there is none yet, by who has read all entries
before it. So two writers never both add the n-th, nothing is ever overwritten, the history stays, and object lock
keeps it. What a store really does with that condition is tried out, by several writers at once, before a register is
first relied on: some stores take it and ignore it.

Everything here has short deadlines and nothing is repeated: who asks several registers at once wants to know soon
which of them answer.
"""

from __future__ import annotations

import base64
import re
import threading
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

from orchestrator.errors import CheckFailed
from orchestrator.vault.parallel import parallel
from orchestrator.vault.s3 import parse_listing
from orchestrator.vault.signing import Credential
from orchestrator.vault.wire import AlreadyThere, NoSuchBucket, NoSuchObject, Wire, sha256_of
from policies.epoch import Entry, Fact, Inconsistent, Log, entry_as_bytes, entry_from_bytes, may_append
from policies.epoch_protocol import Appended

CONNECT_SECONDS = 2.0
READ_SECONDS = 5.0
READERS = 8
RACERS = 4
TRIED = "tried/passed"
_NUMBER = re.compile("[0-9]{10}")


class Register:
    """The register of a site in the vault of one centre. Safe for many threads.

    Raises Unreachable within seconds, CredentialRefused, and CheckFailed for a register that is damaged.
    """

    def __init__(self, centre: str, endpoint: str, region: str, bucket: str, site: str, credential: Credential) -> None:
        self.centre, self.bucket, self._prefix = centre, bucket, f"{site}/"
        self._wire = Wire(
            centre,
            endpoint,
            region,
            bucket,
            credential,
            READERS,
            connect_seconds=CONNECT_SECONDS,
            read_seconds=READ_SECONDS,
        )
        #: Entries never change: each is fetched once.
        self._seen: dict[int, Entry] = {}

    def __str__(self) -> str:
        return f"{self.centre}:{self.bucket}/{self._prefix}"

    def read(self) -> Log:
        """Return all entries in their order. A register that was never established is empty."""
        wanted = range(1, self._length() + 1)
        missing = [number for number in wanted if number not in self._seen]
        for number, entry in parallel(missing, self._fetch, READERS):
            self._seen[number] = entry
        return tuple(self._seen[number] for number in wanted)

    def read_end(self) -> Log:
        """Return the entries from the last fact on, which say what all of them do, but for the history."""
        found: list[Entry] = []
        for number in range(self._length(), 0, -1):
            entry = self._seen.get(number) or self._fetch(number)
            self._seen[number] = entry
            found.append(entry)
            if isinstance(entry, Fact):
                break
        return tuple(reversed(found))

    def append(self, upon: Log, entry: Entry) -> Appended:
        """Add an entry right after `upon`, all that was there; when it is not, return what is there now.

        May be repeated: an entry that is there already by the same writer was added. Raises Unreachable, and then
        the entry may have been added all the same.
        """
        if not may_append(self.centre, upon, entry):
            return Appended(self.read(), done=False)
        number, body = len(upon) + 1, entry_as_bytes(entry)
        try:
            self._put(self._key(number), body)
        except AlreadyThere:
            now = self.read()
            return Appended(now, done=len(now) >= number and now[number - 1] == entry)
        self._seen[number] = entry
        return Appended((*upon, entry), done=True)

    def established(self) -> bool:
        """Return whether the register's bucket is there and its store was tried out."""
        try:
            with self._wire.request("HEAD", f"{self._prefix}{TRIED}"):
                return True
        except (NoSuchObject, NoSuchBucket):
            return False

    def try_out(self) -> None:
        """Have several writers race for one name, and remember that one of them won. May be repeated.

        Raises CheckFailed for a store that lets more than one write, or shows another's content than the winner's.
        """
        key = f"{self._prefix}tried/{uuid.uuid4().hex}"
        bodies, start = [f"racer {number}".encode() for number in range(RACERS)], threading.Barrier(RACERS)

        def race(body: bytes) -> bool:
            start.wait(READ_SECONDS)
            return self._put_once(key, body)

        with ThreadPoolExecutor(RACERS) as pool:
            winners = [body for body, won in zip(bodies, pool.map(race, bodies), strict=True) if won]
        if len(winners) != 1 or self._get(key) != winners[0] or self._put_once(key, b"late"):
            raise CheckFailed(
                f"the store of {self} does not keep a register: of {RACERS} writers of one name {len(winners)} won",
                hint="it ignores If-None-Match; take a store that honours it (Ceph, SeaweedFS, MinIO, S3)",
            )
        self._put_once(f"{self._prefix}{TRIED}", b"")

    # --- objects

    def _key(self, number: int) -> str:
        return f"{self._prefix}{number:010d}"

    def _length(self) -> int:
        try:
            numbers = sorted(self._numbers())
        except NoSuchBucket:
            return 0
        if numbers != list(range(1, len(numbers) + 1)):
            lost = min(set(range(1, numbers[-1] + 1)) - set(numbers))
            raise CheckFailed(
                f"the register {self} has lost entry {lost} of {numbers[-1]}",
                hint="somebody deleted it: bring its version back, and find out who; the other centre has its own copy",
            )
        return len(numbers)

    def _numbers(self) -> Iterator[int]:
        token: str | None = ""
        while token is not None:
            query = {"list-type": "2", "prefix": self._prefix} | ({"continuation-token": token} if token else {})
            with self._wire.request("GET", query=query) as answer:
                entries, token = parse_listing(b"".join(self._wire.chunks(answer, 1 << 20)))
            names = (each.key.removeprefix(self._prefix) for each in entries)
            yield from (int(name) for name in names if _NUMBER.fullmatch(name))

    def _fetch(self, number: int) -> Entry:
        try:
            return entry_from_bytes(self._get(self._key(number)))
        except Inconsistent as error:
            raise CheckFailed(
                f"entry {number} of the register {self} is not ours: {error}", hint="is this program older than it?"
            ) from error

    def _get(self, key: str) -> bytes:
        with self._wire.request("GET", key) as answer:
            return b"".join(self._wire.chunks(answer, 1 << 20))

    def _put(self, key: str, body: bytes) -> None:
        sha256 = sha256_of(body)
        headers = {
            "content-length": str(len(body)),
            "x-amz-checksum-sha256": base64.b64encode(bytes.fromhex(sha256)).decode(),
            "if-none-match": "*",
        }
        with self._wire.request("PUT", key, headers=headers, body=body, sha256=sha256):
            pass

    def _put_once(self, key: str, body: bytes) -> bool:
        """Write an object if there is none, and return whether it was written."""
        try:
            self._put(key, body)
        except AlreadyThere:
            return False
        return True
