"""An application's bucket, backed up, replicated, restored from the province, and put back: on real stores.

One server is everything: the vaults of both centres, by buckets of their own, and the application's stores.
"""

from __future__ import annotations

import hashlib
import io
import json
import secrets
from collections.abc import Callable, Iterator
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from orchestrator import cli
from orchestrator.app import App
from orchestrator.backups.document import SourceProof, read_document
from orchestrator.backups.objects.folder import SIDECAR, hash_unpacked
from orchestrator.backups.objects.manifest import Objects, ObjectState, hash_archive, objects_from_facts
from orchestrator.backups.places import Back, place_from, place_of
from orchestrator.backups.places.bucket import BucketPlace, State, hash_objects
from orchestrator.backups.seal.bucket import prove_bucket_sealed, seal_bucket
from orchestrator.backups.sources import check_source
from orchestrator.backups.sources.bucket import list_objects, write_objects
from orchestrator.catalogue.records import Point
from orchestrator.errors import CheckFailed, CredentialRefused, InvalidInput, TricenterError
from orchestrator.secrets import write_private
from orchestrator.vault.objects import ObjectStore
from orchestrator.vault.restic import Repository
from policies.site import SystemRef
from tests.bench.servers import ADMIN, READER, REGION, Weed

pytestmark = pytest.mark.integration

RUN = "20261123T101500Z-3f9a1c07"
NOWHERE = Path("/nonexistent")
LARGE = bytes(range(256)) * 4096 * 3
SAID = {
    "content-type": "text/plain; charset=utf-8",
    "cache-control": "no-store",
    "x-amz-meta-owner": "two  spaces",
    "x-amz-meta-title": "文件".encode().decode("latin-1"),
}
CONTENT = {
    "2026/文档 甲+乙.txt": b"one",
    "empty": b"",
    "large.bin": LARGE,
    "a": b"a file",
    "a/b": b"and a folder",
    "100%/q?x=1#f&<>": b"quoted",
    **{f"small/{number:03}": b"%d" % number * 300 for number in range(60)},
}

SITE = """
site: {name}
title: {{zh: 测试站点, en: Test site}}
state: {state}
centres:
  production: {{title: {{zh: 生产, en: Production}}, location: {{latitude: 38.9, longitude: 121.6}}}}
  same-city:
    title: {{zh: 同城, en: Same city}}
    location: {{latitude: 39.05, longitude: 121.78}}
    vault: {{endpoint: '{weed}', bucket_prefix: near-, credential: file:admin.json, admin_credential: file:admin.json}}
  provincial:
    title: {{zh: 省级, en: Provincial}}
    location: {{latitude: 41.8, longitude: 123.4}}
    vault: {{endpoint: '{far}', bucket_prefix: far-, credential: file:admin.json, admin_credential: file:admin.json}}
repository_password: file:password
"""

BUREAU = """
tenant: bureau
title: {{zh: 测试局, en: Test bureau}}
unit_code: T-0001
mlps_level: 2
contact: nobody
systems:
  archive:
    title: {{zh: 档案, en: Archive}}
    tier: remote-dr
    sources:
      files: {{kind: bucket, endpoint: '{weed}', bucket: app-files, prefix: live/, credential: file:reader.json}}
    standby:
      same-city:
        files: {{kind: bucket, endpoint: '{weed}', bucket: app-standby, credential: file:admin.json}}
  hollow:
    title: {{zh: 空, en: Hollow}}
    tier: data-backup
    sources:
      files: {{kind: bucket, endpoint: '{weed}', bucket: app-hollow, credential: file:reader.json}}
"""


@dataclass(frozen=True)
class Told:
    stdout: str
    stderr: str


