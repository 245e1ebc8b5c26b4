"""Never two active centres: registers on real stores, centres that are gone, orchestrators that come back."""

from __future__ import annotations

import re
import socket
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import psycopg
import pytest

from orchestrator.app import App
from orchestrator.catalogue.epochs import active_centre, current_epoch
from orchestrator.epoch.fence import Fenced, check_fence
from orchestrator.epoch.raising import EpochRaised, establish, raise_epoch
from orchestrator.epoch.registers import Registers
from orchestrator.errors import Refused, Unreachable
from orchestrator.vault.register import Register
from policies.epoch import Log, Promise, highest
from tests.conftest import RunningLab
from tests.integration.conftest import SmallSite, make_site

pytestmark = pytest.mark.integration

REGISTRY, NOTICES = "bureau/registry", "bureau/notices"
#: A black hole costs its deadlines once: to connect, to answer, and some for a busy machine.
FEW_SECONDS = 10.0


def raised(app: App, centre: str, run: str, *, forced: str | None = None, expected: int | None = None) -> EpochRaised:
    people = {"declared_by": "li@duty", "approved_by": "wang@duty"}
    return raise_epoch(app, {REGISTRY: centre}, **people, run=run, forced=forced, expected=expected)


@pytest.fixture
def black_hole() -> Iterator[int]:
    """A port that takes connections and never says a word."""
    with socket.create_server(("127.0.0.1", 0), backlog=64) as server:
        yield server.getsockname()[1]


@pytest.fixture
def dead_port() -> int:
    """A port that nothing listens on."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        number: int = server.getsockname()[1]
    return number


def cut_off(site: SmallSite, folder: Path, port: int, *centres: str) -> SmallSite:
    """Return the site as seen from where these centres' vaults lead to `port`."""
    app = site.app
    folder.mkdir(exist_ok=True)

    def change(text: str) -> str:
        for number, centre in enumerate(centres, 1):  # each an address of its own: no two centres share a vault
            text = text.replace(app.vault(centre).endpoint, f"http://127.0.0.{number}:{port}")
        return text

    return replace(site, overlay=site.edited(folder, change))


def other_orchestrator(site: SmallSite, folder: Path) -> SmallSite:
    """Return the site as another orchestrator has it: with a state folder, and so a catalogue, of its own."""
    folder.mkdir()
    state = str(site.app.state)
    return replace(site, overlay=site.edited(folder, lambda text: text.replace(f"state: {state}", f"state: {folder}")))


# --- registers


def test_of_several_writers_at_once_one_is_the_next(fresh_site: SmallSite) -> None:
    app = fresh_site.app
    assert establish(app, Registers(app.registers)) != ()
    for register in app.registers.values():
        for _ in range(5):
            log = register.read()
            won = race(register, log, 4)
            assert won.count(True) == 1
            now = register.read()
            assert now[:-1] == log
            assert now[-1].by == f"writer-{won.index(True)}"  # type: ignore[union-attr]
            assert register.read_end() == now


def race(register: Register, log: Log, writers: int) -> list[bool]:
    """Let several writers add the next entry at the same moment, and return who was told that he did."""
    start = threading.Barrier(writers)

    def add(number: int) -> bool:
        start.wait()
        return register.append(log, Promise(highest(log) + 10, f"writer-{number}")).done

    with ThreadPoolExecutor(writers) as pool:
        return list(pool.map(add, range(writers)))


def test_two_operators_at_once(fresh_site: SmallSite) -> None:
    def operate(number: int) -> EpochRaised | Refused:
        try:
            return raised(fresh_site.app, ("same-city", "provincial")[number], f"operator-{number}", expected=0)
        except Refused as error:
            return error

    with ThreadPoolExecutor(2) as pool:
        ended = list(pool.map(operate, range(2)))
    winners = [each for each in ended if isinstance(each, EpochRaised)]
    assert len(winners) == 1
    shown = fresh_site.json("epoch", "show")
    assert shown["active"][REGISTRY]["centre"] == winners[0].systems[REGISTRY]
    assert shown["contested"] == []


def test_a_run_that_is_resumed_finds_what_it_raised(fresh_site: SmallSite) -> None:
    first = raised(fresh_site.app, "same-city", "run-1", expected=0)
    again = raised(fresh_site.app, "same-city", "run-1", expected=0)

    assert (again.epoch, again.digest) == (first.epoch, first.digest)
    with pytest.raises(Refused, match="another one than what was approved"):
        raised(fresh_site.app, "provincial", "run-2", expected=0)


