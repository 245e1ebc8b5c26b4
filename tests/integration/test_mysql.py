"""The source kind `mysql`, for real: a MariaDB that is written to all the time, two vaults, a drill at the province."""

from __future__ import annotations

import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from orchestrator.backups.sources.mysql import MysqlServer, connect, fingerprint_tables
from orchestrator.secrets import Secret
from tests.integration.conftest import SmallSite
from tests.integration.mariadb import Mariadb

pytestmark = pytest.mark.integration

SYSTEM = """
  visas:
    title: {{zh: 签证, en: Visas}}
    tier: data-backup
    sources:
      permits:
        {{kind: mysql, host: 127.0.0.1, port: {port}, database: permits, user: backup, password: 'file:{password}'}}
"""
PLAN = """
plan: visas
title: {zh: 签证系统恢复预案, en: Recovery of the visas}
systems:
  bureau/visas:
    probes:
      - {kind: sql, source: permits, query: 'SELECT count(*) FROM holders WHERE id <= 500', expect: '500'}
"""
#: What is hard to carry over: other character sets, bytes, bits, numbers that are not exact, what refers to another.
TABLES = (
    "CREATE TABLE holders (id INT PRIMARY KEY, name VARCHAR(80), old VARCHAR(80) CHARACTER SET gbk, photo BLOB,"
    " flags BIT(5), ratio DOUBLE, fee DECIMAL(12,4), seen TIMESTAMP(3) NULL, more JSON) CHARACTER SET utf8mb4",
    "CREATE TABLE visits (id INT AUTO_INCREMENT PRIMARY KEY, holder INT NOT NULL, note TEXT,"
    " FOREIGN KEY (holder) REFERENCES holders (id))",
    "CREATE TABLE `odd ``name``` (`a, b` INT)",
    "CREATE VIEW guests AS SELECT name FROM holders",
    "CREATE TRIGGER noted BEFORE INSERT ON visits FOR EACH ROW SET NEW.note = CONCAT('到访 ', NEW.note)",
    "CREATE PROCEDURE forget() DELETE FROM visits",
    "INSERT INTO holders SELECT seq, CONCAT('张', seq, '🎫'), CONCAT('李', seq), UNHEX(MD5(seq)), seq % 32, seq / 7,"
    " seq / 3, FROM_UNIXTIME(seq * 1e5), IF(seq % 2, NULL, JSON_OBJECT('n', seq)) FROM seq_1_to_500",
    "INSERT INTO `odd ``name``` VALUES (1), (NULL)",
)


@pytest.fixture(scope="module")
def mariadb() -> Iterator[Mariadb]:
    # pytest's folders are closed to other users, and a server is not started as root.
    with tempfile.TemporaryDirectory(dir="/var/tmp", prefix="tricenter-test-") as place:
        Path(place).chmod(0o711)
        server = Mariadb(Path(place))
        server.start()
        fill(server)
        yield server
        server.stop()


def fill(server: Mariadb) -> None:
    with server.connect() as connection, connection.cursor() as cursor:
        cursor.execute("CREATE DATABASE permits CHARACTER SET utf8mb4")
        cursor.execute("USE permits")
        for each in TABLES:
            cursor.execute(each)
        cursor.execute("CREATE USER backup@127.0.0.1 IDENTIFIED BY 'hunter2'")
        cursor.execute("GRANT SELECT, SHOW VIEW, TRIGGER, EVENT ON permits.* TO backup@127.0.0.1")
        cursor.execute("GRANT RELOAD ON *.* TO backup@127.0.0.1")
        cursor.execute("GRANT SELECT ON mysql.proc TO backup@127.0.0.1")


@pytest.fixture(scope="module")
def site(small_site: SmallSite, mariadb: Mariadb, tmp_path_factory: pytest.TempPathFactory) -> SmallSite:
    password = tmp_path_factory.mktemp("secrets") / "backup"
    password.write_text("hunter2", encoding="utf-8")
    password.chmod(0o600)
    tenant = small_site.folder / "tenants" / "bureau.yaml"
    text = tenant.read_text(encoding="utf-8") + SYSTEM.format(port=mariadb.port, password=password)
    tenant.write_text(text, encoding="utf-8")
    (small_site.folder / "plans").mkdir()
    (small_site.folder / "plans" / "visas.yaml").write_text(PLAN, encoding="utf-8")
    return small_site