@dataclass(frozen=True)
class Town:
    """A site whose system `archive` is what is below `live/` of the bucket `app-files`."""

    folder: Path
    weed: Weed

    @property
    def app(self) -> App:
        return App(self.folder, None)

    @property
    def ref(self) -> SystemRef:
        return self.app.system("bureau/archive")

    @property
    def live(self) -> ObjectStore:
        return self.store("app-files")

    @property
    def place(self) -> BucketPlace:
        place = place_of(self.ref, "same-city", "files")
        assert isinstance(place, BucketPlace)
        return place

    def store(self, bucket: str) -> ObjectStore:
        return ObjectStore("production", self.weed.endpoint, REGION, bucket, ADMIN)

    def tricenter(self, *words: str, code: int = 0) -> Told:
        """Run a command in this process: most of one of its own is its start."""
        out, err = io.StringIO(), io.StringIO()
        with redirect_stdout(out), redirect_stderr(err):
            ended = cli.run(["--site", str(self.folder), *words])
        told = Told(out.getvalue(), err.getvalue())
        assert ended == code, f"{words}: code {ended}, want {code}\n{told.stdout}\n{told.stderr}"
        return told

    def json(self, *words: str, code: int = 0) -> Any:
        return json.loads(self.tricenter(*words, "--output", "json", code=code).stdout)

    def back_up(self) -> Point:
        app = self.app  # in this process: most of a command's time is its start
        try:
            point: Point = app.runner.run("backup", {"system": str(self.ref)}).point
            return point
        finally:
            app.runner.close()

    def edited(self, old: str, new: str) -> None:
        file = self.folder / "tenants" / "bureau.yaml"
        text = file.read_text("utf-8")
        assert old in text
        file.write_text(text.replace(old, new), "utf-8")


def fill(store: ObjectStore, prefix: str, content: dict[str, bytes]) -> None:
    for key, body in content.items():
        store.write(prefix + key, body, SAID)


def states(content: dict[str, bytes]) -> Objects:
    return {key: ObjectState(len(body), hashlib.sha256(body).hexdigest(), SAID) for key, body in content.items()}


def held(store: ObjectStore, prefix: str = "") -> Objects:
    return hash_objects(store, list_objects(store, prefix))


def ours_left(store: ObjectStore) -> list[str]:
    return [each.key for each in store.look() if ".tricenter-" in each.key]


@pytest.fixture(scope="module")
def town(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Town]:
    weed = Weed(tmp_path_factory.mktemp("weed") / "weed", centre="production")
    folder = tmp_path_factory.mktemp("site") / "site"
    (folder / "tenants").mkdir(parents=True)
    name = f"t{secrets.token_hex(4)}"
    texts = {"site.yaml": SITE, "tenants/bureau.yaml": BUREAU}
    far = weed.endpoint.replace("127.0.0.1", "localhost")  # two centres may not share a store
    for file, text in texts.items():
        filled = text.format(name=name, state=folder.parent / "state", weed=weed.endpoint, far=far)
        (folder / file).write_text(filled, encoding="utf-8")
    for file, credential in (("admin.json", ADMIN), ("reader.json", READER)):
        keys = {"access_key": credential.access_key, "secret_key": credential.secret_key}
        write_private(folder / file, json.dumps(keys))
    write_private(folder / "password", secrets.token_hex(8))
    try:
        weed.start()
        for bucket in ("near-bureau", "far-bureau", "app-files", "app-standby", "app-hollow"):
            weed.admin().ensure_bucket(bucket, lock_days=0)
        made = Town(folder, weed)
        fill(made.live, "live/", CONTENT)
        made.live.write("elsewhere", b"not of this source", SAID)
        yield made
    finally:
        weed.stop()


def test_a_bucket_is_restored_from_the_province_object_by_object(town: Town, tmp_path: Path) -> None:
    town.tricenter("backup", "run", "bureau/archive", "--dry-run")
    (made,) = town.json("backup", "run", "bureau/archive")  # with a key that cannot write
    assert made["bytes"] == sum(map(len, CONTENT.values()))
    town.tricenter("replicate", "bureau/archive")
    town.tricenter("backup", "restore", "bureau/archive", "--centre", "provincial", "--target", str(tmp_path / "back"))
    back = tmp_path / "back" / "files"
    assert hash_unpacked(back) == states(CONTENT)
    said = json.loads((back / SIDECAR).read_text("utf-8"))["objects"]
    assert (back / "objects" / said["2026/文档 甲+乙.txt"]["path"]).read_bytes() == b"one"
    drilled = town.json("drill", "run", "bureau-archive", "--centre", "provincial")
    ((probe,),) = [each["probes"] for each in drilled["systems"]]
    assert probe["name"] == "objects:files"
    assert probe["passed"]
    assert f"{len(CONTENT)} objects, SHA-256 and metadata equal" in probe["got"]


