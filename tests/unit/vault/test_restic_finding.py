"""What restic says of packs: which are damaged, what indexes name, and which snapshots need a blob."""

from __future__ import annotations

from orchestrator.vault.restic import argv
from orchestrator.vault.restic.failures import Damaged
from orchestrator.vault.restic.messages import parse_found, parse_index

PACK, OTHER = "a" * 64, "b" * 64


def test_a_pack_that_no_index_names_is_not_a_damaged_one():
    said = f"pack {OTHER}: not referenced in any index\npack {PACK}: does not exist\nFatal: repository contains errors"
    assert Damaged("here", said).packs == (PACK,)


def test_an_index_names_packs_and_their_blobs():
    blob = '{"id": "1", "type": "data", "offset": 0, "length": 9}'
    assert parse_index(f'{{"packs": [{{"id": "{PACK}", "blobs": [{blob}]}}]}}') == {PACK: [("1", "data")]}
    assert parse_index("{}") == {}


def test_each_snapshot_is_found_once_and_a_search_in_vain_finds_none():
    assert parse_found('[{"id": "1", "snapshot": "s"}, {"id": "2", "snapshot": "s"}]') == {"s"}
    assert parse_found("[]") == parse_found("null") == set()


def test_folders_and_data_are_looked_for_apart_and_without_a_lock():
    assert argv.find("tree", ["1", "2"]) == ["find", "--no-lock", "--tree", "1", "2"]
    assert argv.find("data", ["1"]) == ["find", "--no-lock", "--blob", "1"]
