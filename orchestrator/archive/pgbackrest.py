"""The one door to the program pgBackRest: as the database's own user, its failures told as ours."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from orchestrator.archive.place import Archive
from orchestrator.errors import (
    Busy,
    CredentialRefused,
    InvalidInput,
    NoSpace,
    ProcessFailed,
    TricenterError,
    Unreachable,
)
from orchestrator.process import find_program, run
from orchestrator.scratch.account import system_account
from policies.archive import BaseBackup

SHORT_SECONDS = 300.0
BACKUP_SECONDS = 24 * 3600.0
PERCENT = re.compile(r"(\d+(?:\.\d+)?)%\)")
#: Codes that pgBackRest ends with, as its own list of errors has them.
LOCKED, MISSING, NO_HOST, SERVICE, BACKUP_SET, CRYPTO = 50, 55, 49, 101, 75, 95
#: What is read with another passphrase is no text at all.
UNREADABLE = re.compile(r"FormatError|CryptoError|cipher", re.IGNORECASE)
REFUSED = re.compile(r"40[13] \((Forbidden|Unauthorized)\)")
AWAY = re.compile(r"HostConnectError|ServiceError|unable to connect|timeout|50[0-9] \(")

OnShare = Callable[[float], None]


@dataclass(frozen=True, slots=True)
class PgBackRest:
    """pgBackRest with one configuration file."""

    archive: Archive
    configuration: Path

    def create(self) -> None:
        """Make the archive at every centre. May be repeated. Raises Unreachable while one of them is away."""
        self._run(["stanza-create"])

    def backup(self, number: int, *, full: bool, env: Mapping[str, str], on_share: OnShare) -> None:
        """Make a base backup at one centre. One that was killed is gone on with by the next."""
        kind = "full" if full else "incr"
        words = [f"--repo={number}", f"--type={kind}", "--log-level-console=detail", "backup"]
        self._run(words, env=env, seconds=BACKUP_SECONDS, on_share=on_share)

    def expire(self, number: int, *, env: Mapping[str, str]) -> None:
        """Let go of what the centre's retention does not keep. May be repeated."""
        self._run([f"--repo={number}", "expire"], env=env)

    def backups(self, number: int) -> list[BaseBackup]:
        """Return the base backups at a centre, the oldest first. Raises InvalidInput where there is no archive yet."""
        # Not strict: what another passphrase makes of a file stands in a message as it is.
        (told,) = json.loads(self._run([f"--repo={number}", "--output=json", "info"]), strict=False)
        (status,) = (each["status"] for each in told["repo"])
        if status["code"] not in (0, 2):  # 2: no base backup yet
            raise self.explain(MISSING if status["code"] in (1, 3) else 99, status["message"])
        return [_base_backup(each) for each in told["backup"]]

    def restore(self, target: datetime | None, *, tablespaces: Path, on_share: OnShare) -> None:
        """Write a base backup into the configuration's data folder, to be recovered up to a moment; None: the end."""
        words = ["--archive-mode=off", f"--tablespace-map-all={tablespaces}", "--log-level-console=detail"]
        if target is not None:
            at = target.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S.%f+00")
            words += ["--type=time", f"--target={at}", "--target-action=promote"]
        self._run([*words, "restore"], seconds=BACKUP_SECONDS, on_share=on_share)

    def _run(
        self,
        words: Sequence[str],
        *,
        env: Mapping[str, str] | None = None,
        seconds: float = SHORT_SECONDS,
        on_share: OnShare | None = None,
    ) -> str:
        def follow(line: str) -> None:
            if on_share and (found := PERCENT.search(line)):
                on_share(float(found.group(1)) / 100)

        account = system_account(self.archive.rule.os_user, "postgresql")
        program = find_program("pgbackrest", package="pgbackrest")
        argv = [program, f"--config={self.configuration}", f"--stanza={self.archive.stanza}", *words]
        try:
            return run(
                argv, env=env, cwd=Path("/"), user=account.pw_name if account else None, deadline_seconds=seconds,
                on_line=follow if on_share else None,
            ).stdout  # fmt: skip
        except ProcessFailed as error:
            raise self.explain(error.code, error.stderr) from error

    def explain(self, code: int, text: str) -> TricenterError:
        """Return the error that an end of pgBackRest means. Pure."""
        name, hint = f"the archive of {self.archive}", f"tricenter archive configure {self.archive.ref} --write"
        last = _first_error(text)
        if code == LOCKED:
            return Busy(f"{name}: another pgBackRest is at work on it", hint="let it end, and run this again")
        if "No space left" in text:
            return NoSpace(f"{name}: {last}", hint="free some space there")
        if UNREADABLE.search(text) and not REFUSED.search(text):
            return CredentialRefused(
                f"{name} cannot be read with this passphrase: {last}", hint="check what `archive.passphrase` names"
            )
        if REFUSED.search(text):
            return CredentialRefused(f"{name}: the vault refused the credential", hint="check the vault's credentials")
        if code == MISSING or "missing stanza" in text:
            return InvalidInput(f"{name} is not there: {last}", hint=hint)
        if code == BACKUP_SET:
            return InvalidInput(
                f"{name}: {last}", hint=f"tricenter archive info {self.archive.ref} shows what is there"
            )
        if code in (NO_HOST, SERVICE) or AWAY.search(text):
            return Unreachable(f"{name}: {last}", hint="is the vault up, and its certificate trusted by this host?")
        return ProcessFailed("pgbackrest", code, text)


def _first_error(text: str) -> str:
    found = [line for line in text.splitlines() if line.startswith("ERROR:")]
    told = found[0] if found else (text.strip().splitlines() or ["it said nothing"])[-1]
    return "".join(each if each.isprintable() else "?" for each in told)[:300]


def _base_backup(told: Mapping[str, Any]) -> BaseBackup:
    began, stopped = (datetime.fromtimestamp(told["timestamp"][each], UTC) for each in ("start", "stop"))
    return BaseBackup(
        told["label"], told["type"] == "full", told["archive"]["start"], began, stopped, told["info"]["size"]
    )
