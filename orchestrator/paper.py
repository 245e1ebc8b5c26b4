"""Documents for people to keep: HTML as PDF. Nothing is fetched for it."""

from __future__ import annotations

import hashlib
from typing import Any


def as_pdf(html: str) -> bytes:
    """Return a document as PDF. The same HTML makes the same bytes. Raises ValueError for anything from elsewhere."""
    from weasyprint import HTML  # here, because it loads the system's text libraries

    made = HTML(string=html, url_fetcher=_fetch_nothing).write_pdf(
        pdf_identifier=hashlib.sha256(html.encode()).digest()[:16]
    )
    assert isinstance(made, bytes)
    return made


def _fetch_nothing(url: str) -> Any:
    raise ValueError(f"a document needs nothing from elsewhere: {url}")
