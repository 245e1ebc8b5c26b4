"""Every secret that a site names is found, wherever it stands."""

from __future__ import annotations

import re
from pathlib import Path

from orchestrator.escrow.named import named_secrets
from orchestrator.escrow.runbook import in_plan_order, runbook_html, runbook_markdown
from policies.load import load_site

DALIAN = Path(__file__).parents[3] / "examples" / "dalian"
SITE = load_site(DALIAN)


def test_every_reference_of_the_files_is_found_in_the_models() -> None:
    written = set()
    for file in DALIAN.rglob("*.yaml"):
        if not file.name.startswith("overlay"):
            text = re.sub(r"(^|\s)#.*", "", file.read_text(encoding="utf-8"))
            written |= set(re.findall(r"env:[A-Z_]{3,}|file:/(?:\{tenant\}|[^\s,{}])+", text))
    assert {each.reference for each in named_secrets(SITE)} == written
    assert len({each.file for each in named_secrets(SITE)}) == len(named_secrets(SITE))


def test_the_runbook_has_every_system_once_and_no_secret() -> None:
    text = runbook_markdown(SITE)
    refs = [str(each) for each in in_plan_order(SITE)]
    assert sorted(refs) == sorted(str(each) for each in SITE.systems())
    assert re.findall(r"### 3\.\d+ .*: (\S+/\S+)", text) == refs
    assert all(tenant.contact in text for tenant in SITE.tenants.values())
    assert all(vault.endpoint in text for vault in SITE.vaults().values())
    assert "env:" not in text.partition("附录")[0]
    page = runbook_html(SITE)
    assert "src=" not in page
    assert page.count("<h3>") == len(refs)
