"""The dashboards: as the code prints them, whole by the SDK's own schema, and about metrics that there are."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.cog.plugins import register_default_plugins
from grafana_foundation_sdk.models.dashboard import Dashboard

from exporters.commands import monitoring
from exporters.dashboards.generate import printed
from exporters.dashboards.shipped import dashboard_files
from exporters.metrics import METRICS
from orchestrator.errors import InvalidInput

FILES = dashboard_files()
DASHBOARDS = {name: json.loads(text) for name, text in FILES.items()}
CHINESE, ENGLISH = re.compile("[一-鿿]"), re.compile("[A-Za-z]{3}")
#: What Prometheus itself says: of every scrape, and of its rules.
SCRAPED = {"scrape_duration_seconds", "ALERTS"}
#: Fields of annotations that Grafana's source for Prometheus reads, and that the SDK has no word for.
UNTOLD = ("step", "tagKeys", "textFormat", "titleFormat", "useValueForTime")

every = pytest.mark.parametrize("dashboard", DASHBOARDS.values(), ids=DASHBOARDS)


def panels(dashboard: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    return (each for each in dashboard["panels"] if each["type"] != "row")


def expressions(dashboard: Mapping[str, Any]) -> Iterator[str]:
    for panel in panels(dashboard):
        yield from (each["expr"] for each in panel.get("targets", ()))
    yield from (each["expr"] for each in dashboard["annotations"]["list"])
    yield from (each["query"]["query"] for each in dashboard["templating"]["list"] if each["type"] == "query")


def test_committed_files_are_what_the_code_prints() -> None:
    assert printed() == FILES, "make docs"


def test_addresses_are_for_good() -> None:
    """Links and bookmarks hold on to them: a dashboard may come, none may change its uid."""
    assert {each["uid"] for each in DASHBOARDS.values()} == {
        *("tricenter-city", "tricenter-system", "tricenter-centre"),
        *("tricenter-drills", "tricenter-tenants", "tricenter-engine"),
    }
    assert all(name == f"{each['uid']}.json" for name, each in DASHBOARDS.items())


@every
def test_a_dashboard_is_whole_by_the_schema_of_the_sdk(dashboard: dict[str, Any]) -> None:
    """Read back with the SDK's models and written again it is the same: nothing is misspelt or of another kind."""
    register_default_plugins()
    again = json.loads(json.dumps(Dashboard.from_json(dashboard), cls=JSONEncoder))
    for each in dashboard["annotations"]["list"]:
        assert [each.pop(name) for name in UNTOLD]
    assert again == dashboard


@every
def test_every_metric_of_a_query_is_in_the_list(dashboard: dict[str, Any]) -> None:
    labels = {each.name: {*each.labels, "job"} for each in METRICS}
    labels |= {f"{each.name}_bucket": {*each.labels, "job", "le"} for each in METRICS if each.kind == "histogram"}
    for expr in expressions(dashboard):
        named = re.findall(r"\b(\w+)\{([^}]*)\}|\b(tricenter_\w+)(?!\w*\{)", expr)
        assert named, expr
        for name, matchers, bare in named:
            if name not in SCRAPED:
                used = set(re.findall(r"(\w+)(?:=~|!~|!=|=)\"", matchers))
                assert used <= labels[name or bare], expr


@every
def test_a_panel_says_what_it_shows_in_both_languages_and_asks_the_chosen_source(dashboard: dict[str, Any]) -> None:
    texts = [dashboard["title"], dashboard["description"]]
    for panel in panels(dashboard):
        texts += [panel["title"], panel["description"]]
        for each in (panel, *panel.get("targets", ())):
            assert each["datasource"] == {"type": "prometheus", "uid": "${datasource}"}, panel["title"]
    for variable in dashboard["templating"]["list"]:
        texts.append(variable["label"])
        if variable["type"] == "query":
            assert variable["datasource"]["uid"] == "${datasource}"
    assert [each["datasource"]["uid"] for each in dashboard["annotations"]["list"]] == ["${datasource}"] * 2
    for each in texts:
        assert CHINESE.search(each), each
        assert ENGLISH.search(each), each


@every
def test_panels_lie_beside_each_other(dashboard: dict[str, Any]) -> None:
    taken: set[tuple[int, int]] = set()
    for each in dashboard["panels"]:
        place = each["gridPos"]
        across, down = range(place["x"], place["x"] + place["w"]), range(place["y"], place["y"] + place["h"])
        cells = {(x, y) for x in across for y in down}
        assert not cells & taken, each["title"]
        assert max(x for x, _ in cells) < 24, each["title"]
        taken |= cells
    assert len({each["id"] for each in dashboard["panels"]}) == len(dashboard["panels"])


def test_the_wall_fits_a_screen() -> None:
    """1,080 pixels: rows of 30 with 8 between them."""
    places = [each["gridPos"] for each in DASHBOARDS["tricenter-city.json"]["panels"]]
    assert max(each["y"] + each["h"] for each in places) * 38 <= 1000


@every
def test_links_lead_to_dashboards_that_there_are_and_bring_their_variables(dashboard: dict[str, Any]) -> None:
    links = [url for url in re.findall(r'"url": "([^"]+)"', json.dumps(dashboard)) if url.startswith("/d/")]
    for url in links:
        target = next(each for each in DASHBOARDS.values() if url.startswith(f"/d/{each['uid']}?"))
        variables = {each["name"] for each in target["templating"]["list"]}
        assert set(re.findall(r"var-(\w+)=|\$\{(\w+):queryparam\}", url)) <= {
            pair for name in variables for pair in ((name, ""), ("", name))
        }, url
    outside = [each["url"] for each in dashboard["links"] if each["type"] == "link"]
    documents = [url.removeprefix("${docs}/") for url in outside if url.startswith("${docs}/")]
    assert documents
    assert any(url.startswith("${server}") for url in outside)


def test_dashboards_are_written_into_a_folder(tmp_path: Path) -> None:
    folder = tmp_path / "new" / "dashboards"
    assert all(str(folder / name) in run(str(folder), "--dry-run") for name in FILES)
    assert not folder.exists()
    for _ in range(2):
        assert all(str(folder / name) in run(str(folder)) for name in FILES)
    assert {each.name: each.read_text(encoding="utf-8") for each in folder.iterdir()} == FILES


def test_links_begin_where_the_site_says(tmp_path: Path) -> None:
    run(str(tmp_path), "--docs", "https://docs.city/tricenter/", "--server", "https://tricenter.city")
    for name in FILES:
        made = json.loads((tmp_path / name).read_text(encoding="utf-8"))
        values = {each["name"]: each for each in made["templating"]["list"]}
        assert values["docs"]["query"] == values["docs"]["current"]["value"] == "https://docs.city/tricenter"
        assert values["server"]["query"] == "https://tricenter.city"


@pytest.mark.parametrize("wrong", [("--docs", "docs.city"), ("--server", "javascript:alert(1)")])
def test_what_is_no_address_is_refused(tmp_path: Path, wrong: tuple[str, str]) -> None:
    with pytest.raises(InvalidInput, match="not an address"):
        run(str(tmp_path), *wrong)
    assert not list(tmp_path.iterdir())


def test_a_folder_that_cannot_be_written_to_is_named(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_text("")
    with pytest.raises(InvalidInput, match=str(file)):
        run(str(file / "below"))


def run(*words: str) -> str:
    return CliRunner().invoke(monitoring, ["dashboards", *words], catch_exceptions=False).output
