"""Approved requests written into the site folder: each file whole, none over another, the site valid after."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from secrets import token_hex

from orchestrator.errors import InvalidInput, Refused
from orchestrator.tenants.requesting import as_yaml, faults_by_tenant
from policies.findings import Finding
from policies.load import check_site
from policies.request import Request

SHOWN = 10


@dataclass(frozen=True, slots=True)
class Writing:
    """What is to be written, what is there already just so, and what cannot be, with why."""

    fresh: Mapping[str, str]
    there: tuple[str, ...]
    wrong: Mapping[str, str]


def plan_writing(requests: Mapping[str, Request], folder: Path, overlay: Path | None) -> Writing:
    """Return what writing these requests, by tenant, would do. Reads only."""
    fresh, there, wrong = {}, [], {}
    for name, request in requests.items():
        text, file = as_yaml(request.as_tenant()), folder / "tenants" / f"{name}.yaml"
        if not file.exists():
            fresh[name] = text
        elif file.read_text(encoding="utf-8") == text:
            there.append(name)
        else:
            wrong[name] = f"{file} is there already and says something else"
    for name, faults in faults_by_tenant({name: requests[name].as_tenant() for name in fresh}, folder, overlay).items():
        del fresh[name]
        wrong[name] = _told(faults)
    return Writing(fresh, tuple(there), wrong)


def write_tenants(texts: Mapping[str, str], folder: Path, overlay: Path | None) -> None:
    """Write tenants' files, and look at the whole site. May be repeated after a kill.

    When the site has a fault then, what was written here is taken away again: raises InvalidInput. Never writes over
    a file: raises Refused for one that came meanwhile.
    """
    written: list[Path] = []
    (folder / "tenants").mkdir(exist_ok=True)
    try:
        for name, text in texts.items():
            file = folder / "tenants" / f"{name}.yaml"
            _write_new(file, text)
            written.append(file)
        _check_whole(folder, overlay)
    except BaseException:
        for file in written:
            file.unlink(missing_ok=True)
        raise


def _check_whole(folder: Path, overlay: Path | None) -> None:
    if faults := check_site(folder, overlay).faults:
        raise InvalidInput(f"the site is not valid with the new tenants: {_told(faults)}")


def _write_new(file: Path, text: str) -> None:
    draft = file.with_name(f".{file.name}.{token_hex(4)}")
    try:
        with draft.open("x", encoding="utf-8") as sink:
            sink.write(text)
            sink.flush()
            os.fsync(sink.fileno())
        os.link(draft, file)  # unlike a rename this leaves what is there in place
    except FileExistsError as error:
        raise Refused(f"{file} is there already", hint="run it again: it is compared then") from error
    except OSError as error:
        raise InvalidInput(
            f"{file} cannot be written: {error.strerror}", hint="the site folder must be writable"
        ) from error
    finally:
        draft.unlink(missing_ok=True)


def _told(faults: tuple[Finding, ...] | list[Finding]) -> str:
    return "; ".join(map(str, faults[:SHOWN]))
