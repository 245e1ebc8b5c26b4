"""The certificate of deletion: what was deleted, who asked, who approved, and which backups stay under lock."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from orchestrator.paper import as_pdf


def digest_of(certificate: Mapping[str, Any]) -> str:
    """Return `sha256:HEX` of what a certificate says. It also stands in the audit chain. Pure."""
    text = json.dumps(certificate, ensure_ascii=False, sort_keys=True, separators=(",", ":"))
    return f"sha256:{hashlib.sha256(text.encode()).hexdigest()}"


def render(certificate: Mapping[str, Any]) -> str:
    """Return the certificate as HTML, in Chinese and English. Pure."""
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent), autoescape=True, undefined=StrictUndefined,
        trim_blocks=True, lstrip_blocks=True,
    )  # fmt: skip
    return environment.get_template("certificate.html.j2").render(c=certificate, digest=digest_of(certificate))


def write_certificate(folder: Path, certificate: Mapping[str, Any]) -> tuple[Path, Path]:
    """Write `TENANT-deletion.html` and `.pdf` into a folder and return both paths. The same again makes the same."""
    folder.mkdir(parents=True, exist_ok=True)
    html = render(certificate)
    page = folder / f"{certificate['tenant']}-deletion.html"
    page.write_text(html, encoding="utf-8")
    paper = page.with_suffix(".pdf")
    paper.write_bytes(as_pdf(html))
    return page, paper