@contextmanager
def written_to(mariadb: Mariadb) -> Iterator[list[int]]:
    """Write to two tables in one transaction, over and over, during the block, which is begun when some are written."""
    stop, written, some = threading.Event(), [0], threading.Event()

    def write() -> None:
        with mariadb.connect("permits") as connection, connection.cursor() as cursor:
            connection.autocommit(False)
            while not stop.wait(0.002):
                number = 1000 + written[0]
                cursor.execute("INSERT INTO holders (id, name) VALUES (%s, 'x')", [number])
                cursor.execute("INSERT INTO visits (holder, note) VALUES (%s, 'hello')", [number])
                connection.commit()
                written[0] += 1
                some.set()

    writer = threading.Thread(target=write)
    writer.start()
    try:
        assert some.wait(30)
        yield written
    finally:
        stop.set()
        writer.join()


def test_a_database_under_load_comes_back_from_the_province_as_it_was_at_one_moment(
    site: SmallSite, mariadb: Mariadb
) -> None:
    assert "permits" in site.tricenter("backup", "run", "bureau/visas", "--dry-run").stdout
    with written_to(mariadb) as written:
        before = written[0]
        (point,) = site.json("backup", "run", "bureau/visas")
        assert written[0] > before
    assert point["centre"] == "same-city"
    site.tricenter("replicate", "bureau/visas")
    drill = site.json("drill", "run", "visas", "--centre", "provincial")
    assert drill["verdict"] in ("met", "missed"), drill
    ((probes),) = [each["probes"] for each in drill["systems"]]
    assert {each["name"]: each["passed"] for each in probes} == {"fingerprint:permits": True, "sql:permits": True}


def test_the_dump_has_what_is_not_a_table_and_is_alike_when_nothing_changed(site: SmallSite, tmp_path: Path) -> None:
    (first,) = site.json("backup", "run", "bureau/visas")
    (again,) = site.json("backup", "run", "bureau/visas")
    assert again["added_bytes"] < 8192 < first["bytes"]
    site.tricenter("backup", "restore", "bureau/visas", "--centre", "same-city", "--target", str(tmp_path / "back"))
    dump = (tmp_path / "back" / "permits" / "database.sql").read_text(encoding="utf-8")
    for each in ("TRIGGER", "PROCEDURE `forget`", "VIEW `guests`", "`odd ``name```"):
        assert each in dump


def test_what_cannot_be_read_at_one_moment_or_not_at_all_is_refused_and_leaves_no_point(
    site: SmallSite, mariadb: Mariadb, tmp_path: Path
) -> None:
    before = site.json("backup", "list", "bureau/visas")
    with mariadb.connect("permits") as connection, connection.cursor() as cursor:
        cursor.execute("CREATE TABLE counters (n INT) ENGINE=MyISAM")
        refused = site.tricenter("backup", "run", "bureau/visas", code=5).stderr
        assert "counters (MyISAM)" in refused
        cursor.execute("DROP TABLE counters")
        cursor.execute("REVOKE RELOAD ON *.* FROM backup@127.0.0.1")
        assert "GRANT RELOAD" in site.tricenter("backup", "run", "bureau/visas", code=5).stderr
        cursor.execute("GRANT RELOAD ON *.* TO backup@127.0.0.1")
        cursor.execute("REVOKE SELECT ON permits.* FROM backup@127.0.0.1")
        site.tricenter("backup", "run", "bureau/visas", code=5)
        cursor.execute("GRANT SELECT ON permits.* TO backup@127.0.0.1")
    tenant = site.folder / "tenants" / "bureau.yaml"
    text = tenant.read_text(encoding="utf-8")
    tenant.write_text(text.replace("database: permits", "database: permit"), encoding="utf-8")
    site.tricenter("backup", "run", "bureau/visas", code=5)
    tenant.write_text(text, encoding="utf-8")
    assert site.json("backup", "list", "bureau/visas") == before


def test_other_bytes_of_the_same_look_are_another_fingerprint(mariadb: Mariadb) -> None:
    server = MysqlServer("127.0.0.1", mariadb.port, "root", "permits", Secret(mariadb.password))

    def taken() -> str:
        with connect(server) as connection:
            return str(fingerprint_tables(connection, server)["holders"]["digest"])

    changes = (
        "UPDATE holders SET name = CONCAT(name, ' ') WHERE id = 7",
        "UPDATE holders SET old = NULL WHERE id = 8",
        "UPDATE holders SET old = '' WHERE id = 8",
        "UPDATE holders SET flags = flags + 1 WHERE id = 9",
        "UPDATE holders SET ratio = ratio * (1 + 1e-15) WHERE id = 10",
        "UPDATE holders SET seen = seen + INTERVAL 1000 MICROSECOND WHERE id = 11",
    )
    seen = [taken()]
    with mariadb.connect("permits") as connection, connection.cursor() as cursor:
        for each in changes:
            cursor.execute(each)
            seen.append(taken())
        cursor.execute("UPDATE holders SET name = name")
    assert taken() == seen[-1]
    assert len(set(seen)) == len(seen)
