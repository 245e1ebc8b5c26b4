"""Evidence packs: a drill through the real ledger, its pack, and the verifier that finds whatever was changed in it."""

from __future__ import annotations

import io
import json
import random
import sys
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from drills.corrections import follow_drill
from drills.evidence import conclude
from drills.measure import Objective
from drills.pack import verify
from drills.pack.build import build_pack, digest_in, write_pack
from drills.probes import ProbeResult
from drills.report.complete import complete_document
from drills.report.render import render_html, signed_digest
from drills.scenario import Part, Scenario
from orchestrator.catalogue.audit import Auditing, note
from orchestrator.catalogue.audit_check import check
from orchestrator.catalogue.corrections import findings, sign
from orchestrator.catalogue.ledger import Ledger
from orchestrator.catalogue.records import Order, Outcome, Point, RunState, SourceCopy, WorkerRow
from orchestrator.catalogue.store import Catalogue
from orchestrator.engine.journal import as_evidence
from orchestrator.errors import CheckFailed
from orchestrator.paper import as_pdf
from orchestrator.process import run
from policies.limits import Limit

pytestmark = pytest.mark.integration

VERIFIER = Path(verify.__file__)
LIMITS = {kind: Limit(concurrent=10) for kind in ("centre", "vault", "cloud", "tenant")}
TITLE = {"zh": "不动产登记系统", "en": "Land registry"}

PART = Part(
    tenant="bureau", tenant_title={"zh": "市自然资源局", "en": "Bureau"}, contact="李科长", system="registry",
    system_title=TITLE, tier="remote-dr", tier_title={"zh": "异地容灾", "en": "Remote DR"}, gbt20988_level=4,
    objective=Objective(3600, 7200), after=(), steps=({"do": "restore", "name": None, "on_failure": "halt"},),
    probes=(),
)  # fmt: skip
SCENARIO = Scenario(
    kind="restore", site="dalian", site_title={"zh": "大连市政务云", "en": "Dalian"}, plan="registry",
    plan_title=TITLE, plan_digest="sha256:12", owner="张工", centre="provincial",
    centre_title={"zh": "省级中心", "en": "Province"}, production_title={"zh": "生产", "en": "Production"},
    distance_km=355.8, deadline_seconds=100, outage_at=None, reason="演练", operator="chen@desk", host="h",
    program="tricenter", systems=(PART,),
)  # fmt: skip


def hold(ledger: Ledger, *, passes: bool = True) -> str:
    """Hold a drill of one system through the real ledger, with an approval; return its run."""
    catalogue = ledger.catalogue
    now = ledger.clock()
    whole = ledger.submit(Order("drill", "registry@provincial", {}, (), requested_by="chen@desk"))
    worker = f"w-{whole.id}"
    ledger.enlist(WorkerRow(worker, "worker", "away", 1, 1, "1", 1, now, now))
    claim = ledger.claim(worker, LIMITS, run_id=whole.id)
    assert claim
    part = Order(
        "recover", f"bureau/registry {whole.id}", {"system": "bureau/registry"}, (), parent=whole.id, part="registry"
    )
    copy = SourceCopy("files", "path", "a" * 64, now, 5, 1)
    point = Point("20261123T000000Z-p", "r", "bureau", "registry", "remote-dr", now, now, 5, 5, "d" * 64, (copy,))
    catalogue.add_point(point)
    catalogue.set_landings("provincial", "bureau", "registry", {point.id: now})
    landed = {"point": as_evidence(point), "centre": "provincial", "landed_at": now.isoformat()}

    def act(mine: object, step: str, left: object) -> None:
        attempt = ledger.start_attempt(mine, step)  # type: ignore[arg-type]
        ledger.end_attempt(mine, attempt, Outcome.PASSED, detail=left)  # type: ignore[arg-type]

    act(claim, "declare", as_evidence(SCENARIO))
    act(claim, "choose-point:bureau/registry", landed)
    ledger.send(whole.id, "approve", {"approved": True}, "wang@desk")
    (piece,) = ledger.submit_parts(claim, [part])
    own = ledger.claim(worker, LIMITS, run_id=piece.id)
    assert own
    with catalogue.engine.begin() as db:  # what others do meanwhile
        note(db, "message", "20261123T999999Z-other", now, {"secret": "of another bureau"})
    act(own, "restore:files", {"bytes": 5})
    probe = ProbeResult("manifest:files", passes, "1 files", "1 files" if passes else "0 files", ("<b>甲</b>",))
    act(own, "probe:1:manifest:files", as_evidence(probe))
    ledger.end(own, RunState.DONE)
    conclude(catalogue, whole.id, Path("/reports"))
    ledger.end(claim, RunState.DONE, result={"done": True})
    follow_drill(catalogue, complete_document(catalogue, whole.id))
    ledger.sealer.now()
    return whole.id


@pytest.fixture(scope="module", params=["sha256", "sm3"])
def ledger(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ledger]:
    catalogue = Catalogue(f"sqlite:///{tmp_path_factory.mktemp('pack') / 'catalogue.sqlite'}")
    yield Ledger(catalogue, Auditing(request.param, f"{request.param}:configuration"))
    catalogue.engine.dispose()


