"""Libraries that speak HTTP log every address at their lowest level, and the addresses of channels hold tokens."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

_discreet: ContextVar[bool] = ContextVar("discreet", default=False)


class _Discretion(logging.Filter):
    def filter(self, record: logging.LogRecord) -> bool:
        return not _discreet.get()


logging.getLogger("urllib3.connectionpool").addFilter(_Discretion())


@contextmanager
def discreetly() -> Iterator[None]:
    """Let nothing be logged of requests that this thread makes in the block. Others log theirs."""
    token = _discreet.set(True)
    try:
        yield
    finally:
        _discreet.reset(token)