@pytest.mark.parametrize("gone", ["black hole", "dead"])
def test_a_centre_that_is_gone_costs_seconds_and_force_is_on_record(
    fresh_site: SmallSite, tmp_path: Path, black_hole: int, dead_port: int, gone: str
) -> None:
    lonely = cut_off(fresh_site, tmp_path / "lonely", black_hole if gone == "black hole" else dead_port, "same-city")
    began = time.monotonic()
    with pytest.raises(Refused, match=r"1 of the 2 centres .* \(provincial\)"):
        raised(lonely.app, "provincial", "run-1")
    assert time.monotonic() - began < FEW_SECONDS
    began = time.monotonic()
    done = raised(lonely.app, "provincial", "run-1", forced="both seen burning")
    assert time.monotonic() - began < FEW_SECONDS
    assert (done.epoch, done.held, done.forced) == (13, ("provincial",), "both seen burning")

    shown = lonely.json("epoch", "show")
    assert [each["reachable"] for each in shown["registers"]] == [False, True]
    # Same-city comes back and was never told.
    assert fresh_site.json("epoch", "heal")["written"] == ["same-city"]
    shown = fresh_site.json("epoch", "show")
    assert [each["epoch"] for each in shown["registers"]] == [13, 13]
    assert shown["current"]["forced"] == "both seen burning"


def test_nothing_is_raised_where_no_vault_answers(fresh_site: SmallSite, tmp_path: Path, dead_port: int) -> None:
    nowhere = cut_off(fresh_site, tmp_path / "nowhere", dead_port, "same-city", "provincial")
    with pytest.raises(Refused, match="none"):
        raised(nowhere.app, "provincial", "run-1", forced="all is lost")
    with pytest.raises(Unreachable):
        check_fence(nowhere.app, REGISTRY, "same-city")
    nowhere.tricenter("epoch", "show", code=6)


def test_both_sides_of_a_cut_force_and_the_higher_epoch_holds(
    fresh_site: SmallSite, tmp_path: Path, dead_port: int
) -> None:
    near_state, far_state = tmp_path / "near", tmp_path / "far"
    near = cut_off(other_orchestrator(fresh_site, near_state), tmp_path / "n", dead_port, "provincial")
    far = cut_off(other_orchestrator(fresh_site, far_state), tmp_path / "f", dead_port, "same-city")
    one = raised(near.app, "same-city", "near", forced="the province is down")
    other = raised(far.app, "provincial", "far", forced="the city is down")
    assert one.epoch < other.epoch
    # Each writes in its own vault, as it must believe; the line comes back, and one of them is told.
    assert check_fence(near.app, REGISTRY, "same-city").centre == "same-city"
    healed = replace(near, overlay=other_orchestrator(fresh_site, tmp_path / "h").overlay)
    shown = healed.json("epoch", "show", code=4)
    assert shown["active"][REGISTRY] == {"centre": "provincial", "since": other.epoch}
    assert [each["epoch"] for each in shown["contested"]] == [one.epoch]
    healed.json("epoch", "heal")
    with pytest.raises(Fenced, match="made bureau/registry active at provincial"):
        check_fence(near.app, REGISTRY, "same-city")
    raised(fresh_site.app, "provincial", "settled")
    assert fresh_site.json("epoch", "show")["contested"] == []


def test_a_fence_brings_a_register_up_to_date(fresh_site: SmallSite, tmp_path: Path, dead_port: int) -> None:
    lonely = cut_off(fresh_site, tmp_path / "lonely", dead_port, "same-city")
    done = raised(lonely.app, "provincial", "run-1", forced="the city is down")
    assert fresh_site.app.registers["same-city"].read() == ()

    assert check_fence(fresh_site.app, REGISTRY, "same-city").since == done.epoch
    stranger = other_orchestrator(fresh_site, tmp_path / "stranger")
    with pytest.raises(Fenced):
        check_fence(stranger.app, REGISTRY, "same-city")


# --- the old centre comes back


@pytest.fixture(scope="module")
def moved(lab: RunningLab, tmp_path_factory: pytest.TempPathFactory) -> tuple[SmallSite, SmallSite]:
    """A site of which `registry` was moved to same-city by a new orchestrator, while the old one was away."""
    folder = tmp_path_factory.mktemp("moved")
    old = make_site(lab, folder / "site", scale=0.05)
    old.tricenter("backup", "run")
    old.tricenter("replicate", "--from", "same-city", "--to", "provincial")
    new = other_orchestrator(old, folder / "new")
    raised(new.app, "same-city", "failover", expected=0)
    return old, new


def test_a_stale_orchestrator_is_refused(moved: tuple[SmallSite, SmallSite]) -> None:
    old, _ = moved
    where = re.compile(r"fenced: epoch 10 made bureau/registry active at same-city")
    for words in (
        ("backup", "run", REGISTRY),
        ("backup", "expire", REGISTRY, "--centre", "same-city"),
        ("replicate", REGISTRY, "--from", "same-city", "--to", "provincial"),
    ):
        ended = old.tricenter(*words, code=5)
        assert where.search(ended.stderr + ended.stdout), ended.stderr
        assert "tricenter rejoin" in ended.stderr
    # What was not moved goes on.
    old.tricenter("backup", "run", NOTICES)
    shown = old.json("epoch", "show", code=4)
    assert shown["local"] == {"epoch": 0, "stale": [REGISTRY]}


