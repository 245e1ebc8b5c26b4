"""What no service lists for all tenants: asked tenant by tenant, and remembered, so that most looks need not ask.

Remembered are the quotas of compute, block storage, DNS and shared file systems, who is in the group, the service
user's credentials, and the key pairs of members of whom the site says one. A memory is good for the very objects that
it was asked of, and for a time. It only ever tells that nothing is to be done: whom it gives something to do is asked
again before that stands in any plan.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from orchestrator.catalogue.database import now
from orchestrator.catalogue.details import Remembered, read_details, record_details
from orchestrator.catalogue.store import Catalogue
from orchestrator.cloud import further_quotas, identity, key_pairs, quotas
from orchestrator.cloud.connection import Connection
from orchestrator.errors import Unreachable
from policies.confirming import LONGEST_MEMORY, due

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Question:
    """Of which objects of a tenant something has to be asked. None: there is no such object yet."""

    tenant: str
    project_id: str
    group_id: str | None
    user_id: str | None
    services: tuple[str, ...]
    #: Whose key pairs are asked for.
    key_owners: tuple[str, ...] = ()

    @property
    def about(self) -> str:
        return json.dumps(
            [self.project_id, self.group_id, self.user_id, sorted(self.services), sorted(self.key_owners)]
        )


@dataclass(frozen=True, slots=True)
class Answer:
    """What the cloud said of one tenant, and when, if that was not now."""

    limits: Mapping[str, quotas.Limits]
    member_ids: frozenset[str]
    credentials: tuple[identity.ApplicationCredential, ...]
    key_pairs: tuple[key_pairs.KeyPair, ...] = ()
    remembered_at: datetime | None = None

    def as_json(self) -> dict[str, Any]:
        return {
            "limits": {service: dict(limits) for service, limits in self.limits.items()},
            "members": sorted(self.member_ids),
            "credentials": [[each.id, each.name, each.description, each.ours] for each in self.credentials],
            "key_pairs": [[each.user_id, each.name, each.public_key] for each in self.key_pairs],
        }


def answer_of(memory: Remembered) -> Answer:
    """Return what was remembered as it was answered."""
    said = memory.answers
    credentials = tuple(identity.ApplicationCredential(*each) for each in said["credentials"])
    keys = tuple(key_pairs.KeyPair(*each) for each in said["key_pairs"])
    return Answer(said["limits"], frozenset(said["members"]), credentials, keys, memory.confirmed_at)


@dataclass(frozen=True, slots=True)
class Memory:
    """What the catalogue remembers. Without a catalogue that answers, everything is asked and nothing kept.

    `longest` zero asks everything, and keeps it; `rotation` is as in `policies.confirming`.
    """

    catalogue: Callable[[], Catalogue]
    longest: timedelta = LONGEST_MEMORY
    rotation: int = 0
    clock: Callable[[], datetime] = field(default=now)

    def recall(self, centre: str, questions: Collection[Question]) -> dict[str, Answer]:
        """Return the answers that are good still, by tenant."""
        if not self.longest:
            return {}
        try:
            known = read_details(self.catalogue(), centre)
        except Unreachable as error:
            log.info("nothing is remembered now: %s", error)
            return {}
        asked = {each.tenant: each.about for each in questions}
        same = {name: each for name, each in known.items() if asked.get(name) == each.about}
        again = due(
            {name: each.confirmed_at for name, each in same.items()},
            self.clock(),
            longest=self.longest,
            rotation=self.rotation,
        )
        return {name: answer_of(each) for name, each in same.items() if name not in again}

    def keep(self, centre: str, questions: Collection[Question], answers: Mapping[str, Answer]) -> None:
        """Remember what was answered now."""
        moment = self.clock()
        fresh = [
            Remembered(each.tenant, each.about, answers[each.tenant].as_json(), moment)
            for each in questions
            if answers[each.tenant].remembered_at is None
        ]
        try:
            record_details(self.catalogue(), centre, fresh)
        except Unreachable as error:
            log.info("nothing can be remembered now: %s", error)


def fresh(catalogue: Callable[[], Catalogue]) -> Memory:
    """Return a memory that asks everything, for those who must be certain, and keeps it for the others."""
    return Memory(catalogue, timedelta())


def ask(
    connection: Connection, centre: str, questions: Collection[Question], memory: Memory | None
) -> dict[str, Answer]:
    """Return the answers to all questions, by tenant: remembered, or asked with up to six requests each.

    One more for each member of whom the site says a key pair.
    """
    known = memory.recall(centre, questions) if memory else {}
    answers = {each.tenant: known.get(each.tenant) or _asked(connection, each) for each in questions}
    if memory:
        memory.keep(centre, questions, answers)
    return answers


def _asked(connection: Connection, question: Question) -> Answer:
    limits = {}
    if "compute" in question.services:
        limits["compute"] = quotas.compute(connection, question.project_id)
    if "block_storage" in question.services:
        limits["block_storage"] = quotas.block_storage(connection, question.project_id)
    if "dns" in question.services:
        limits["dns"] = further_quotas.dns(connection, question.project_id)
    if "shared_file_system" in question.services:
        limits["shared_file_system"] = further_quotas.shared_file_system(connection, question.project_id)
    members = identity.group_user_ids(connection, question.group_id) if question.group_id else frozenset()
    there = identity.application_credentials(connection, question.user_id) if question.user_id else []
    keys = [key for owner in question.key_owners for key in key_pairs.key_pairs(connection, owner)]
    return Answer(limits, members, tuple(there), tuple(keys))
