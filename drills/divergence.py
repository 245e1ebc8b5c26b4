"""How what an old centre had differs from the recovery point that the new one was made from, counted and in words.

Of rows only digests of their keys are told: who may see the rows finds them by these, and nobody else learns anything.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from psycopg import Connection, sql

from orchestrator.backups.objects.manifest import objects_from_facts, settled_of
from orchestrator.backups.sources.path import FileState, manifest_from_facts
from orchestrator.backups.sources.postgresql import TABLES
from policies.values import Text, format_size

#: What a source of a kind is called, and what it is counted in.
WORDS_OF_KIND = {
    "path": ("目录", "folder", "个文件", "files"),
    "postgresql": ("表", "table", "行", "rows"),
    "bucket": ("桶", "bucket", "个对象", "objects"),
    "cloud": ("云上定义", "cloud definition", "项", "items"),
}

#: So many keys or names are told of each kind of difference.
SHOWN = 20
FETCHED = 5000
CHUNK_BYTES = 1 << 20
BLOCK_BYTES = 4096

KEYS = """
    select a.attname from pg_index i join pg_attribute a on a.attrelid = i.indrelid and a.attnum = any(i.indkey)
    where i.indisprimary and i.indrelid = format('%%I.%%I', %s::text, %s::text)::regclass
    order by array_position(i.indkey::int[], a.attnum::int)
"""

Row = tuple[str, str]


@dataclass(frozen=True, slots=True)
class Differences:
    """What is only at the old centre, what is other there, what is missing there: counts, and the first of each.

    `what` is a table, a folder or a volume. Of a volume only `changed` counts: its bytes, in blocks of 4 KiB.
    """

    what: str
    added: int
    changed: int
    missing: int
    first_added: tuple[str, ...] = ()
    first_changed: tuple[str, ...] = ()
    first_missing: tuple[str, ...] = ()

    @property
    def any(self) -> bool:
        return bool(self.added or self.changed or self.missing)


def compare_trees(old: Mapping[str, Any], point: Mapping[str, Any], name: str) -> Differences:
    """Compare the facts of two copies of a tree. Of a file that changed while it was read only the size counts."""
    there, here = manifest_from_facts(old), manifest_from_facts(point)
    added, missing = sorted(there.keys() - here.keys()), sorted(here.keys() - there.keys())
    changed = [path for path in sorted(there.keys() & here.keys()) if _is_other(there[path], here[path])]
    return _counted(name, added, changed, missing)


def compare_buckets(old: Mapping[str, Any], point: Mapping[str, Any], name: str) -> Differences:
    """Compare the facts of two copies of a bucket. Of an object that was being deleted nothing is said."""
    there, here = dict(settled_of(objects_from_facts(old))), dict(settled_of(objects_from_facts(point)))
    return _counted_maps(name, there, here)


def compare_definitions(old: Mapping[str, Any], point: Mapping[str, Any], name: str) -> Differences:
    """Compare two definitions of a tenant's cloud, item by item."""
    return _counted_maps(name, old["items"], point["items"])


def _counted_maps(name: str, there: Mapping[str, Any], here: Mapping[str, Any]) -> Differences:
    added, missing = sorted(there.keys() - here.keys()), sorted(here.keys() - there.keys())
    changed = [key for key in sorted(there.keys() & here.keys()) if there[key] != here[key]]
    return _counted(name, added, changed, missing)


def _is_other(one: FileState, other: FileState) -> bool:
    settled = one.sha256 is not None and other.sha256 is not None
    return one.size != other.size or (settled and one.sha256 != other.sha256)


def _counted(what: str, added: Sequence[str], changed: Sequence[str], missing: Sequence[str]) -> Differences:
    first = (tuple(each[:SHOWN]) for each in (added, changed, missing))
    return Differences(what, len(added), len(changed), len(missing), *first)


def compare_databases(old: Connection[Any], point: Connection[Any]) -> list[Differences]:
    """Compare every table of two databases, row by row by their keys, and return those that differ.

    Both are read once, in the order of the digests of their keys, and held in memory nowhere. A table without a
    primary key is compared as a heap of rows: what was changed counts as missing and added. A table that only one of
    them has counts with all its rows.
    """
    tables = sorted({*_tables(old), *_tables(point)})
    compared = (_compare_table(old, point, schema, table) for schema, table in tables)
    return [each for each in compared if each.any]


def _tables(connection: Connection[Any]) -> list[tuple[str, str]]:
    return [(schema, table) for schema, table in connection.execute(TABLES).fetchall()]