def test_an_unchanged_bucket_adds_next_to_nothing_and_a_change_little(town: Town) -> None:
    town.back_up()
    assert town.back_up().added_bytes < 20_000
    noise = secrets.token_bytes(300_000)
    town.live.write("live/small/010", noise, SAID)
    try:
        # The object, and the chunk on either side of it at most: restic's are of 8 MiB at the largest.
        assert 300_000 < town.back_up().added_bytes < 300_000 + len(LARGE)
    finally:
        town.live.write("live/small/010", CONTENT["small/010"], SAID)


def test_what_changes_or_goes_while_it_is_read(town: Town) -> None:
    store = town.live
    fill(store, "moving/", {"changes": b"before", "goes": b"soon", "stays": b"here"})
    listed = list_objects(store, "moving/")
    store.write("moving/changes", b"after, and longer", SAID)
    store.delete("moving/goes")
    archive = bytearray()
    objects = write_objects(store, listed, archive.extend, lambda size: None)
    settled = states({"changes": b"after, and longer", "stays": b"here"})
    assert objects == settled | {"goes": ObjectState(4, None, {})}

    class Stream:
        at = 0

        def read(self, size: int = -1, /) -> bytes:
            piece = bytes(archive[self.at : self.at + size])
            self.at += len(piece)
            return piece

    assert hash_archive(Stream()) == settled


@pytest.mark.parametrize(
    ("old", "new", "kind", "said"),
    [
        ("bucket: app-hollow", "bucket: app-missing", InvalidInput, "does not exist"),
        ("bucket: app-hollow", "bucket: secret-hollow", CredentialRefused, "refused the credential"),
        ("hollow, credential: file:reader.json", "hollow, credential: file:password", InvalidInput, "want JSON"),
    ],
)
def test_a_bucket_that_cannot_be_read_is_told_before_the_backup(
    town: Town, old: str, new: str, kind: type[TricenterError], said: str
) -> None:
    town.edited(old, new)
    try:
        app = town.app
        with pytest.raises(kind, match=said) as told:
            check_source(app, app.system("bureau/hollow"), "files", "production")
        assert told.value.hint
    finally:
        town.edited(new, old)


def test_an_empty_bucket_makes_no_point_unless_it_may_be_empty(town: Town) -> None:
    assert "may_be_empty" in town.tricenter("backup", "run", "bureau/hollow", code=2).stderr
    assert town.json("backup", "list", "bureau/hollow") == []
    town.edited("app-hollow,", "app-hollow, may_be_empty: true,")
    try:
        (point,) = town.json("backup", "run", "bureau/hollow")
        assert point["bytes"] == 0
    finally:
        town.edited("app-hollow, may_be_empty: true,", "app-hollow,")


def test_a_store_that_is_away_is_6(town: Town) -> None:
    own = f"'{town.weed.endpoint}', bucket: app-hollow"
    town.edited(own, "'http://127.0.0.1:9', bucket: app-hollow")
    try:
        assert "object store" in town.tricenter("backup", "run", "bureau/hollow", code=6).stderr
    finally:
        town.edited("'http://127.0.0.1:9', bucket: app-hollow", own)


# --- the place


@pytest.fixture(scope="module")
def held_in_vault(town: Town) -> tuple[Repository, SourceProof]:
    point = town.back_up()
    repository = town.app.repository("same-city", town.ref)
    return repository, read_document(repository, point).proof("files")


@pytest.fixture
def restored(town: Town, held_in_vault: tuple[Repository, SourceProof]) -> Iterator[tuple[Repository, SourceProof]]:
    """A point of the bucket, and a standby bucket in which something else stands."""
    store = town.store("app-standby")
    fill(store, "", OLD)
    yield held_in_vault
    for each in store.look():
        store.delete(each.key)


OLD = {"a": b"the old a", "old/旧": b"only there"}


def test_put_leaves_the_place_alone_and_swap_undo_brings_it_back(
    town: Town, restored: tuple[Repository, SourceProof]
) -> None:
    (repository, proof), place, store = restored, town.place, town.store("app-standby")
    place.check(town.app, proof.copy.bytes)
    with pytest.raises(CheckFailed, match="nothing was restored"):
        place.swap(town.app, RUN)
    place.put(town.app, RUN, repository, proof, NOWHERE)
    assert held(store) == states(OLD)
    assert place.data(town.app, RUN, NOWHERE).prove(proof).proved
    swapped = place.swap(town.app, RUN)
    assert place.swap(town.app, RUN) == swapped
    assert swapped.before
    assert held(store) == states(CONTENT)
    assert place.data(town.app, RUN, NOWHERE).prove(proof).proved
    assert place.put(town.app, RUN, repository, proof, NOWHERE).beside == str(place)  # it stands there: not again
    store.write("written since", b"x", SAID)
    assert not place.data(town.app, RUN, NOWHERE).prove(proof).proved
    assert place.undo(town.app, RUN) is Back.BACK
    assert held(store) == states(OLD)
    assert ours_left(store) == []
    assert place.undo(town.app, RUN) is Back.NOTHING


