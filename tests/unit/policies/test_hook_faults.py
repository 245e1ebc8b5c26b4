"""Hooks and patterns of a site's file that cannot work: told with their line before anything is frozen."""

from __future__ import annotations

from pathlib import Path

import pytest

from policies.findings import Finding
from policies.load import check_site, load_site

FILES = "      files: {kind: path, path: /srv/his}\n"


def found(folder: Path, *, files: str = FILES, hooks: str = "") -> list[Finding]:
    tenant = folder / "tenants" / "health.yaml"
    text = tenant.read_text("utf-8")
    assert FILES in text
    tenant.write_text(text.replace(FILES, f"{files}").replace("    sources:\n", f"{hooks}    sources:\n"), "utf-8")
    return [each for each in check_site(folder).findings if each.severity == "fault"]


@pytest.mark.parametrize(
    ("hooks", "path", "told"),
    [
        ("{freeze: {run: [/bin/hold]}}", "hooks.freeze", "freeze without thaw"),
        ("{thaw: {run: [/bin/go]}}", "hooks.thaw", "thaw without freeze"),
        ("{freeze: {run: [hold | tee]}, thaw: {run: [/bin/go]}}", "hooks.freeze.run", "absolute path of a program"),
        (
            "{freeze: {run: [/bin/hold], timeout: 5m}, thaw: {run: [/bin/go]}}",
            "hooks.freeze.timeout",
            "less than longest, 5m",
        ),
        ("{sources: {fils: {before: {run: [/bin/sync]}}}}", "hooks.sources.fils", "did you mean files?"),
        ("{freeze: {run: []}, thaw: {run: [/bin/go]}}", "hooks.freeze.run", "want"),
    ],
)
def test_hooks_that_cannot_work_are_told(site_folder: Path, hooks: str, path: str, told: str) -> None:
    faults = found(site_folder, hooks=f"    hooks: {hooks}\n")
    assert [each.path.partition("systems.his.")[2] for each in faults] == [path]
    assert told in str(faults[0])


@pytest.mark.parametrize(
    ("pattern", "told"),
    [
        ("'!keep'", "takes files back in"),
        ("his", "leaves out /srv/his itself"),
        ("/logs", "matches nothing below /srv/his"),
        ("'[a'", "not closed"),
    ],
)
def test_a_pattern_that_the_proof_cannot_honour_is_told(site_folder: Path, pattern: str, told: str) -> None:
    faults = found(site_folder, files=f"      files: {{kind: path, path: /srv/his, exclude: [ok, {pattern}]}}\n")
    assert [each.path.partition("systems.his.")[2] for each in faults] == ["sources.files.exclude"]
    assert told in str(faults[0])


def test_hooks_are_those_of_production(site_folder: Path) -> None:
    hooks = "{freeze: {run: [/bin/hold, a b]}, thaw: {run: [/bin/go], timeout: 2m}, longest: 90s}"
    assert found(site_folder, hooks=f"    hooks: {hooks}\n") == []
    system = load_site(site_folder).tenants["health"].systems["his"]
    freeze = system.hooks_at("production").freeze
    assert freeze is not None
    assert freeze.run == ("/bin/hold", "a b")
    assert sorted(system.hooks.every) == ["freeze", "thaw"]
    assert system.hooks_at("same-city").every == {}
