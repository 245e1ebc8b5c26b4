"""Bureaus that ask for a place: forms filled for tests."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import openpyxl

from orchestrator.tenants.request_form import MEMBERS, SYSTEMS, UNITS, write_form
from policies.request import check_digit
from policies.site import Site


def unit_code(number: int) -> str:
    """Return a unit code that is right in form."""
    body = f"11210200{number:09d}"
    return body + check_digit(body)


def unit(name: str, number: int, **changes: Any) -> dict[str, Any]:
    return {
        "tenant": name, "title_zh": f"第{number}局", "title_en": f"Bureau {number}", "unit_code": unit_code(number),
        "contact": "李四", "phone": "0411-8888-1234", "secret": "否", "zone": "public", "prefix": 29, "instances": 4,
        **changes,
    }  # fmt: skip


def system(name: str, **changes: Any) -> dict[str, Any]:
    return {
        "tenant": name, "system": "files", "title_zh": "文件", "title_en": "Files", "tier": "remote-dr",
        "mlps_level": 2, "secret": "否", "source": "tree", "kind": "path", "place": "/srv/files", **changes,
    }  # fmt: skip


def member(name: str, account: str = "lisi", **changes: Any) -> dict[str, Any]:
    return {"tenant": name, "account": account, "name": "李四", "role": "manager", **changes}


def filled(
    file: Path,
    site: Site | None,
    units: list[dict[str, Any]],
    systems: list[dict[str, Any]],
    members: list[dict[str, Any]],
) -> Path:
    """Write the form as a bureau hands it in: below the explanations, a row each."""
    write_form(file, site)
    book = openpyxl.load_workbook(file)
    for sheet, rows in ((UNITS, units), (SYSTEMS, systems), (MEMBERS, members)):
        for row in rows:
            book[sheet.name].append([row.get(each.key) for each in sheet.fields])
    book.save(file)
    return file