def _compare_table(old: Connection[Any], point: Connection[Any], schema: str, table: str) -> Differences:
    added, changed, missing = 0, 0, 0
    first: dict[str, list[str]] = {"added": [], "changed": [], "missing": []}

    def note(kind: str, key: str) -> None:
        if len(first[kind]) < SHOWN:
            first[kind].append(key)

    for key, there, here in merge(_rows(old, schema, table), _rows(point, schema, table)):
        if here is None:
            added += 1
            note("added", key)
        elif there is None:
            missing += 1
            note("missing", key)
        elif there != here:
            changed += 1
            note("changed", key)
    return Differences(
        f"{schema}.{table}",
        added,
        changed,
        missing,
        tuple(first["added"]),
        tuple(first["changed"]),
        tuple(first["missing"]),
    )


def _rows(connection: Connection[Any], schema: str, table: str) -> Iterator[Row]:
    """Yield (digest of the key, digest of the row) in the order of the first."""
    if (schema, table) not in _tables(connection):
        return
    keys = [name for (name,) in connection.execute(KEYS, (schema, table)).fetchall()]
    whole = sql.SQL("md5(t::text)")
    columns = sql.SQL(", ").join(sql.Identifier("t", name) for name in keys)
    key = sql.SQL("md5(row({})::text)").format(columns) if keys else whole
    query = sql.SQL('select * from (select {} as k, {} as r from {} t) rows order by k collate "C", r collate "C"')
    with connection.cursor(name="rows") as cursor:
        cursor.itersize = FETCHED
        cursor.execute(query.format(key, whole, sql.Identifier(schema, table)))
        yield from cursor


def merge(old: Iterable[Row], point: Iterable[Row]) -> Iterator[tuple[str, str | None, str | None]]:
    """Yield every key with its row on both sides, None where there is none. Both sides come in the order of keys."""
    left, right = iter(old), iter(point)
    one, other = next(left, None), next(right, None)
    while one is not None or other is not None:
        if other is None or (one is not None and one[0] < other[0]):
            assert one is not None
            yield one[0], one[1], None
            one = next(left, None)
        elif one is None or other[0] < one[0]:
            yield other[0], None, other[1]
            other = next(right, None)
        else:
            yield one[0], one[1], other[1]
            one, other = next(left, None), next(right, None)


def compare_images(old: Iterator[bytes], point: Iterator[bytes], name: str) -> Differences:
    """Compare the bytes of two volumes, each given in pieces of CHUNK_BYTES. What is longer counts as changed."""
    changed = 0
    while True:
        one, other = next(old, b""), next(point, b"")
        if not one and not other:
            return Differences(name, 0, changed, 0)
        if one != other:
            for start in range(0, max(len(one), len(other)), BLOCK_BYTES):
                block = slice(start, start + BLOCK_BYTES)
                changed += max(len(one[block]), len(other[block])) if one[block] != other[block] else 0


def summarise(system: str, sources: Mapping[str, tuple[str, Sequence[Differences]]]) -> dict[str, Any]:
    """Return what the bureau is told: the differences of every source, by name with its kind, as JSON and in words."""
    lines = [line for name, (kind, found) in sources.items() for line in _lines(name, kind, found)]
    if not lines:
        lines = [
            Text(
                zh=f"{system}：原中心没有比恢复点更新的数据",
                en=f"{system}: the old centre has nothing newer than the point",
            )
        ]
    return {
        "differs": any(each.any for _, found in sources.values() for each in found),
        "sources": {
            name: {"kind": kind, "differences": [asdict(each) for each in found]}
            for name, (kind, found) in sources.items()
        },
        "zh": [each.zh for each in lines],
        "en": [each.en for each in lines],
    }


def _lines(name: str, kind: str, found: Sequence[Differences]) -> Iterator[Text]:
    for each in found:
        if not each.any:
            continue
        if kind == "volume":
            size = format_size(each.changed)
            yield Text(zh=f"卷 {name}：{size} 不同", en=f"volume {name}: {size} differ")
            continue
        what_zh, what_en, rows_zh, rows_en = WORDS_OF_KIND[kind]
        where = f"{name} {each.what}" if kind == "postgresql" else name
        zh, en = f"{what_zh} {where}", f"{what_en} {where}"
        yield Text(
            zh=f"{zh}：原中心多出 {each.added}，改动 {each.changed}，缺少 {each.missing} {rows_zh}",
            en=f"{en}: {each.added} {rows_en} only at the old centre, {each.changed} changed, {each.missing} missing",
        )
