"""The panels of every dashboard: one way to show a number, a course, a state and the worst offenders.

Colours say how the actual stands to its objective, nothing else: green within, orange near it, red beyond, blue for
what has no objective. A title is Chinese, then English; every panel says in its description what it shows and what to
do.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from grafana_foundation_sdk.builders import (
    bargauge,
    common,
    dashboard,
    prometheus,
    stat,
    statetimeline,
    table,
    text,
    timeseries,
)
from grafana_foundation_sdk.cog.builder import Builder
from grafana_foundation_sdk.models import common as common_model
from grafana_foundation_sdk.models import dashboard as model
from grafana_foundation_sdk.models import prometheus as prometheus_model
from grafana_foundation_sdk.models import text as text_model

from exporters.dashboards.promql import of
from exporters.metric import SYSTEM, Metric

GREEN, ORANGE, RED, BLUE, GREY = "green", "orange", "red", "blue", "#4b5058"
SOURCE = model.DataSourceRef(type_val="prometheus", uid="${datasource}")
#: Rows in a table of offenders: what a person can act on, and what fits a wall.
OFFENDERS = 10
#: Moments that are asked for in a graph of the whole city: Prometheus looks at every system for each of them, and
#: refuses to hold more than 50 million samples.
POINTS = 240
#: Pixels for the labels that are long, where there is no room for all: names are read before numbers.
WIDTHS = {"tenant": 160, "system": 145, "plan": 190, "flow": 160, "alertname": 190}

Steps = Sequence[tuple[float | None, str]]

#: A share of what is allowed: exposure by its objective, age by its limit.
OF_OBJECTIVE: Steps = ((None, GREEN), (0.8, ORANGE), (1, RED))
#: A count of what must not be.
NONE_ALLOWED: Steps = ((None, GREEN), (1, RED))
#: A count of what should not be for long.
FEW_WANTED: Steps = ((None, GREEN), (1, ORANGE))
#: A share that should be whole.
WHOLE: Steps = ((None, RED), (0.99, ORANGE), (0.999, GREEN))
#: Seconds until something is due.
AHEAD: Steps = ((None, RED), (0, ORANGE), (7 * 86400, GREEN))
#: What there is at all.
SOME_NEEDED: Steps = ((None, RED), (1, GREEN))
NEUTRAL: Steps = ((None, BLUE),)

SECONDS, SHARE, PLAIN, BYTES = "s", "percentunit", "short", "bytes"


@dataclass(frozen=True, slots=True)
class Query:
    """One query and the name of what it gives."""

    expr: str
    name: str = "__auto"
    steps: Steps | None = None
    names: Mapping[int, tuple[str, str]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class State:
    """A metric whose values are states with names and colours of their own."""

    name: str
    metric: Metric
    names: Mapping[int, tuple[str, str]]

    def of(self, *chosen: str, **fixed: str) -> Query:
        return Query(of(self.metric, *chosen, by=None, **fixed), self.name, names=self.names)


def number(
    title: str,
    about: str,
    queries: str | Iterable[Query],
    *,
    unit: str = PLAIN,
    steps: Steps = NEUTRAL,
    decimals: int | None = None,
    link: str = "",
    graph: bool = False,
    beside: bool = False,
    named: bool = False,
) -> model.Panel:
    """Return large numbers on coloured ground.

    `beside` puts several next to each other, `named` shows what each is also where it is alone, `link` leads further.
    """
    shown = _shown(queries)
    names = named or len(shown) > 1
    panel = (
        stat.Panel()
        .color_mode(common_model.BigValueColorMode.BACKGROUND)
        .graph_mode(common_model.BigValueGraphMode.AREA if graph else common_model.BigValueGraphMode.NONE)
        .text_mode(common_model.BigValueTextMode.VALUE_AND_NAME if names else common_model.BigValueTextMode.VALUE)
        .justify_mode(common_model.BigValueJustifyMode.CENTER)
        .orientation(common_model.VizOrientation.VERTICAL if beside else common_model.VizOrientation.AUTO)
        .reduce_options(common.ReduceDataOptions().calcs(["lastNotNull"]).values(False))
        .unit(unit)
        .thresholds(steps_of(steps))
        .color_scheme(dashboard.FieldColor().mode(model.FieldColorModeId.THRESHOLDS))
        .no_value("—")
    )
    if decimals is not None:
        panel.decimals(decimals)
    if link:
        panel.data_links([dashboard.DashboardLink("详情 Details").url(link)])
    for each in shown:
        if each.steps:
            panel.override_by_name(each.name, [_property("thresholds", thresholds(each.steps))])
        if each.names:
            panel.override_by_name(each.name, [_property("mappings", [mapping(each.names).to_json()])])
    return _finish(panel, title, about, shown, instant=not graph)


def bars(
    title: str, about: str, queries: str | Iterable[Query], *, unit: str, steps: Steps, most: float | None = None
) -> model.Panel:
    """Return one bar for every series, coloured by where it ends."""
    panel = (
        bargauge.Panel()
        .display_mode(common_model.BarGaugeDisplayMode.BASIC)
        .orientation(common_model.VizOrientation.HORIZONTAL)
        .value_mode(common_model.BarGaugeValueMode.TEXT)
        .name_placement(common_model.BarGaugeNamePlacement.LEFT)
        .show_unfilled(True)
        .text(common.VizTextDisplayOptions().title_size(14).value_size(18))
        .max_viz_height(36)
        .sizing(common_model.BarGaugeSizing.MANUAL)
        .reduce_options(common.ReduceDataOptions().calcs(["lastNotNull"]).values(False))
        .unit(unit)
        .min(0)
        .thresholds(steps_of(steps))
        .color_scheme(dashboard.FieldColor().mode(model.FieldColorModeId.THRESHOLDS))
        .no_value("—")
    )
    if most is not None:
        panel.max(most)
    return _finish(panel, title, about, _shown(queries), instant=True)


def course(
    title: str,
    about: str,
    queries: str | Iterable[Query],
    *,
    unit: str,
    steps: Steps | None = None,
    limits: str = "",
    stacked: bool = False,
    top: float | None = None,
    points: int = POINTS,
) -> model.Panel:
    """Return lines over time, up to `top`, of so many points at most.

    Series whose name matches `limits` are objectives: dashed and red, beside the actual.
    """
    legend = common.VizLegendOptions().display_mode(common_model.LegendDisplayMode.LIST).show_legend(True)
    panel = (
        timeseries.Panel()
        .legend(legend.placement(common_model.LegendPlacement.BOTTOM))
        .tooltip(common.VizTooltipOptions().mode(common_model.TooltipDisplayMode.MULTI))
        .max_data_points(points)
        .line_width(2)
        .fill_opacity(60 if stacked else 8)
        .show_points(common_model.VisibilityMode.NEVER)
        .unit(unit)
        .axis_soft_min(0)
        .color_scheme(dashboard.FieldColor().mode(model.FieldColorModeId.PALETTE_CLASSIC))
    )
    if top is not None:
        panel.min(0).max(top)
    if stacked:
        panel.stacking(common.StackingConfig().mode(common_model.StackingMode.NORMAL).group("A"))
    if steps:
        panel.thresholds(steps_of(steps))
        panel.thresholds_style(common.GraphThresholdsStyleConfig().mode(common_model.GraphThresholdsStyleMode.DASHED))
    if limits:
        properties: dict[str, object] = {
            "color": {"mode": "fixed", "fixedColor": RED},
            "custom.lineStyle": {"fill": "dash", "dash": [10, 8]},
            "custom.fillOpacity": 0,
        }
        panel.override_by_regexp(limits, [_property(*each) for each in properties.items()])
    return _finish(panel, title, about, _shown(queries), instant=False)


def states(title: str, about: str, queries: str | Iterable[Query], names: Mapping[int, tuple[str, str]]) -> model.Panel:
    """Return a band of states over time for every series; `names` gives the text and the colour of each value."""
    panel = (
        statetimeline.Panel()
        .show_value(common_model.VisibilityMode.AUTO)
        .row_height(0.85)
        .legend(common.VizLegendOptions().show_legend(False).display_mode(common_model.LegendDisplayMode.LIST))
        .mappings([mapping(names)])
        .color_scheme(dashboard.FieldColor().mode(model.FieldColorModeId.THRESHOLDS))
        .thresholds(steps_of(NEUTRAL))
        .fill_opacity(85)
        .max_data_points(POINTS)
    )
    return _finish(panel, title, about, _shown(queries), instant=False)


@dataclass(frozen=True, slots=True)
class Column:
    """A column of values: what it is called, its query, how it is written and coloured."""

    title: str
    expr: str
    unit: str = PLAIN
    steps: Steps = ()
    names: Mapping[int, tuple[str, str]] = field(default_factory=dict)


def offenders(
    title: str,
    about: str,
    labels: Mapping[str, str],
    columns: Sequence[Column],
    *,
    link: str = "",
    ascending: bool = False,
) -> model.Panel:
    """Return a table: the labels, then the columns, sorted by the first of these.

    Every query gives the same few series, chosen by `topk` or `bottomk` in Prometheus, never all there are.
    """
    values = {f"Value #{_letter(number)}": each for number, each in enumerate(columns)}
    if len(columns) == 1:
        values = {"Value": columns[0]}
    shown = {**labels, **{name: each.title for name, each in values.items()}}
    left_out = [each for each in ("Time", *SYSTEM, "plan", "kind", "stage") if each not in labels]
    organized = {
        "excludeByName": dict.fromkeys(left_out, True),
        "indexByName": {name: place for place, name in enumerate(shown)},
        "renameByName": shown,
    }
    panel = (
        table.Panel()
        .cell_height(common_model.TableCellHeight.SM)
        .align(common_model.FieldTextAlignment.AUTO)
        .sort_by([common.TableSortByFieldState().display_name(columns[0].title).desc(not ascending)])
        .no_value("—")
        .transformations(
            [
                model.DataTransformerConfig(id_val="merge", options={}),
                model.DataTransformerConfig(id_val="organize", options=organized),
            ]
        )
    )
    for label, name in labels.items():
        panel.override_by_name(name, [_property("custom.minWidth", WIDTHS.get(label, 100))])
    for each in columns:
        panel.override_by_name(each.title, _column(each))
    if link:
        first = next(iter(labels.values()))
        panel.override_by_name(first, [_property("links", [{"title": "详情 Details", "url": link}])])
    queries = [Query(each.expr) for each in columns]
    return _finish(panel, title, about, queries, instant=True, as_table=True)


def words(title: str, about: str, text_: str) -> model.Panel:
    """Return a panel of Markdown. It is no query's, and so it may name variables."""
    panel = text.Panel().mode(text_model.TextMode.MARKDOWN).content(text_)
    return _finish(panel, title, about, (), instant=True)


