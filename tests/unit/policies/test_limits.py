"""Limits: which one holds for a slot, and faults of the site file's `limits`."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from policies.limits import Limit, lookup
from policies.load import check_site

DALIAN = Path(__file__).parents[3] / "examples" / "dalian"


@pytest.mark.parametrize(
    ("slot", "concurrent", "per_minute"),
    [
        ("vault:provincial", 2, 10),
        ("vault:same-city", 5, 10),
        ("cloud:production", 4, 1),
        ("tenant:archives", 2, None),
        ("centre:production", 16, None),
        ("something:else", None, None),
    ],
)
def test_a_slots_own_limit_goes_before_its_kinds_and_the_default(
    slot: str, concurrent: int | None, per_minute: int | None
) -> None:
    limits = {
        "vault": Limit(concurrent=5, per_minute=10),
        "vault:provincial": Limit(concurrent=2),
        "cloud": Limit(per_minute=1),
    }
    found = lookup(limits, slot)
    assert (found.concurrent, found.per_minute) == (concurrent, per_minute)


@pytest.mark.parametrize(
    ("line", "got", "hint"),
    [
        ("vault:provincal: {concurrent: 1}", "the vault provincal", "did you mean provincial?"),
        ("cloud:provincial: {concurrent: 1}", "the cloud provincial", ""),
        ("tenant:archive: {concurrent: 1}", "the tenant archive", "did you mean archives?"),
        ("vaults: {concurrent: 1}", "the key vaults", ""),
        ("vault: {concurrent: 0}", "0", ""),
        ("vault: {concurent: 3}", "an unknown key", "did you mean concurrent?"),
    ],
)
def test_faults_are_told_at_their_line(tmp_path: Path, line: str, got: str, hint: str) -> None:
    site = shutil.copytree(DALIAN, tmp_path / "site")
    text = (site / "site.yaml").read_text("utf-8").partition("\nlimits:")[0]
    (site / "site.yaml").write_text(f"{text}\nlimits:\n  {line}\n", "utf-8")
    (fault,) = check_site(site).faults
    assert fault.got == got
    assert hint in fault.hint
    assert fault.path.startswith("limits")
    assert fault.line == len(text.splitlines()) + 2
