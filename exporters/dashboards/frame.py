"""What all dashboards have in common: variables, links to one another and to the documents, annotations, the grid."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from grafana_foundation_sdk.builders import dashboard
from grafana_foundation_sdk.cog.builder import Builder
from grafana_foundation_sdk.models import dashboard as model

from exporters.dashboards.parts import BLUE, RED, SOURCE
from exporters.dashboards.promql import of
from exporters.files import DOCS
from exporters.metrics import BUILD, DRILL_LAST, PLAN_STATE, RPO_OBJECTIVE

TAG = "tricenter"
#: What links and annotations keep of the viewer's choice.
KEPT = "${datasource:queryparam}&${job:queryparam}&${docs:queryparam}&${server:queryparam}&${__url_time_range}"
SERVER = "http://127.0.0.1:15090"
#: Grafana's grid is so wide.
WIDTH = 24
REAL = "failover|switchover|failback"

CITY, SYSTEM, CENTRE, DRILLS, TENANTS, ENGINE = (
    f"tricenter-{each}" for each in ("city", "system", "centre", "drills", "tenants", "engine")
)


@dataclass(frozen=True, slots=True)
class Row:
    """Panels beside each other, all of one height; a title makes a heading of its own above them."""

    height: int
    panels: Sequence[tuple[int, model.Panel]]
    title: str = ""


def board(
    uid: str,
    title: str,
    about: str,
    rows: Sequence[Row],
    variables: Sequence[Builder[model.VariableModel]] = (),
    *,
    back: str = "now-24h",
    refresh: str = "30s",
    readable_for: str = "",
) -> model.Dashboard:
    """Return a dashboard. Its uid is its address for good: links and bookmarks hold on to it."""
    made = (
        dashboard.Dashboard(title)
        .uid(uid)
        .description(about)
        .tags([TAG, *([readable_for] if readable_for else [])])
        .time(back, "now")
        .refresh(refresh)
        .timezone("browser")
        .tooltip(model.DashboardCursorSync.CROSSHAIR)
        .editable()
        .variables([*_common_variables(), *variables])
        .annotations([_Given(each) for each in _annotations()])
        .links(_links())
        .build()
    )
    made.id_val = None
    made.panels = list(_placed(rows))
    return made


def choice(name: str, label: str, metric_label: str, *, many: bool, within: str = "") -> dashboard.QueryVariable:
    """Return a variable with the values that a label has. `within` narrows it by variables before it."""
    query = f'label_values({RPO_OBJECTIVE.name}{{job="$job"{within}}}, {metric_label})'
    return _query_variable(name, label, query, many)


def plan_choice() -> dashboard.QueryVariable:
    return _query_variable("plan", "预案 Plan", f'label_values({PLAN_STATE.name}{{job="$job"}}, plan)', many=True)


def to(uid: str, **fields: str) -> str:
    """Return a link to a dashboard: `tenant="tenant"` takes that label of the row or series that is clicked."""
    chosen = "".join(f"&var-{variable}=${{__data.fields.{label}}}" for variable, label in fields.items())
    return f"/d/{uid}?{KEPT}{chosen}"


def _query_variable(name: str, label: str, query: str, many: bool) -> dashboard.QueryVariable:
    made = (
        dashboard.QueryVariable(name)
        .label(label)
        .datasource(SOURCE)
        .query({"query": query, "refId": f"variable-{name}", "qryType": 1})
        .refresh(model.VariableRefresh.ON_TIME_RANGE_CHANGED)
        .sort(model.VariableSort.ALPHABETICAL_ASC)
        .multi(many)
        .include_all(many)
    )
    if many:
        made.all_value(".*").current(model.VariableOption(selected=True, text="All", value="$__all"))
    return made


def _common_variables() -> list[Builder[model.VariableModel]]:
    return [
        dashboard.DatasourceVariable("datasource").label("数据源 Source").type("prometheus"),
        _query_variable("job", "采集任务 Job", f"label_values({BUILD.name}, job)", many=False),
        _address("docs", "文档 Docs", DOCS),
        _address("server", "服务 Server", SERVER),
    ]


def _address(name: str, label: str, default: str) -> dashboard.TextBoxVariable:
    """Return an address that links begin with. It is not shown: who installs the dashboards sets it once."""
    made = dashboard.TextBoxVariable(name).label(label).default_value(default)
    return made.current(model.VariableOption(text=default, value=default)).hide(model.VariableHide.HIDE_VARIABLE)


def _links() -> list[Builder[model.DashboardLink]]:
    others = dashboard.DashboardLink("看板 Dashboards").type(model.DashboardLinkType.DASHBOARDS).tags([TAG])
    pages = (
        ("处置手册 Runbooks", "${docs}/monitoring.md", "每条告警怎么办 What to do about each alert"),
        ("演练报告 Reports", "${docs}/evidence.md", "演练报告与证据包在哪里 Where reports and evidence are"),
        ("服务 Server", "${server}", "任务接口与健康 Runs and health"),
    )
    return [
        others.as_dropdown(True).include_vars(True).keep_time(True).icon("external link"),
        *(
            dashboard.DashboardLink(title)
            .type(model.DashboardLinkType.LINK)
            .url(url)
            .tooltip(tip)
            .icon("doc")
            .target_blank(True)
            for title, url, tip in pages
        ),
    ]


class PrometheusAnnotation(model.AnnotationQuery):
    """An annotation whose value is its time, in milliseconds.

    The SDK knows its query; the rest are fields that Grafana's source for Prometheus reads beside it.
    """

    def to_json(self) -> dict[str, object]:
        added: dict[str, object] = {
            "useValueForTime": True,
            "titleFormat": self.name,
            "textFormat": "{{plan}} · {{kind}} · {{tenant}}/{{system}} → {{centre}}",
            "tagKeys": "kind,centre",
            "step": "60s",
        }
        return super().to_json() | added


def _annotations() -> Iterator[model.AnnotationQuery]:
    for name, colour, kinds in (("演练 Drill", BLUE, f"!{REAL}"), ("切换 Failover", RED, REAL)):
        expr = f"1000 * {of(DRILL_LAST, kind=kinds)}"
        yield PrometheusAnnotation(name=name, datasource=SOURCE, enable=True, icon_color=colour, expr=expr)


class _Given(Builder[model.AnnotationQuery]):
    """What is built already, where a builder is asked for."""

    def __init__(self, made: model.AnnotationQuery) -> None:
        self._made = made

    def build(self) -> model.AnnotationQuery:
        return self._made


def _placed(rows: Sequence[Row]) -> Iterator[model.Panel | model.RowPanel]:
    """Yield the panels in their places. Numbers count on, in the order of reading."""
    y, number = 0, 1
    for row in rows:
        if row.title:
            place = model.GridPos(x=0, y=y, w=WIDTH, h=1)
            yield model.RowPanel(title=row.title, grid_pos=place, id_val=number, collapsed=False)
            y, number = y + 1, number + 1
        x = 0
        for width, panel in row.panels:
            panel.id_val, panel.grid_pos = number, model.GridPos(x=x, y=y, w=width, h=row.height)
            yield panel
            x, number = x + width, number + 1
        y += row.height
