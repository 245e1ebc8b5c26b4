"""How long the objects of a vault stay locked, and when their lock is lengthened. Pure.

A lock counts from upload and not from last use: a pack of the first day, which all later points share, would be free
for anybody to delete while it is needed most. So the lock of everything in use is lengthened, well before it ends.
"""

from __future__ import annotations

from datetime import datetime, timedelta

#: What is in use is always locked for at least this share of the tier's lock: so much time there is to notice that a
#: vault's keys are in wrong hands. The rest is what few requests cost: each object is asked for once in that time.
PROMISED = 0.5

#: Locks are looked at this often, and of a short lock four times in its length.
LOOK_EVERY = timedelta(days=1)
LOOKS = 4

#: What was hidden stays for so much longer than the longest lock of its bucket: `vault undelete` reaches back so far.
KEPT_LONGER_DAYS = 7


def kept_days(lock_days: int) -> int:
    """Return for how many days a version that was hidden is kept in a bucket that locks for `lock_days`.

    Longer than any lock can last that was on it then: none is set for more than the bucket's from the day it is set.
    """
    return lock_days + KEPT_LONGER_DAYS


def promised(lock: timedelta) -> timedelta:
    """Return for how long an object in use is locked at the least, at any moment."""
    return lock * PROMISED


def extend_every(lock: timedelta) -> timedelta:
    """Return the time from one look at the locks to the next."""
    return min(LOOK_EVERY, lock / LOOKS)


def lengthened(until: datetime | None, now: datetime, lock: timedelta) -> datetime | None:
    """Return until when an object that is in use must be locked; None when its lock is long enough as it is.

    Nothing is locked for longer than `lock` from now, so what retention removes is free again after that. Long enough
    is what holds the promise until the look after this one.
    """
    if until is not None and until - now >= promised(lock) + extend_every(lock):
        return None
    return (now + lock).replace(microsecond=0) + timedelta(seconds=1)


def is_short(until: datetime | None, now: datetime, lock: timedelta) -> bool:
    """Return whether a lock that ends `until`, or never was, breaks the promise."""
    return until is None or until - now < promised(lock)
