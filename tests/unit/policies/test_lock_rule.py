"""When locks are lengthened: whatever the lock, what is in use never has less left than was promised."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from policies.locks import extend_every, is_short, lengthened, promised

NOW = datetime(2026, 11, 23, 4, 0, tzinfo=UTC)
locks = st.timedeltas(timedelta(hours=1), timedelta(days=400))


@given(locks, st.floats(0, 1))
def test_an_object_that_is_looked_at_in_time_always_keeps_the_promise(lock, first):
    """From its upload on, whenever the first look comes; and few of the looks lengthen anything."""
    every, until, at, changes = extend_every(lock), NOW + lock, NOW + first * extend_every(lock), 0
    looks = 400
    for _ in range(looks):
        assert not is_short(until, at, lock)
        if longer := lengthened(until, at, lock):
            assert longer > until
            assert lock <= longer - at <= lock + timedelta(seconds=2)
            until, changes = longer, changes + 1
        at += every
    assert changes <= looks * every / (lock - promised(lock) - every) + 2


@given(locks)
def test_what_was_never_locked_or_soon_is_free_is_lengthened(lock):
    assert lengthened(None, NOW, lock)
    assert lengthened(NOW + promised(lock), NOW, lock)
    assert lengthened(NOW + lock, NOW, lock) is None
    assert is_short(None, NOW, lock)
    assert is_short(NOW + promised(lock) - timedelta(seconds=1), NOW, lock)
