"""The form of a request as a spreadsheet: written empty with its explanations, and read with the cell of every value.

A sheet for the units, one for their systems and one for their members; a row belongs to the unit whose name it begins
with. So one spreadsheet holds one bureau or two hundred.
"""

from __future__ import annotations

import zipfile
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple, get_args

from policies.document import Node
from policies.findings import Finding
from policies.request import PLACES_WANTED, RequestedSource
from policies.site import Site
from policies.tenant import Member

#: More than a city has, and less than what would fill the memory of who reads it.
MOST_ROWS = 20_000
MOST_BYTES = 200 * 1024**2
RULED_ROWS = 500

YES = {"是": True, "yes": True, "true": True, "否": False, "no": False, "false": False}


class Field(NamedTuple):
    """A column: its key, its heading, what to write there, an example, and where it goes in the request."""

    key: str
    title: str
    meaning: str
    example: str
    trail: tuple[str, ...]


class Sheet(NamedTuple):
    name: str
    fields: tuple[Field, ...]


#: The network of a unit that asks by a spreadsheet. A YAML file may ask for several.
NETWORK = "business"

PLACES_TOLD = "; ".join(f"{kind}: {want}" for kind, want in PLACES_WANTED.items())

UNITS = Sheet("单位 units", (
    Field("tenant", "租户名", "小写字母、数字、连字符 lower case, digits, hyphens", "water", ("tenant",)),
    Field("title_zh", "单位名称", "中文全称 the full name in Chinese", "大连市水务局", ("title", "zh")),
    Field("title_en", "英文名称", "English name", "Water Affairs Bureau", ("title", "en")),
    Field("unit_code", "统一社会信用代码", "18 位含校验位 18 places, GB 32100-2015", "", ("unit_code",)),
    Field("contact", "联系人", "who answers for the systems", "李四", ("contact",)),
    Field("phone", "联系电话", "telephone", "0411-8888-1234", ("phone",)),
    Field("secret", "是否涉密", "只能填否：涉密属政务内网 only 否 (no)", "否", ("secret",)),
    Field("zone", "网络区域", "a zone of the site", "", ("networks", NETWORK, "zone")),
    Field("addresses", "地址段", "10.20.1.0/24；或只填前缀长度 or a prefix", "", ("networks", NETWORK, "cidr")),
    Field("prefix", "前缀长度", "24 = 256 个地址 addresses", "24", ("networks", NETWORK, "prefix")),
    Field("quota_class", "配额档次", "a quota class of the site", "", ("quota_class",)),
    Field("quota_multiplier", "档次倍数", "so many times the class", "", ("quota_multiplier",)),
    Field("instances", "云主机数", "servers", "10", ("quota", "compute", "instances")),
    Field("cores", "CPU 核数", "cores", "40", ("quota", "compute", "cores")),
    Field("ram_mib", "内存 MiB", "memory in MiB", "81920", ("quota", "compute", "ram")),
    Field("disk_gib", "云硬盘 GiB", "volumes in GiB", "2000", ("quota", "block_storage", "gigabytes")),
))  # fmt: skip
SYSTEMS = Sheet("系统 systems", (
    Field("tenant", "租户名", "与单位表相同 as on the sheet of units", "water", ()),
    Field("system", "系统标识", "再写一行即加一个数据源 another row adds a source", "billing", ()),
    Field("title_zh", "系统名称", "name in Chinese", "水费征收系统", ("title", "zh")),
    Field("title_en", "英文名称", "English name", "Water billing", ("title", "en")),
    Field("tier", "灾备层级", "a tier of the site", "", ("tier",)),
    Field("mlps_level", "等保级别", "1-4", "2", ("mlps_level",)),
    Field("secret", "是否涉密", "只能填否 only 否 (no)", "否", ("secret",)),
    Field("source", "数据源标识", "小写 lower case", "data", ()),
    Field("kind", "数据源类型", "kind of the source", "volume", ("kind",)),
    Field("place", "位置", PLACES_TOLD, "billing-data", ("place",)),
))  # fmt: skip
MEMBERS = Sheet("成员 members", (
    Field("tenant", "租户名", "与单位表相同 as on the sheet of units", "water", ()),
    Field("account", "账号", "小写 lower case", "lisi", ()),
    Field("name", "姓名", "name", "李四", ("name",)),
    Field("role", "角色", "member, reader, manager", "manager", ("role",)),
    Field("email", "电子邮件", "e-mail", "", ("email",)),
))  # fmt: skip
SHEETS = (UNITS, SYSTEMS, MEMBERS)


