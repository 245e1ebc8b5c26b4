"""Tables of fixed columns under headings in two languages: what the board and the loss statement are laid out with."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

from rich.table import Table
from rich.text import Text


@dataclass(frozen=True, slots=True)
class Column:
    """One column. Widths are fixed, so that the lines of several tables stand under one heading."""

    zh: str
    en: str
    width: int
    justify: Literal["left", "right"] = "right"
    wraps: bool = False


def least_width(columns: Sequence[Column]) -> int:
    """Return what the columns take with one blank between each two."""
    return sum(each.width for each in columns) + len(columns) - 1


def titles(columns: Iterable[Column]) -> list[Text]:
    """Return the headings as a row."""
    return [Text(f"{each.zh}\n{each.en}", style="dim") for each in columns]


def grid(columns: Iterable[Column], rows: Iterable[Sequence[Text]], gap: int = 1) -> Table:
    """Return the rows laid out, with `gap` blanks between columns."""
    laid = Table.grid(padding=(0, gap, 0, 0))
    for each in columns:
        overflow: Literal["fold", "ellipsis"] = "fold" if each.wraps else "ellipsis"
        laid.add_column(width=each.width, justify=each.justify, no_wrap=not each.wraps, overflow=overflow)
    for row in rows:
        laid.add_row(*row)
    return laid
