"""What the last copy reads: the databases of a system under the names that they have while they are sealed."""

from __future__ import annotations

from pathlib import Path

import pytest

from orchestrator.backups.databases import Mark, marks_in, name_of
from orchestrator.backups.places import place_of
from orchestrator.backups.places.path import PathPlace
from orchestrator.backups.places.postgresql import DatabasePlace
from orchestrator.backups.seal import sealed_ref
from orchestrator.errors import InvalidInput
from policies.load import load_site
from policies.site import SystemRef

RUN = "20261123T101500Z-3f9a1c07"
DALIAN = Path(__file__).parents[3] / "examples" / "dalian"


@pytest.fixture(scope="module")
def ref() -> SystemRef:
    found = load_site(DALIAN).system("natural-resources", "land-registry")
    assert found is not None
    there = {
        "register": found.system.sources["register"].model_copy(update={"host": "standby", "database": "register"})
    }
    return found._replace(system=found.system.model_copy(update={"standby": {"same-city": there}}))


def test_only_databases_are_called_otherwise_and_only_at_that_centre(ref: SystemRef) -> None:
    at_production = sealed_ref(ref, "production", RUN).system
    sealed = at_production.sources_at("production")["register"]
    assert sealed.kind == "postgresql"
    own = ref.system.sources["register"]
    assert own.kind == "postgresql"
    assert sealed.database == f"{own.database}_sealed_3f9a1c07"
    assert {name: each for name, each in at_production.sources.items() if each.kind != "postgresql"} == {
        name: each for name, each in ref.system.sources.items() if each.kind != "postgresql"
    }
    elsewhere = sealed_ref(ref, "same-city", RUN).system
    assert elsewhere.sources == ref.system.sources
    there = elsewhere.sources_at("same-city")["register"]
    assert there.kind == "postgresql"
    assert (there.host, there.database) == ("standby", "register_sealed_3f9a1c07")


def test_a_place_is_where_the_source_stands_at_that_centre(ref: SystemRef) -> None:
    place = place_of(ref, "same-city", "register")
    assert isinstance(place, DatabasePlace)
    assert place.host == "standby"
    kinds = {each.kind: name for name, each in ref.system.sources.items()}
    if "path" in kinds:
        assert isinstance(place_of(ref, "production", kinds["path"]), PathPlace)
        with pytest.raises(InvalidInput, match="has no place at same-city") as said:
            place_of(ref, "same-city", kinds["path"])
        assert "standby.same-city" in said.value.hint


def test_marks_keep_the_comments_that_they_replace() -> None:
    first = Mark("sealed", "a", "db", "db", "the register", open=True, read_only=None)
    second = Mark("before", "b", "db", "db_sealed_a", first.as_comment(), open=True)
    assert marks_in(second.as_comment()) == [second, first]
    assert marks_in("the register") == marks_in(None) == marks_in('{"other": 1}') == []


def test_names_of_two_runs_and_of_two_purposes_differ() -> None:
    names = {name_of("register", what, run) for what in ("new", "before", "sealed") for run in (RUN, "other", "part-1")}
    assert len(names) == 9
