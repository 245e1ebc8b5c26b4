"""Metrics of commands that end: a file for node_exporter, a real Pushgateway. What does not hold any more is gone."""

from __future__ import annotations

import os
import stat
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from urllib.error import URLError

import pytest
from click.testing import CliRunner, Result
from prometheus_client.parser import text_string_to_metric_families

from orchestrator.cli import cli
from orchestrator.errors import Unreachable
from orchestrator.process import Child, run
from tests.bench.servers import free_ports

pytestmark = pytest.mark.integration

DALIAN = Path(__file__).parents[2] / "examples" / "dalian"
WRITTEN = "tricenter_metrics_written_timestamp_seconds"
OBJECTIVE = "tricenter_rpo_objective_seconds"
WAIT_SECONDS = 60


@pytest.fixture
def database(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    file = tmp_path / "catalogue.sqlite"
    monkeypatch.setenv("TRICENTER_DATABASE_URL", f"sqlite:///{file}")
    monkeypatch.setenv("TRICENTER_SITE", str(DALIAN))
    return file


def tricenter(*words: str) -> Result:
    return CliRunner().invoke(cli, words)


def samples(text: str, name: str) -> list[float]:
    return [
        each.value for family in text_string_to_metric_families(text) for each in family.samples if each.name == name
    ]


def test_the_textfile_is_what_promtool_takes_and_others_can_read(database: Path, tmp_path: Path) -> None:
    file = tmp_path / "tricenter.prom"
    before, mask = time.time(), os.umask(0o077)
    try:
        assert tricenter("metrics", "write", "--textfile", str(file)).exit_code == 0
    finally:
        os.umask(mask)
    text = file.read_text()
    assert stat.S_IMODE(file.stat().st_mode) == 0o644
    assert before <= samples(text, WRITTEN)[0] <= time.time()
    assert len(samples(text, OBJECTIVE)) > 10
    with file.open("rb") as source:
        judged = run(["promtool", "check", "metrics"], stdin=source, deadline_seconds=30, check=False)
    assert (judged.code, judged.stdout, judged.stderr) == (0, "", "")
    assert [each.name for each in tmp_path.glob("*.prom*")] == ["tricenter.prom"]
    assert [each.name for each in tmp_path.glob(".tricenter*")] == []


@pytest.mark.parametrize("when", ["opened", "read"])
def test_what_cannot_be_read_any_more_is_taken_away(
    database: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, when: str
) -> None:
    file = tmp_path / "tricenter.prom"
    tricenter("metrics", "write", "--textfile", str(file))
    assert samples(file.read_text(), OBJECTIVE)
    if when == "opened":
        database.write_bytes(b"this is no database" * 1000)
    else:
        monkeypatch.setattr("exporters.collector.read_activity", lambda _: 1 / 0)
    failed = tricenter("metrics", "write", "--textfile", str(file))
    assert isinstance(failed.exception, Unreachable)
    assert {family.name for family in text_string_to_metric_families(file.read_text())} == {WRITTEN}
    for _ in range(2):
        assert tricenter("metrics", "withdraw", "--textfile", str(file)).exit_code == 0
    assert not file.exists()


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("--textfile", "metrics.txt"), "would not be read"),
        (("--push", "http://li:pa55word@gateway:9091"), "seen by every user"),
        (("--push", "gateway:9091"), "wants a URL"),
        ((), "name where"),
        (("--textfile", "/proc/nothing/x.prom"), "cannot be written"),
        (("--push", "http://127.0.0.1:1"), "does not answer"),
    ],
)
def test_what_cannot_work_is_said(database: Path, words: tuple[str, ...], told: str) -> None:
    ended = tricenter("metrics", "write", *words)
    assert ended.exit_code
    assert told in f"{ended.exception}{ended.output}"
    assert "pa55word" not in f"{ended.exception}{ended.output}"


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    port = free_ports(1)[0]
    with Child(["prometheus-pushgateway", f"--web.listen-address=127.0.0.1:{port}"]) as child:
        url, end = f"http://127.0.0.1:{port}", time.monotonic() + WAIT_SECONDS
        while True:
            try:
                get(url)
                break
            except URLError:
                assert child.running, child.stderr
                assert time.monotonic() < end
                time.sleep(0.05)
        yield url


def get(url: str) -> str:
    with urllib.request.urlopen(f"{url}/metrics", timeout=10) as answer:
        text: str = answer.read().decode()
        return text


def test_a_push_replaces_what_was_pushed_before(database: Path, gateway: str) -> None:
    assert tricenter("metrics", "write", "--push", gateway).exit_code == 0
    text = get(gateway)
    (pushed,) = {
        (each.labels["job"], each.labels["site"])
        for family in text_string_to_metric_families(text)
        for each in family.samples
        if each.name == OBJECTIVE
    }
    assert pushed == ("tricenter", "dalian")
    first = samples(text, WRITTEN)
    assert tricenter("metrics", "write", "--push", gateway).exit_code == 0
    again = get(gateway)
    assert samples(again, WRITTEN)[0] > first[0]
    assert len(samples(again, OBJECTIVE)) == len(samples(text, OBJECTIVE))
    assert tricenter("metrics", "withdraw", "--push", gateway, "--dry-run").exit_code == 0
    assert samples(get(gateway), WRITTEN)
    assert tricenter("metrics", "withdraw", "--push", gateway).exit_code == 0
    assert samples(get(gateway), OBJECTIVE) == samples(get(gateway), WRITTEN) == []