def thresholds(steps: Steps) -> dict[str, object]:
    return {"mode": "absolute", "steps": [{"value": value, "color": colour} for value, colour in steps]}


def steps_of(steps: Steps) -> dashboard.ThresholdsConfig:
    made = [model.Threshold(value=value, color=colour) for value, colour in steps]
    return dashboard.ThresholdsConfig().mode(model.ThresholdsMode.ABSOLUTE).steps(made)


def mapping(names: Mapping[int, tuple[str, str]]) -> model.ValueMap:
    return model.ValueMap(
        {
            str(value): model.ValueMappingResult(text=text, color=colour, index=index)
            for index, (value, (text, colour)) in enumerate(names.items())
        }
    )


def _column(column: Column) -> list[model.DynamicConfigValue]:
    made = [_property("unit", column.unit)]
    if column.steps:
        made.append(_property("thresholds", thresholds(column.steps)))
        made.append(_property("color", {"mode": "thresholds"}))
    if column.names:
        made.append(_property("mappings", [mapping(column.names).to_json()]))
    if column.steps or column.names:
        made.append(_property("custom.cellOptions", {"type": "color-background", "mode": "basic"}))
    return made


def _property(name: str, value: object) -> model.DynamicConfigValue:
    return model.DynamicConfigValue(id_val=name, value=value)


def _shown(queries: str | Iterable[Query]) -> list[Query]:
    return [Query(queries)] if isinstance(queries, str) else list(queries)


def _letter(number: int) -> str:
    return chr(ord("A") + number)


def _finish(
    builder: Builder[model.Panel],
    title: str,
    about: str,
    queries: Iterable[Query],
    *,
    instant: bool,
    as_table: bool = False,
) -> model.Panel:
    """Return the panel with its title, what it shows, and its queries, all asked of the source that is chosen."""
    panel = builder.build()
    panel.title, panel.description, panel.datasource = title, about, SOURCE
    panel.targets = [_target(_letter(place), each, instant, as_table) for place, each in enumerate(queries)]
    return panel


def _target(letter: str, query: Query, instant: bool, as_table: bool) -> prometheus_model.Dataquery:
    asked = prometheus.Dataquery().ref_id(letter).expr(query.expr).datasource(SOURCE)
    if as_table:
        asked.format(prometheus_model.PromQueryFormat.TABLE)
    else:
        asked.format(prometheus_model.PromQueryFormat.TIME_SERIES).legend_format(query.name)
    return (asked.instant() if instant else asked.range()).build()
