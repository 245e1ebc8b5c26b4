"""What is measured of a drill, from its rows."""

from __future__ import annotations

from datetime import timedelta
from typing import get_args

import pytest
from drill_rows import BEGIN, PASSED, rows, steps
from hypothesis import given
from hypothesis import strategies as st

from drills import words
from drills.measure import STAGE_OF_STEP, STAGES, Measured, Objective, Verdict, judge, measure
from drills.probes import ProbeResult
from orchestrator.catalogue.records import Outcome
from orchestrator.errors import Unreachable
from policies.probe import Probe

FAILED = ProbeResult("sql:db", False, "0", "7")
lengths = st.floats(0, 5000, allow_nan=False)


@given(st.lists(lengths, min_size=11, max_size=11), lengths)
def test_the_stages_of_a_recovery_add_up_to_its_rto(seconds: list[float], gap: float) -> None:
    told = [(name, each, left) for (name, _, left), each in zip(steps(), seconds, strict=True)]
    attempts = rows(told, gap)
    measured = measure(attempts, BEGIN - timedelta(hours=1))
    assert attempts[-1].ended_at is not None
    assert measured.rto_seconds == pytest.approx((attempts[-1].ended_at - BEGIN).total_seconds(), abs=1e-4)
    assert sum(measured.reached().values()) == pytest.approx(measured.rto_seconds, abs=1e-4)
    assert measured.rpo_seconds == 3600


@given(st.integers(1, 10))
def test_a_drill_that_stops_half_way_has_no_rto_and_only_the_stages_that_it_reached(stop: int) -> None:
    told = steps()[:stop]
    told[-1] = (told[-1][0], told[-1][1], Unreachable("gone"))
    measured = measure(rows(told), None)
    assert (measured.rto_seconds, measured.rpo_seconds) == (None, None)
    assert judge(measured, Objective(1e9, 1e9)) is Verdict.FAILED
    reached = {"declare": "detect", "choose-point": "decide", "systems": "wait"}
    for name, stage in reached.items():
        assert (measured.stages[stage] is not None) is any(each.startswith(name) for each, _, _ in told)
    assert set(measured.stages) == set(STAGES)


@pytest.mark.parametrize("place", range(3))
def test_one_failed_probe_among_passed_ones_is_no_recovery(place: int) -> None:
    probes = [*PASSED[:place], FAILED, *PASSED[place:]]
    measured = measure(rows(steps(probes)), BEGIN)
    assert measured.rto_seconds is None
    assert measured.rpo_seconds == 0


def test_a_step_that_was_tried_again_and_passed_counts_with_both_tries() -> None:
    told = steps()
    told.insert(5, ("restore:files", 5.0, Unreachable("the vault did not answer")))
    measured = measure(rows(told), BEGIN)
    assert measured.rto_seconds is not None
    assert measured.stages["restore"] == pytest.approx(5 + 0.02 + 1.1 + 2.6 + 3.2 + 5 * 0.003)


def test_what_follows_the_recovery_does_not_count() -> None:
    assert measure(rows([*steps(), ("record", 900.0, None)]), BEGIN) == measure(rows(steps()), BEGIN)


def test_without_rows_nothing_is_measured() -> None:
    assert measure([], BEGIN) == Measured(dict.fromkeys(STAGES), None, None)


@pytest.mark.parametrize(
    ("rpo", "rto", "verdict"),
    [
        (60.0, 60.0, Verdict.MET),
        (60.1, 60.0, Verdict.MISSED),
        (60.0, 60.1, Verdict.MISSED),
        (None, 60.0, Verdict.FAILED),
        (60.0, None, Verdict.FAILED),
    ],
)
def test_the_verdict_compares_both_with_their_objectives(
    rpo: float | None, rto: float | None, verdict: Verdict
) -> None:
    assert judge(Measured({}, rto, rpo), Objective(60, 60)) is verdict


def test_every_step_stage_verdict_and_kind_of_probe_has_words_in_both_languages() -> None:
    assert STAGE_OF_STEP.keys() <= words.STEPS.keys()
    assert tuple(words.STAGES) == STAGES
    assert words.VERDICTS.keys() == set(Verdict)
    assert words.OUTCOMES.keys() == set(Outcome)
    assert words.PROBES.keys() == {
        get_args(each.model_fields["kind"].annotation)[0] for each in get_args(get_args(Probe)[0])
    }