@pytest.fixture(scope="module")
def pack(ledger: Ledger) -> bytes:
    """The pack of a drill that three persons signed."""
    drill = hold(ledger)
    signed = signed_digest(complete_document(ledger.catalogue, drill))
    for role, person in (("prepared", "chen@desk"), ("reviewed", "liu@desk"), ("approved", "wang@desk")):
        sign(ledger.catalogue, drill, role, person, signed)
    ledger.sealer.now()
    return build_pack(ledger.catalogue, complete_document(ledger.catalogue, drill))


def verdict(pack: bytes, tmp_path: Path, *words: str) -> tuple[int, str]:
    """Run the verifier that stands in the pack as an auditor does, and return its exit code and what it said."""
    path = tmp_path / "pack.zip"
    path.write_bytes(pack)
    ended = run([sys.executable, "-I", str(VERIFIER), str(path), *words], deadline_seconds=60, check=False)
    assert "Traceback" not in ended.stderr
    return ended.code, ended.stdout


def says(pack: bytes, tmp_path: Path) -> str | None:
    """Return what the verifier finds wrong, None when nothing."""
    path = tmp_path / "pack.zip"
    path.write_bytes(pack)
    try:
        list(verify.verify(verify.read_zip(path)))
    except verify.Broken as broken:
        return str(broken)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        return f"unreadable: {error}"
    return None


def contents(pack: bytes) -> dict[str, bytes]:
    with zipfile.ZipFile(io.BytesIO(pack)) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def rezipped(content: dict[str, bytes], *, honest: bool = False) -> bytes:
    """Return a well-made zip of changed contents; an `honest` forger makes the manifest fit them."""
    from drills.pack.build import _facts, _zipped  # the forger has our program

    if honest:
        manifest = json.loads(content["manifest.json"])
        names = content.keys() - {"manifest.json", "manifest.digest"}
        manifest["files"] = {name: _facts(name, content[name]) for name in sorted(names)}
        text = (json.dumps(manifest, ensure_ascii=False, indent=2) + "\n").encode()
        digests = [verify.digest(each, text) for each in ("sha256", "sm3")]
        content = {**content, "manifest.json": text, "manifest.digest": "".join(f"{x}\n" for x in digests).encode()}
    return _zipped(content)


def test_an_untouched_pack_is_found_so_by_an_auditor_with_nothing_but_python(pack: bytes, tmp_path: Path) -> None:
    code, told = verdict(pack, tmp_path)
    assert code == 0, told
    for words in ("证据包未被改动", "SHA-256 与 SM3", "审计链", "4 个步骤", "3 个签名", "3 signatures"):
        assert words in told
    folder = tmp_path / "unpacked"
    with zipfile.ZipFile(tmp_path / "pack.zip") as archive:
        archive.extractall(folder)
    ended = run([sys.executable, "-I", str(folder / "verify.py")], deadline_seconds=60, check=False)
    assert ended.code == 0, ended.stdout
    assert verdict(pack, tmp_path, "--digest", digest_in(pack))[0] == 0
    assert verdict(pack, tmp_path, "--digest", "sha256:" + "0" * 64)[0] == 1


def test_every_kind_of_byte_that_is_flipped_is_found(pack: bytes, tmp_path: Path) -> None:
    chance = random.Random(7)
    with zipfile.ZipFile(io.BytesIO(pack)) as archive:
        spans = {each.filename: (each.header_offset, each.file_size) for each in archive.infolist()}
    places = {0, 10, len(pack) - 1, len(pack) - 10, *chance.sample(range(len(pack)), 60)}
    for offset, size in spans.values():
        header = offset + 30
        places |= {offset, offset + 12, *chance.sample(range(header, header + size), min(size, 6))}
    places |= set(range(len(pack) - 400, len(pack), 7))  # the directory of the zip
    for place in sorted(places):
        changed = bytearray(pack)
        changed[place] ^= 1 << chance.randrange(8)
        assert says(bytes(changed), tmp_path), f"byte {place}"


def test_a_file_that_is_missing_or_added_is_found(pack: bytes, tmp_path: Path) -> None:
    content = contents(pack)
    for name in content:
        assert says(rezipped({key: each for key, each in content.items() if key != name}), tmp_path), name
    assert "多出文件" in (says(rezipped({**content, "more.txt": b"x"}), tmp_path) or "")
    assert says(pack + b"\0", tmp_path)
    assert says(pack[:-1], tmp_path)


def forge(name: str, change: Callable[[str], str]) -> Callable[[dict[str, bytes]], dict[str, bytes]]:
    def forged(content: dict[str, bytes]) -> dict[str, bytes]:
        text = content[name].decode()
        assert change(text) != text, name
        return {**content, name: change(text).encode()}

    return forged


def without_line(words: str) -> Callable[[str], str]:
    return lambda text: "".join(line for line in text.splitlines(keepends=True) if words not in line)


