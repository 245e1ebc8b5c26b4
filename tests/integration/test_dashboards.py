"""Every query of every dashboard is asked of a real Prometheus that scrapes a real server, and each has an answer."""

from __future__ import annotations

import json
import re
import sys
import time
from collections.abc import Iterator, Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from exporters.dashboards.shipped import dashboard_files
from exporters.rules.write import rules_file
from orchestrator.catalogue.database import now
from orchestrator.catalogue.store import Catalogue
from orchestrator.process import Child
from tests.integration.dashboard_town import DALIAN, OVERLAY, SYSTEM, TENANT, write_history
from tests.integration.prometheus import Prometheus, wait_until

pytestmark = pytest.mark.integration

TRICENTER = str(Path(sys.executable).with_name("tricenter"))
DASHBOARDS = {name: json.loads(text) for name, text in dashboard_files().items()}
#: What the viewer chooses where one value is to be chosen; where many may be, all of them are.
ONE = {"job": "tricenter", "tenant": TENANT, "system": SYSTEM, "centre": "same-city"}


class Asked(NamedTuple):
    """A query as it is asked, and where it stands."""

    where: str
    expr: str
    over_time: bool


@pytest.fixture(scope="module")
def prometheus(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Prometheus]:
    """A Prometheus that has scraped one server of the town under two names, as if there were two of them."""
    folder = tmp_path_factory.mktemp("dashboards")
    overlay, url = folder / "overlay.yaml", f"sqlite:///{folder / 'catalogue.sqlite'}"
    overlay.write_text(json.dumps(OVERLAY), encoding="utf-8")
    catalogue = Catalogue(url)
    write_history(catalogue, overlay, now())
    catalogue.engine.dispose()
    argv = [TRICENTER, "--site", str(DALIAN), "--overlay", str(overlay), "serve", "--metrics-only"]
    env = {"TRICENTER_DATABASE_URL": url, "HOME": str(folder)}
    with Child([*argv, "--listen", "127.0.0.1:0"], env=env) as child:
        said = next(word for line in child.lines() for word in line.split() if word.startswith("http://"))
        port = said.strip("/").rpartition(":")[2]
        rules = folder / "rules.yml"
        rules.write_text(rules_file(every=timedelta(seconds=1), patience=0), encoding="utf-8")
        with Prometheus(folder / "prometheus", [f"127.0.0.1:{port}", f"localhost:{port}"], [rules]) as made:
            wait_until(made.scraped, seconds=60, what="both targets are scraped")
            wait_until(lambda: made.query("count_over_time(up[1m]) > 2"), seconds=60, what="some scrapes")
            wait_until(lambda: made.alerts() >= {"TricenterRpoMissed"}, seconds=60, what="an alert fires")
            yield made


@pytest.mark.parametrize("name", DASHBOARDS)
def test_every_query_has_an_answer(prometheus: Prometheus, name: str) -> None:
    chosen = chosen_of(DASHBOARDS[name])
    queries = list(queries_of(DASHBOARDS[name], chosen))
    assert queries
    silent = [f"{each.where}: {each.expr}" for each in queries if not answered(prometheus, each)]
    assert not silent, "\n".join(silent)


@pytest.mark.parametrize("name", DASHBOARDS)
def test_every_variable_has_values_and_what_is_chosen_is_among_them(prometheus: Prometheus, name: str) -> None:
    chosen = chosen_of(DASHBOARDS[name])
    for variable in DASHBOARDS[name]["templating"]["list"]:
        if variable["type"] != "query":
            continue
        query = replaced(variable["query"]["query"], chosen)
        matched = re.fullmatch(r"label_values\((.+), ([a-z]+)\)", query)
        assert matched, query
        values = prometheus.get(f"/api/v1/label/{matched[2]}/values", **{"match[]": matched[1]})["data"]
        assert values, query
        assert chosen[variable["name"]] in (".*", *values), query


def test_what_two_servers_show_is_counted_once(prometheus: Prometheus) -> None:
    assert len(prometheus.query("tricenter_build_info")) == 2
    panel = next(each for each in DASHBOARDS["tricenter-tenants.json"]["panels"] if each["title"].endswith("Systems"))
    [(_, systems)] = prometheus.query(replaced(panel["targets"][0]["expr"], {**ONE, "tenant": ".*", "centre": ".*"}))
    assert systems == 12


def test_tables_hold_offenders_only(prometheus: Prometheus) -> None:
    """No table or bar chart gets more series than a person can read, however large the city is."""
    for dashboard in DASHBOARDS.values():
        chosen = chosen_of(dashboard)
        for panel in dashboard["panels"]:
            for target in panel.get("targets", ()) if panel["type"] == "table" else ():
                assert re.search(r"\b(topk|bottomk)\(10, ", target["expr"]), target["expr"]
                assert len(prometheus.query(replaced(target["expr"], chosen))) <= 10, panel["title"]


def chosen_of(dashboard: Mapping[str, Any]) -> dict[str, str]:
    variables = [each for each in dashboard["templating"]["list"] if each["type"] == "query"]
    return {each["name"]: ".*" if each.get("multi") else ONE[each["name"]] for each in variables}


def queries_of(dashboard: Mapping[str, Any], chosen: Mapping[str, str]) -> Iterator[Asked]:
    for panel in dashboard["panels"]:
        for target in panel.get("targets", ()):
            yield Asked(panel["title"], replaced(target["expr"], chosen), bool(target.get("range")))
    for annotation in dashboard["annotations"]["list"]:
        yield Asked(annotation["name"], replaced(annotation["expr"], chosen), True)


def replaced(query: str, chosen: Mapping[str, str]) -> str:
    """Return the query with the variables' values for them. None may be left."""
    made = re.sub(r"\$(\w+)", lambda found: chosen[found[1]], query)
    assert "$" not in made
    return made


def answered(prometheus: Prometheus, asked: Asked) -> bool:
    if not asked.over_time:
        return bool(prometheus.query(asked.expr))
    end = time.time()
    words = {"query": asked.expr, "start": str(end - 30), "end": str(end), "step": "1"}
    return bool(prometheus.get("/api/v1/query_range", **words)["data"]["result"])