def test_commit_drops_what_stood_there_and_there_is_no_way_back(
    town: Town, restored: tuple[Repository, SourceProof]
) -> None:
    (repository, proof), store = restored, town.store("app-standby")
    place = place_from(town.place.as_argument())
    assert place == town.place
    place.put(town.app, RUN, repository, proof, NOWHERE)
    with pytest.raises(CheckFailed, match="nothing was swapped"):
        place.commit(town.app, RUN)
    place.swap(town.app, RUN)
    place.drop(town.app, RUN)  # what was swapped is left alone
    place.commit(town.app, RUN)
    place.commit(town.app, RUN)
    assert held(store) == states(CONTENT)
    assert ours_left(store) == []
    assert place.undo(town.app, RUN) is Back.NOTHING
    assert held(store) == states(CONTENT)


class Killed(Exception):
    """Stands for kill -9: it is raised between two requests."""


@pytest.mark.parametrize(
    ("act", "after"), [("put", 1), ("put", 40), ("swap", 1), ("swap", 3), ("swap", 40), ("undo", 3), ("commit", 2)]
)
def test_killed_between_any_two_writes_a_rerun_makes_it_good(
    town: Town,
    restored: tuple[Repository, SourceProof],
    monkeypatch: pytest.MonkeyPatch,
    act: str,
    after: int,
) -> None:
    (repository, proof), place, store = restored, town.place, town.store("app-standby")
    acts: dict[str, Callable[[], Any]] = {
        "put": lambda: place.put(town.app, RUN, repository, proof, NOWHERE),
        "swap": lambda: place.swap(town.app, RUN),
        "undo": lambda: place.undo(town.app, RUN),
        "commit": lambda: place.commit(town.app, RUN),
    }
    for before in {"put": [], "swap": ["put"]}.get(act, ["put", "swap"]):
        acts[before]()
    with monkeypatch.context() as patch:
        _die_after(patch, after)
        with pytest.raises(Killed):
            acts[act]()
    if act == "put":
        assert held(store) == states(OLD)
        assert place.undo(town.app, RUN) in (Back.NOTHING, Back.DROPPED)
        assert ours_left(store) == []
        return
    acts[act]()
    if act == "swap":
        assert held(store) == states(CONTENT)
        assert place.undo(town.app, RUN) is Back.BACK
    assert held(store) == states(CONTENT if act == "commit" else OLD)
    assert ours_left(store) == []


def _die_after(patch: pytest.MonkeyPatch, writes: int) -> None:
    left = iter(range(writes))
    for name in ("send", "copy", "delete"):
        real = getattr(ObjectStore, name)

        def act(self: ObjectStore, *words: Any, real: Any = real, **more: Any) -> Any:
            if next(left, None) is None:
                raise Killed
            return real(self, *words, **more)

        patch.setattr(ObjectStore, name, act)


def test_a_backup_passes_over_what_a_run_keeps_there(town: Town) -> None:
    store = town.store("app-standby")
    fill(store, "", {"a": b"1", f".tricenter-{RUN}/new/a": b"2"})
    try:
        assert list(list_objects(store, "")) == ["a"]
        assert State("restored")
    finally:
        for each in store.look():
            store.delete(each.key)


def test_a_seal_finds_who_writes_and_what_is_in_no_copy(town: Town) -> None:
    point = town.back_up()
    proof = read_document(town.app.repository("same-city", town.ref), point).proof("files")
    sealed = seal_bucket(town.live, "live/", "files", "app-files", quiet_seconds=0)
    assert prove_bucket_sealed(town.live, "live/", sealed, proof).proved
    town.live.write("live/late", b"x", SAID)
    try:
        found = prove_bucket_sealed(town.live, "live/", sealed, proof)
        assert set(found.faults) == {"late changed", "surplus late"}
    finally:
        town.live.delete("live/late")
    assert set(objects_from_facts(proof.facts)) == set(CONTENT)
