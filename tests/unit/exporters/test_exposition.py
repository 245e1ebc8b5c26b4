"""The text that scrapes get: what prometheus_client would write of the same samples, in both formats, packed."""

from __future__ import annotations

import gzip
from collections.abc import Iterable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from prometheus_client.metrics_core import HistogramMetricFamily
from prometheus_client.metrics_core import Metric as Family
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_openmetrics
from prometheus_client.parser import text_string_to_metric_families as parse
from prometheus_client.samples import Exemplar

from exporters import metrics as m
from exporters import upkeep_metrics as u
from exporters.exposition import Exposition, only, write
from exporters.metric import Metric
from exporters.view import Sample, families

PLACE = ("bureau", "system", "tier", "same-city")
NAMES = st.text(st.characters(codec="utf-8"), max_size=9)


def seen(found: Iterable[Family]) -> dict[str, tuple[str, str, set[object]]]:
    return {
        each.name: (
            each.type,
            each.documentation,
            {(s.name, frozenset(s.labels.items()), s.value) for s in each.samples},
        )
        for each in found
    }


def samples_of(metric: Metric) -> st.SearchStrategy[list[Sample]]:
    least = 0.0 if metric.kind == "counter" else None
    sample = st.tuples(st.just(metric), st.tuples(*(NAMES for _ in metric.labels)), st.floats(least, allow_nan=False))
    return st.lists(sample, max_size=3, unique_by=lambda each: each[1])


@settings(max_examples=30)
@given(st.tuples(*map(samples_of, (m.RPO_ACTUAL, m.PROTECTION, m.RUNS, u.HEALED, m.VIEW_TIME, m.RTO_MEASURED))))
def test_both_formats_say_what_the_samples_are(of_metrics: tuple[list[Sample], ...]) -> None:
    samples = [each for of_metric in of_metrics for each in of_metric]
    written, expected = write(samples), seen(families(samples))
    assert seen(parse(written.answer([], openmetrics=False).text().decode())) == expected
    assert seen(parse_openmetrics(written.answer([], openmetrics=True).text().decode())) == expected


@pytest.mark.parametrize("openmetrics", [False, True])
def test_packed_is_one_gzip_stream_of_the_same_text(openmetrics: bool) -> None:
    answer = write([(m.RPO_ACTUAL, PLACE, 1.5), (u.HEALED, PLACE, 2)]).answer([], openmetrics=openmetrics)
    assert gzip.decompress(answer.gzip()) == answer.text()
    assert answer.gzip().count(b"\x1f\x8b\x08") == 1, "not every client reads a second stream"
    assert b'tricenter_rpo_actual_seconds{tenant="bureau",system="system",tier="tier",centre="same-city"} 1.5\n' in (
        answer.text()
    )


def test_what_is_of_the_moment_stands_at_the_end_with_its_exemplars() -> None:
    histogram = HistogramMetricFamily("tricenter_x_seconds", "X.", labels=["flow"])
    histogram.add_metric(["backup"], [("1.0", 1, Exemplar({"run": "r"}, 0.5)), ("+Inf", 1)], 0.5)
    answer = write([(m.RPO_ACTUAL, PLACE, 1.5)]).answer([histogram], openmetrics=True)
    *_, last = parse_openmetrics(answer.text().decode())
    assert last.samples[0].exemplar == Exemplar({"run": "r"}, 0.5)
    assert gzip.decompress(answer.gzip()).endswith(b"# EOF\n")


@pytest.mark.parametrize("openmetrics", [False, True])
def test_only_some_metrics(openmetrics: bool) -> None:
    text = write([(m.RPO_ACTUAL, PLACE, 1), (m.RPO_WORST, PLACE, 2), (u.HEALED, PLACE, 3)])
    whole = text.answer(families([(m.VIEW_ERRORS, (), 4)]), openmetrics=openmetrics).text()
    for name in ("tricenter_rpo_worst_seconds", "tricenter_objects_healed_total", "tricenter_view_errors_total"):
        chosen = only(whole, [name])
        assert [line.split(b"{")[0].split()[0].decode() for line in chosen.splitlines() if line[:1] != b"#"] == [name]
        list(parse_openmetrics(chosen.decode()) if openmetrics else parse(chosen.decode()))
    assert only(whole, ["tricenter_no_such"]) == (b"# EOF\n" if openmetrics else b"")


def test_an_exposition_without_a_view_is_well_formed() -> None:
    live = families([(m.VIEW_ERRORS, (), 1)])
    assert gzip.decompress(Exposition().answer(live, openmetrics=True).gzip()).endswith(b"# EOF\n")