FORGERIES = {
    "an attempt's time": forge(
        "attempts.jsonl", lambda text: text.replace('"started_at": "20', '"started_at": "21', 1)
    ),
    "an attempt's detail": forge("attempts.jsonl", lambda text: text.replace('"bytes": 5', '"bytes": 6')),
    "an attempt left out": forge("attempts.jsonl", without_line("restore:files")),
    "a chain entry": forge("chain.jsonl", lambda text: text.replace("wang@desk", "nobody@desk", 1)),
    "a chain entry left out": forge("chain.jsonl", without_line('"withheld"')),
    "who approved": forge("messages.jsonl", lambda text: text.replace("wang@desk", "nobody@desk")),
    "the verdict": forge("document.json", lambda text: text.replace('"verdict": "met"', '"verdict": "missed"')),
    "a measured time": forge("document.json", lambda text: text.replace('"rto_seconds": 0.', '"rto_seconds": 1.', 1)),
    "what a probe found": forge("document.json", lambda text: text.replace('"got": "1 files"', '"got": "2 files"')),
    "a title": forge("document.json", lambda text: text.replace("大连市政务云", "某市政务云")),
    "a signature": forge("document.json", lambda text: text.replace('"person": "liu@desk"', '"person": "sun@desk"')),
    "the configuration": forge("configuration.json", lambda text: text.replace("configuration", "other")),
}


@pytest.mark.parametrize("forged", FORGERIES)
def test_a_forger_who_makes_the_manifest_fit_is_found_by_the_chain(pack: bytes, tmp_path: Path, forged: str) -> None:
    assert says(rezipped(contents(pack), honest=True), tmp_path) is None
    assert says(rezipped(FORGERIES[forged](contents(pack)), honest=True), tmp_path)


def test_a_pack_made_twice_is_the_same_and_shows_nothing_of_others(ledger: Ledger, pack: bytes) -> None:
    drill = json.loads(contents(pack)["document.json"])["drill"]
    assert build_pack(ledger.catalogue, complete_document(ledger.catalogue, drill)) == pack
    assert b"another bureau" not in pack
    assert b'"withheld"' in pack
    assert check(ledger.catalogue).broken is None


def test_the_pdf_can_be_read_in_chinese_and_english(pack: bytes, tmp_path: Path) -> None:
    (tmp_path / "report.pdf").write_bytes(contents(pack)["report.pdf"])
    read = run(["pdftotext", str(tmp_path / "report.pdf"), "-"], deadline_seconds=60).stdout
    text = "".join(read.split())  # spaced letters are written with spaces
    for words in (
        "灾难恢复演练总结报告", "演练目的", "时间和地点", "参演单位和人员", "演练方案概要", "过程时间线", "步骤时间表",
        "发现的问题与整改", "经验和教训", "改进建议", "不动产登记系统", "达标", "编制", "审核", "批准",
        "DisasterRecoveryDrill", "Timetable", "Landregistry",
    ):  # fmt: skip
        assert words in text, words


def test_a_failed_drill_makes_findings_which_a_later_one_verifies(tmp_path: Path) -> None:
    from orchestrator.catalogue.corrections import close

    catalogue = Catalogue(f"sqlite:///{tmp_path / 'catalogue.sqlite'}")
    ledger = Ledger(catalogue)
    failed = hold(ledger, passes=False)
    (found,) = findings(catalogue)
    assert (found.key, found.owner, found.state, found.drill) == ("probe:1:manifest:files", "张工", "open", failed)
    assert (found.due_at - found.found_at).days == 30
    again = hold(ledger, passes=False)
    (same,) = findings(catalogue)
    assert (same.id, same.last_drill, same.drill) == (found.id, again, failed)
    close(catalogue, found.id, note_text="补齐文件", by="zhang@desk")
    passed = hold(ledger)
    (verified,) = findings(catalogue)
    assert (verified.state, verified.verified_by, verified.closed_by) == ("verified", passed, "zhang@desk")
    assert "补齐文件" in render_html(complete_document(catalogue, failed))
    assert check(catalogue).broken is None
    catalogue.engine.dispose()


def test_a_drill_from_before_the_chain_has_no_pack(ledger: Ledger, pack: bytes) -> None:
    document = {**json.loads(contents(pack)["document.json"]), "drill": "20200101T000000Z-0", "attempts": []}
    with pytest.raises(CheckFailed, match="does not tell of drill"):
        build_pack(ledger.catalogue, document)


def test_the_own_sm3_is_the_standards(tmp_path: Path) -> None:
    import hashlib

    assert verify.sm3(b"abc") == "66c7f0f462eeedd9d1f2d46bdc10e4e24167c4875cf2f7a2297da02b8f4ba8e0"
    for size in (0, 1, 55, 56, 63, 64, 65, 119, 120, 1000):
        data = bytes(range(256)) * 4
        assert verify.sm3(data[:size]) == hashlib.new("sm3", data[:size]).hexdigest()
    write_pack(tmp_path / "new" / "x.zip", b"x")
    assert (tmp_path / "new" / "x.zip").read_bytes() == b"x"
    assert len(as_pdf("<p>甲</p>")) > 500