def test_the_new_orchestrator_reads_the_system_where_it_is_active(
    moved: tuple[SmallSite, SmallSite], tmp_path: Path
) -> None:
    _, new = moved
    refused = new.tricenter("backup", "run", REGISTRY, code=2)
    assert "is active at same-city, and its source 'register' has no place there" in refused.stderr
    ref = new.app.system(REGISTRY)
    register, scans = ref.system.sources["register"], tmp_path / "scans"
    scans.mkdir()
    (scans / "only-at-the-standby.txt").write_text("x")
    standby = {
        "register": {
            name: getattr(register, name) for name in ("kind", "host", "port", "database", "user", "password")
        },
        "scans": {"kind": "path", "path": str(scans)},
    }
    text = new.overlay.read_text(encoding="utf-8")
    place = "      registry:\n"
    assert place in text
    overlay = tmp_path / "overlay.yaml"
    overlay.write_text(text.replace(place, f"{place}        standby: {{same-city: {standby!r}}}\n"), encoding="utf-8")
    ready = replace(new, overlay=overlay)
    ready.tricenter("backup", "run", REGISTRY)
    target = tmp_path / "restored"
    ready.tricenter("backup", "restore", REGISTRY, "--centre", "same-city", "--target", str(target))
    assert [each.name for each in target.rglob("*.txt")] == ["only-at-the-standby.txt"]


def test_the_old_centre_rejoins_and_its_rows_are_in_quarantine(moved: tuple[SmallSite, SmallSite]) -> None:
    old, _ = moved
    app = old.app
    before = {each.point.id for each in app.catalogue.points_at()}
    wrote = diverge(app)
    ended = old.json("rejoin", "production")

    [taken] = ended["quarantined"]
    found = {each["what"]: each for each in taken["summary"]["sources"]["register"]["differences"]}
    assert {name: (each["added"], each["changed"], each["missing"]) for name, each in found.items()} == wrote
    files = taken["summary"]["sources"]["scans"]["differences"][0]
    assert (files["added"], files["changed"], files["missing"]) == (1, 0, 1)
    assert files["first_added"] == ["written-while-away.txt"]
    assert ended["adopted"] == [10]
    # No recovery point, and none of what there was is gone.
    assert {each.point.id for each in old.app.catalogue.points_at()} == before
    assert active_centre(old.app.catalogue, REGISTRY) == "same-city"
    assert current_epoch(old.app.catalogue) == 10
    old.tricenter("epoch", "show")
    # Again: nothing is taken twice.
    assert [each["quarantine"] for each in old.json("rejoin", "production")["quarantined"]] == [taken["quarantine"]]
    shown = old.tricenter("quarantine", "show", taken["quarantine"]).stdout
    assert all(table in shown for table in wrote)
    assert "900001" not in shown  # of rows only digests are told
    assert [each["quarantine"] for each in old.json("quarantine", "list", REGISTRY)] == [taken["quarantine"]]


def test_retention_leaves_a_quarantine_alone(moved: tuple[SmallSite, SmallSite]) -> None:
    old, _ = moved
    [taken] = old.json("quarantine", "list", REGISTRY)
    old.tricenter("backup", "expire", REGISTRY, "--centre", "same-city")
    there = {each.id for each in old.app.repository("same-city", old.app.system(REGISTRY)).snapshots()}

    assert {taken["document"], *(each["snapshot_id"] for each in taken["sources"])} <= there


def diverge(app: App) -> dict[str, tuple[int, int, int]]:
    """Write at the old centre what the new one does not know of; return rows added, changed, missing of each table."""
    ref = app.system(REGISTRY)
    source, scans = ref.system.sources["register"], ref.system.sources["scans"]
    assert source.kind == "postgresql"
    assert scans.kind == "path"
    tree = Path(scans.path)
    next(each for each in sorted(tree.rglob("*")) if each.is_file()).unlink()
    (tree / "written-while-away.txt").write_text("late")
    place = {"host": source.host, "port": source.port, "dbname": source.database, "user": source.user}
    with psycopg.connect(**place, password=app.secret(source.password).reveal(), autocommit=True) as db:
        db.execute(
            "insert into persons select 900000 + n, 'late', (900000 + n)::text, 'nowhere', '2000-01-01' "
            "from generate_series(1, 3) n"
        )
        db.execute("update persons set address = 'moved' where id in (select id from persons order by id limit 2)")
        gone = db.execute("delete from permit_events where permit_id = (select min(permit_id) from permit_events)")
        return {"public.persons": (3, 2, 0), "public.permit_events": (0, 0, gone.rowcount)}
