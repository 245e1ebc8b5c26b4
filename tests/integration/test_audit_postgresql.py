"""The contract of the audit chain on a real PostgreSQL."""

from __future__ import annotations

import pytest

from tests.audit_contract import *  # noqa: F403

pytestmark = pytest.mark.integration


@pytest.fixture
def url(postgresql_url: str) -> str:
    return postgresql_url


@pytest.fixture
def writers() -> int:
    return 8
