"""What we ship is right as written: the default tiers, the starter site and the example, for us and for the schemas."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import jsonschema
import pytest

from policies.document import read
from policies.load import FOLDERS, check_site
from policies.plan import effective_probes
from policies.probe import PROOF_OF_KIND, SqlProbe
from policies.schema import MODELS, Kind, schema
from policies.site import Site

ROOT = Path(__file__).parents[3]
EXAMPLE = ROOT / "examples" / "dalian"
STARTER = ROOT / "policies" / "starter"
DEFAULTS = ROOT / "policies" / "defaults"
KIND_OF_FOLDER: dict[str, Kind] = {"tiers": "tier", "tenants": "tenant", "plans": "plan"}


def files() -> list[tuple[Path, Kind]]:
    found: list[tuple[Path, Kind]] = [(EXAMPLE / "site.yaml", "site"), (STARTER / "site.yaml", "site")]
    for folder, kind in KIND_OF_FOLDER.items():
        found += [
            (file, kind) for root in (EXAMPLE, STARTER, DEFAULTS) for file in sorted((root / folder).glob("*.yaml"))
        ]
    return found


def plain(file: Path) -> Any:
    node, findings = read(file)  # as the program and editors read it: a date is text
    assert node is not None
    assert not findings
    return node.plain()


@pytest.fixture(scope="module")
def dalian() -> Site:
    site = check_site(EXAMPLE).site
    assert site is not None
    return site


def test_the_example_has_not_even_a_warning():
    assert check_site(EXAMPLE).findings == ()


def test_of_the_starter_only_the_custodians_are_asked_for_who_are_people():
    (found,) = check_site(STARTER).findings
    assert (found.severity, found.path) == ("warning", "escrow")


@pytest.mark.parametrize(("file", "kind"), files(), ids=lambda each: each.stem if isinstance(each, Path) else each)
def test_the_schemas_accept_what_we_ship(file, kind):
    jsonschema.Draft202012Validator(schema(kind)).validate(plain(file))


@pytest.mark.parametrize("kind", MODELS)
def test_a_schema_is_a_schema_and_knows_no_unknown_keys(kind):
    jsonschema.Draft202012Validator.check_schema(schema(kind))
    assert schema(kind)["additionalProperties"] is False


@pytest.mark.parametrize(
    ("kind", "file", "key", "wrong"),
    [
        ("site", EXAMPLE / "site.yaml", "repository_password", "hunter2"),
        ("tier", DEFAULTS / "tiers" / "data-backup.yaml", "backup_every", 8),
        ("tier", DEFAULTS / "tiers" / "data-backup.yaml", "gbt20988_level", 7),
        ("tenant", EXAMPLE / "tenants" / "archives.yaml", "secret", True),
        ("tenant", EXAMPLE / "tenants" / "archives.yaml", "quota", {"compute": {"cores": "lots"}}),
        ("plan", EXAMPLE / "plans" / "one-window.yaml", "systems", {"a/b": {"probes": [{"kind": "nothing"}]}}),
        ("plan", EXAMPLE / "plans" / "one-window.yaml", "systems", {}),
    ],
)
def test_the_schemas_refuse_what_is_wrong(kind, file, key, wrong):
    assert not jsonschema.Draft202012Validator(schema(kind)).is_valid({**plain(file), key: wrong})


def test_every_folder_of_a_site_has_a_schema():
    assert {MODELS[kind] for kind in KIND_OF_FOLDER.values()} == {model for model, _ in FOLDERS.values()}


def test_the_default_tiers_leave_room_below_the_rpo(dalian):
    assert set(dalian.tiers) == {"data-backup", "same-city-dr", "remote-dr"}
    for tier in dalian.tiers.values():
        assert all(tier.backup_every * 2 <= copy.rpo for copy in tier.copies.values())


def test_every_number_of_a_default_tier_says_that_it_is_a_proposal():
    for file in (DEFAULTS / "tiers").glob("*.yaml"):
        lines = file.read_text("utf-8").splitlines()
        for index, line in enumerate(lines):
            value = line.partition("#")[0].rstrip()
            if value[-1:] in tuple("smhdw") and value[-2:-1].isdigit():
                assert "[P]" in line or "[P]" in "".join(lines[max(0, index - 2) : index]), (file.name, line)


def test_the_example_shows_what_a_city_has(dalian):
    systems = list(dalian.systems())
    assert len(dalian.tenants) >= 6
    assert len(systems) >= 9
    assert {each.tier.tier for each in systems} == set(dalian.tiers)
    kinds = [source.kind for each in systems for source in each.system.sources.values()]
    assert kinds.count("volume") >= 1
    assert {"path", "postgresql"} <= set(kinds)
    assert {zone.kind for zone in dalian.zones.values()} == {"shared", "private", "internet"}
    amounts = [
        amount
        for tenant in dalian.tenants.values()
        for part in (tenant.quota.compute, tenant.quota.network, tenant.quota.block_storage)
        for amount in part.model_dump().values()
    ]
    assert {None, 0, -1} <= set(amounts)
    assert dalian.state is None


def test_the_plans_of_the_example_prove_every_source_and_ask_the_databases(dalian):
    asked = 0
    for plan in dalian.plans.values():
        for name in plan.systems:
            tenant, _, system_name = name.partition("/")
            system = dalian.tenants[tenant].systems[system_name]
            probes = effective_probes(plan, name, system)
            proofs = tuple(PROOF_OF_KIND.values())
            assert {each.source for each in probes if isinstance(each, proofs)} == set(system.sources)
            asked += any(isinstance(each, SqlProbe) for each in probes)
    assert asked >= 3


def test_the_readme_of_the_example_has_every_system_with_its_tier(dalian):
    page = (EXAMPLE / "README.md").read_text("utf-8")
    rows = [line for line in page.splitlines() if line.startswith("|")]
    for each in dalian.systems():
        assert any(f" {each.name} |" in row and f"`{each.tier.tier}`" in row for row in rows), each
    for tenant in dalian.tenants:
        assert any(f" {tenant} |" in row for row in rows), tenant
    production = dalian.centres["production"].location
    for centre in ("same-city", "provincial"):
        distance = round(production.distance_km(dalian.centres[centre].location))
        assert f"{distance} km" in page