@dataclass(slots=True)
class Asked:
    """One request as it was read: its values with their lines, and for a spreadsheet the cell of each path."""

    name: str
    node: Node
    cells: dict[tuple[str | int, ...], str] = field(default_factory=dict)


class Row(NamedTuple):
    sheet: Sheet
    number: int
    values: Mapping[str, Any]
    cells: Mapping[str, str]


def read_form(file: Path) -> tuple[list[Asked], list[Finding]]:
    """Return the requests that a spreadsheet holds, and what is wrong with the sheets themselves. Raises nothing."""
    try:
        with zipfile.ZipFile(file) as packed:
            if sum(each.file_size for each in packed.infolist()) > MOST_BYTES:
                return [], [Finding(file, 1, "", "a spreadsheet that unpacks to over 200 MiB", "a form")]
        rows, findings = _rows(file)
    except (OSError, zipfile.BadZipFile, KeyError, ValueError) as error:
        return [], [Finding(file, 1, "", f"no spreadsheet ({type(error).__name__})", "a form of tricenter, .xlsx")]
    requests: dict[str, Asked] = {}
    for row in rows:
        findings += _take(file, row, requests)
    if not requests and not findings:
        findings.append(Finding(file, 2, UNITS.name, "no unit", "a row for each unit"))
    return list(requests.values()), findings


def _rows(file: Path) -> tuple[list[Row], list[Finding]]:
    import openpyxl  # here: half a second, which no other command must pay

    book = openpyxl.load_workbook(file, read_only=True, data_only=True)
    rows: list[Row] = []
    findings: list[Finding] = []
    try:
        for sheet in SHEETS:
            if sheet.name not in book.sheetnames:
                findings.append(Finding(file, 1, sheet.name, "no such sheet", f"the sheet {sheet.name} of the form"))
                continue
            lines = book[sheet.name].iter_rows(values_only=True, max_row=MOST_ROWS)
            keys = [str(each or "").split()[-1:] for each in next(lines, ())]
            columns = {key[0]: index for index, key in enumerate(keys) if key}
            for missing in (each for each in sheet.fields if each.key not in columns):
                got = f"no column {missing.title} {missing.key}"
                findings.append(Finding(file, 1, sheet.name, got, "the columns of the form"))
            rows += _of_sheet(sheet, columns, lines)
    finally:
        book.close()
    return rows, findings


def _of_sheet(sheet: Sheet, columns: Mapping[str, int], lines: Iterable[tuple[Any, ...]]) -> Iterator[Row]:
    from openpyxl.utils import get_column_letter

    for number, line in enumerate(lines, start=2):
        values = {
            each.key: value
            for each in sheet.fields
            if (index := columns.get(each.key)) is not None
            and index < len(line)
            and (value := _plain(each.key, line[index])) is not None
        }
        # Row 2 of the form explains the columns, and begins with a mark that no name has.
        if values and not str(values.get("tenant", "")).startswith("#"):
            cells = {key: f"{sheet.name}!{get_column_letter(columns[key] + 1)}{number}" for key in columns}
            yield Row(sheet, number, values, cells)


def _plain(key: str, value: Any) -> Any:
    """Return a cell as the request wants it: spreadsheets make numbers of telephones, and floats of numbers."""
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if isinstance(value, str):
        value = value.strip()
    if value is None or value == "":
        return None
    if key == "secret":
        return YES.get(str(value).lower(), value)
    if key in ("unit_code", "phone", "contact", "addresses", "place") or not isinstance(value, str | int):
        return str(value)
    return int(value) if isinstance(value, str) and value.isascii() and value.isdigit() else value


def _take(file: Path, row: Row, requests: dict[str, Asked]) -> Iterator[Finding]:
    """Put a row where it belongs in its request, or tell why it belongs nowhere."""
    name = row.values.get("tenant")
    where = row.cells.get("tenant", row.sheet.name)
    if name is None:
        yield Finding(file, row.number, where, "a row without a tenant", "the name of the unit that it is of")
        return
    asked = requests.get(str(name))
    if row.sheet is UNITS:
        if asked is not None:
            yield Finding(file, row.number, where, f"a second unit {name}", "each name once")
            return
        asked = requests[str(name)] = Asked(str(name), Node({}, file, row.number))
        below: tuple[str, ...] = ()
    elif asked is None:
        yield Finding(file, row.number, where, f"the unit {name}", f"a unit of the sheet {UNITS.name}")
        return
    elif row.sheet is MEMBERS:
        below = ("members", str(row.values.get("account", "")))
    else:
        below = ("systems", str(row.values.get("system", "")))
    asked.cells.setdefault(below, where)
    _fill(file, row, asked, below)


