"""Rates by the time of day, and a meter that never lets more through than its rate and one burst."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from policies.bandwidth import (
    BURST_BYTES,
    KIB,
    BandwidthWindow,
    Meter,
    Rate,
    Rates,
    overlap_misfits,
    parse_rate,
    rates_at,
)
from policies.load import check_site
from policies.windows import zone
from tests.unit.policies.conftest import SITE, TENANT

MIB = 1 << 20
SHANGHAI = zone("Asia/Shanghai")
clock = st.builds("{:02d}:{:02d}".format, st.integers(0, 23), st.integers(0, 59))


def window(begin: str, end: str, upload: str | None = "20MiB/s", download: str | None = None) -> BandwidthWindow:
    return BandwidthWindow.model_validate({"from": begin, "to": end, "upload": upload, "download": download})


@pytest.mark.parametrize(("text", "rate"), [("800KiB/s", 800 * KIB), ("1.5 GiB/s", 3 << 29), (" 20MiB/s ", 20 * MIB)])
def test_a_rate_is_read(text, rate):
    assert parse_rate(text) == TypeAdapter(Rate).validate_python(text) == rate


@pytest.mark.parametrize("text", ["0MiB/s", "511KiB/s", "20MB/s", "20", 20 * MIB, "-1MiB/s", "20 Mbit/s", True, None])
def test_what_is_no_rate_is_refused(text):
    with pytest.raises(ValidationError):
        TypeAdapter(Rate).validate_python(text)


def test_the_rate_of_a_moment_is_that_of_its_window_in_the_sites_time():
    windows = (window("08:00", "20:00", "20MiB/s", "40MiB/s"), window("22:00", "06:00", None, "1GiB/s"))

    def at(hour: int, minute: int = 0) -> Rates:
        return rates_at(windows, datetime(2026, 11, 23, hour, minute, tzinfo=SHANGHAI).astimezone(UTC), SHANGHAI)

    work, night = Rates(20 * MIB, 40 * MIB), Rates(None, 1 << 30)
    assert [at(7, 59), at(8), at(19, 59), at(20)] == [Rates(), work, work, Rates()]
    assert [at(21, 59), at(22), at(23, 59), at(0), at(5, 59), at(6)] == [Rates(), *[night] * 4, Rates()]
    assert (str(work), str(night), str(Rates())) == (
        "upload 20.0 MiB/s, download 40.0 MiB/s", "download 1.0 GiB/s", "unlimited",
    )  # fmt: skip


@given(clock, clock, clock, clock, st.integers(0, 24 * 60 - 1))
def test_windows_are_said_to_overlap_when_a_moment_is_in_both(a, b, c, d, minute):
    if a == b or c == d:
        return
    first, second = window(a, b, "1MiB/s"), window(c, d, "2MiB/s")
    moment = datetime(2026, 11, 23, tzinfo=UTC) + timedelta(minutes=minute)
    both = all(rates_at((each,), moment, UTC) != Rates() for each in (first, second))
    apart = not list(overlap_misfits((first, second)))
    assert not (both and apart)
    # The begin of one of the two is in both wherever they overlap.
    begins = [moment.replace(hour=int(each[:2]), minute=int(each[3:])) for each in (a, c)]
    assert apart != any(all(rates_at((w,), at, UTC) != Rates() for w in (first, second)) for at in begins)


def test_what_means_nothing_is_told_where_it_stands(tmp_path):
    profile = (
        "      bandwidth:\n"
        "        - {from: '08:00', to: '20:00', upload: 20MiB/s}\n"
        "        - {from: '19:00', to: '21:00', download: 20MiB/s}\n"
    )
    single = (
        "      bandwidth:\n"
        "        - {from: '08:00', to: '08:00'}\n"
        "        - {from: '25:00', to: '26:00', upload: 0KiB/s}\n"
    )
    near, far = "near.expirer.json\n", "far.expirer.json\n"
    (tmp_path / "tenants").mkdir()
    (tmp_path / "tenants" / "health.yaml").write_text(TENANT, "utf-8")
    (tmp_path / "site.yaml").write_text(SITE.replace(near, near + profile).replace(far, far + single), "utf-8")
    found = {each.path: (each.got, each.want) for each in check_site(tmp_path).findings}
    vaults = "centres.{}.vault.bandwidth[{}].{}".format
    assert found[vaults("same-city", 1, "from")] == ("19:00-21:00", "windows apart: 08:00-20:00 covers part of it")
    assert found[vaults("provincial", 0, "to")][1].startswith("another time than 08:00")
    assert found[vaults("provincial", 0, "upload")] == (
        "nothing",
        "upload, download or both: a window limits something",
    )
    assert found[vaults("provincial", 1, "upload")][0] == "0KiB/s"
    assert found[vaults("provincial", 1, "upload")][1].startswith("a rate such as 800KiB/s")
    assert {vaults("provincial", 1, key) for key in ("from", "to")} <= found.keys()


@given(
    st.lists(st.tuples(st.integers(1, 4 * MIB), st.floats(0, 30)), min_size=1, max_size=30),
    st.integers(512 * KIB, 100 * MIB),
)
def test_never_more_goes_through_than_the_rate_and_one_burst(asked, rate):
    """Whoever asks in order, each after a rest: in no stretch of time does more go than the rate and a burst."""
    now, meter, gone = 0.0, Meter(0.0), []
    for size, rest in asked:
        now += rest
        meter = meter.moved(now, rate).reserve(size)
        now += meter.wait(meter.reserved, rate)
        meter = meter.moved(now, rate)
        assert meter.wait(meter.reserved, rate) < 1e-6
        gone.append((now, size))
    for first, (begin, _) in enumerate(gone):
        for last in range(first, len(gone)):
            # What went at `begin` itself may have been waited for before it.
            sent = sum(size for _, size in gone[first + 1 : last + 1])
            assert sent <= rate * (gone[last][0] - begin) + BURST_BYTES + 1


def test_those_that_wait_go_in_their_order_and_a_new_rate_counts_at_once():
    rate = MIB
    meter = Meter(0.0).reserve(MIB + BURST_BYTES)
    first, meter = meter.reserved, meter.reserve(MIB)
    second = meter.reserved
    assert (meter.wait(first, rate), meter.wait(second, rate)) == (1.0, 2.0)
    meter = meter.moved(0.5, rate)
    assert (meter.wait(first, 2 * rate), meter.wait(second, 2 * rate)) == (0.25, 0.75)
    assert meter.wait(second, None) == 0
    idle = meter.moved(1.0, None).moved(1000.0, rate).reserve(2 * MIB)
    assert idle.wait(idle.reserved, rate) == (2 * MIB - BURST_BYTES) / rate, "a rest saves nothing up"
