"""A drill's document with what is known beside its rows: people, manual steps, findings, signatures."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from sqlalchemy import select

from drills.evidence import as_document
from drills.words import step_words
from orchestrator.catalogue import tables as t
from orchestrator.catalogue.audit import moment_text
from orchestrator.catalogue.corrections import findings, signatures
from orchestrator.catalogue.database import looking
from orchestrator.catalogue.store import Catalogue

#: What somebody did who answered a run on a topic, by the topic's first word.
DID = {
    "approve": {"zh": "批准", "en": "approved"},
    "commit": {"zh": "确认切换", "en": "committed the switch"},
    "undo": {"zh": "撤销切换", "en": "undid the switch"},
    "prompt": {"zh": "人工步骤", "en": "did a manual step"},
}
ANSWERED = {"zh": "答复", "en": "answered"}
DECLARED = {"zh": "宣告与操作", "en": "declared and operated"}


def complete_document(catalogue: Catalogue, drill: str) -> dict[str, Any]:
    """Return the document of a drill that ended, whole: what reports and packs are made of. Raises UnknownName."""
    return complete(as_document(catalogue, drill), catalogue)


def complete(document: Mapping[str, Any], catalogue: Catalogue) -> dict[str, Any]:
    """Return a drill's document with people, manual steps, findings and signatures."""
    drill = document["drill"]
    told = list(_answers(catalogue, {drill, *(each["run"] for each in document["attempts"])}))
    own = [each for each in findings(catalogue, drill=drill) if each.drill == drill]
    return {
        **document,
        "people": [{"person": document["declared_by"], "did": DECLARED, "at": document["started_at"]}, *told],
        "manual": list(_manual(document, told)),
        "findings": [each.as_json() for each in own],
        "signatures": [
            {"role": each.role, "person": each.person, "signed_at": moment_text(each.signed_at), "digest": each.digest}
            for each in signatures(catalogue, drill)
        ],
    }


def _answers(catalogue: Catalogue, runs: set[str]) -> Iterator[dict[str, Any]]:
    """Yield who answered these runs, and on what: approvals and confirmations."""
    mine = select(t.waits).where(t.waits.c.run_id.in_(runs) & t.waits.c.sent_at.is_not(None))
    with looking(catalogue.engine) as db:
        for row in db.execute(mine.order_by(t.waits.c.sent_at)).mappings():
            did = DID.get(row["topic"].partition(":")[0].partition("-")[0], ANSWERED)
            about = {language: f"{words}（{row['topic']}）" for language, words in did.items()}
            about["en"] = f"{did['en']} ({row['topic']})"
            yield {"person": row["sent_by"], "did": about, "at": moment_text(row["sent_at"]), "topic": row["topic"]}


def _manual(document: Mapping[str, Any], told: list[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    """Yield the steps that people did."""
    for each in document["attempts"]:
        if each["step"].startswith("prompt-"):
            words = step_words(each["step"])
            person = next((answer["person"] for answer in told if answer["topic"] in each["step"]), None)
            yield {"what": {"zh": words.zh, "en": words.en}, "person": person, "at": each["started_at"]}