def _fill(file: Path, row: Row, asked: Asked, below: tuple[str, ...]) -> None:
    source = _source_name(row, asked, below)
    _put(asked.node, below, {}, file, row.number)
    for each in row.sheet.fields:
        if not each.trail:
            continue
        of_source = row.sheet is SYSTEMS and each.key in ("kind", "place")
        trail = (*below, "sources", source, *each.trail) if of_source else (*below, *each.trail)
        asked.cells.setdefault(trail, row.cells.get(each.key, row.sheet.name))
        if (value := row.values.get(each.key)) is not None:
            _put(asked.node, trail, value, file, row.number)


def _source_name(row: Row, asked: Asked, below: tuple[str, ...]) -> str:
    """Return what the row's source is called: what it says, or the kind with a number that is free."""
    kind = str(row.values.get("source") or row.values.get("kind") or "data")
    there = dict(asked.node.items(*below, "sources"))
    numbered = (f"{kind}-{number}" for number in range(2, MOST_ROWS))
    return kind if kind not in there else next(each for each in numbered if each not in there)


def _put(node: Node, trail: tuple[str, ...], value: Any, file: Path, line: int) -> None:
    """Write a value below a node; what a row before it has said stays."""
    for index, step in enumerate(trail):
        assert isinstance(node.value, dict)
        last = index == len(trail) - 1
        node = node.value.setdefault(step, Node(value if last else {}, file, line))


def write_form(file: Path, site: Site | None) -> None:
    """Write the empty form: headings, a row of explanations, an example, and lists to choose from. Never overwrites.

    Raises FileExistsError. The lists are the site's when there is one.
    """
    import openpyxl
    from openpyxl.styles import Alignment, Font, PatternFill
    from openpyxl.utils import get_column_letter
    from openpyxl.worksheet.datavalidation import DataValidation

    book = openpyxl.Workbook()
    book.remove(book.active)
    choices = _choices(site)
    for sheet in SHEETS:
        page = book.create_sheet(sheet.name)
        page.append([f"{each.title}\n{each.key}" for each in sheet.fields])
        page.append([("# " if not index else "") + each.meaning for index, each in enumerate(sheet.fields)])
        page.append([("# 例 " if not index else "") + each.example for index, each in enumerate(sheet.fields)])
        page.freeze_panes = "B2"
        for index, each in enumerate(sheet.fields, start=1):
            letter = get_column_letter(index)
            page.column_dimensions[letter].width = 22
            page[f"{letter}1"].font = Font(bold=True)
            for number in (1, 2, 3):
                page[f"{letter}{number}"].alignment = Alignment(wrap_text=True, vertical="top")
            for number in (2, 3):
                page[f"{letter}{number}"].fill = PatternFill("solid", fgColor="EEEEEE")
            if allowed := choices.get((sheet.name, each.key)):
                rule = DataValidation(type="list", formula1=f'"{",".join(allowed)}"', allow_blank=True)
                rule.error = f"{each.title}: {', '.join(allowed)}"
                page.add_data_validation(rule)
                rule.add(f"{letter}4:{letter}{RULED_ROWS}")
    with file.open("xb") as sink:
        book.save(sink)


def _choices(site: Site | None) -> dict[tuple[str, str], list[str]]:
    found = {
        (UNITS.name, "secret"): ["否"],
        (SYSTEMS.name, "secret"): ["否"],
        (SYSTEMS.name, "mlps_level"): ["1", "2", "3", "4"],
        (SYSTEMS.name, "kind"): [str(each) for each in get_args(RequestedSource.model_fields["kind"].annotation)],
        (MEMBERS.name, "role"): [str(each) for each in get_args(Member.model_fields["role"].annotation)],
    }
    if site is not None:
        found[UNITS.name, "zone"] = sorted(site.zones)
        found[UNITS.name, "quota_class"] = sorted(site.quota_classes)
        found[SYSTEMS.name, "tier"] = sorted(site.tiers)
    # A list in a cell's rule may have 255 characters: a longer one is left to the check.
    return {place: names for place, names in found.items() if names and len(",".join(names)) < 255}
