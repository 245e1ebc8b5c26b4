"""What a bureau is handed: a sheet that says all but passwords, and passwords once."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path

import pyrage
import pytest

from orchestrator.catalogue.requests import StoredRequest
from orchestrator.errors import InvalidInput, Refused
from orchestrator.tenants.handover import first_passwords, hand_over, render, sheet, write_sheet
from policies.load import load_site

SITE = load_site(Path(__file__).parents[3] / "examples" / "dalian")
TENANT = "archives"
ROW = StoredRequest("0a1b2c3d", TENANT, {}, "applied", "li@desk", datetime(2027, 1, 1, tzinfo=UTC), "wang@desk")


@pytest.fixture
def waiting_folder(tmp_path: Path) -> Path:
    folder = tmp_path / "secrets" / "handover"
    folder.mkdir(parents=True)
    for centre in ("production", "same-city"):
        (folder / f"{TENANT}.{centre}.machao.password").write_text(f"first-{centre}\n")
    (folder / f"{TENANT}-two.production.machao.password").write_text("another's\n")
    (folder / f"{TENANT}.production.tricenter.password").write_text("no member's\n")
    return tmp_path / "secrets"


def test_the_sheet_says_what_the_bureau_has() -> None:
    html = render(sheet(SITE, ROW, {"production": "https://id.example/v3", "same-city": None}))
    for wanted in ("machao", "10.210.28.128/25", "https://id.example/v3", "RPO", "li@desk", "wang@desk", "e-archives"):
        assert wanted in html


def test_the_sheet_is_written_as_page_and_paper(tmp_path: Path) -> None:
    page, paper = write_sheet(tmp_path, sheet(SITE, ROW, {"production": None}))
    assert page.read_text().startswith("<!doctype html>")
    assert paper.read_bytes().startswith(b"%PDF")


def test_first_passwords_are_written_once_and_no_longer_wait(tmp_path: Path, waiting_folder: Path) -> None:
    waiting = first_passwords(waiting_folder, SITE, TENANT)
    assert [each.centre for each in waiting] == ["production", "same-city"]
    to = tmp_path / "for-machao.json"
    hand_over(waiting, TENANT, to, recipient="", passphrase="")
    assert to.stat().st_mode & 0o077 == 0
    told = json.loads(to.read_text())["first_passwords"]
    assert [each["password"] for each in told] == ["first-production", "first-same-city"]
    assert first_passwords(waiting_folder, SITE, TENANT) == []
    assert len(list((waiting_folder / "handover").iterdir())) == 2


def test_nothing_is_written_over_and_then_nothing_is_deleted(tmp_path: Path, waiting_folder: Path) -> None:
    to = tmp_path / "there"
    to.write_text("kept")
    waiting = first_passwords(waiting_folder, SITE, TENANT)
    with pytest.raises(Refused):
        hand_over(waiting, TENANT, to, recipient="", passphrase="")
    assert to.read_text() == "kept"
    assert first_passwords(waiting_folder, SITE, TENANT) == waiting


def test_a_sealed_file_opens_for_its_recipient_only(tmp_path: Path, waiting_folder: Path) -> None:
    waiting = first_passwords(waiting_folder, SITE, TENANT)
    with pytest.raises(InvalidInput):
        hand_over(waiting, TENANT, tmp_path / "x", recipient="age1nothing", passphrase="")
    key = pyrage.x25519.Identity.generate()
    hand_over(waiting, TENANT, tmp_path / "sealed", recipient=str(key.to_public()), passphrase="")
    data = (tmp_path / "sealed").read_bytes()
    assert b"first-" not in data
    assert "first-production" in pyrage.decrypt(data, [key]).decode()
    with pytest.raises(pyrage.DecryptError):
        pyrage.decrypt(data, [pyrage.x25519.Identity.generate()])


def test_a_passphrase_seals_as_well(tmp_path: Path, waiting_folder: Path) -> None:
    waiting = first_passwords(waiting_folder, SITE, TENANT)
    hand_over(waiting, TENANT, tmp_path / "sealed", recipient="", passphrase="long enough words")
    data = (tmp_path / "sealed").read_bytes()
    assert "first-production" in pyrage.passphrase.decrypt(data, "long enough words").decode()
