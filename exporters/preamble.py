"""What docs/metrics.md says before its table."""

from __future__ import annotations

PREAMBLE = """\
# 指标 Metrics

本文件由 `python -m exporters.metrics > docs/metrics.md` 生成。 This file is printed from `exporters/metrics.py`.

`tricenter --site DIR serve` 在 `http://127.0.0.1:15090/metrics` 提供下列指标。抓取只读目录，不访问云与存储库。
`tricenter --site DIR serve` offers these metrics. A scrape reads the catalogue only, never a cloud or a vault.

* **视图 View.** The systems' metrics are read at most every 5 seconds, the counts (points, runs, attempts, tenants,
  upkeep) at most every minute, and never for more than a tenth of the time. A view is written and packed once, by the
  thread that reads; a scrape sends it and waits for a newer one for a quarter of a second at most, 4 seconds when the
  last is older than 2 minutes or there is none. So a large city's view is as old as
  `tricenter_view_timestamp_seconds` says. When the catalogue does not answer, the last good view is shown,
  `tricenter_view_errors_total` rises and the timestamp stands still: alert on its age.
* **抓取的开销 What a scrape costs.** 每次抓取只发送已写好的视图；目录只读变化的部分。
  A scrape sends what is written; of the landings of the window a reading reads only what changed. Measure it with
  `python -m tests.bench.scrape`, beside what prometheus_client takes to write as many series. A system has about 90
  series at its two centres; of these 120 bytes each, a twentieth goes over the wire packed.
* **从未发生 Never happened.** What never happened has no series: no 0 and no NaN stands for a time. What must alert
  from a system's first minute is always there: `tricenter_rpo_actual_seconds` counts from when the system became known,
  `tricenter_points` is 0, `tricenter_drill_verdict{verdict="never"}` is 1 and
  `tricenter_drill_due_timestamp_seconds` is set. The column 恒有 Always says which these are.
* **窗口 Window.** Worst exposure and compliance look back 7 days, but not further than the system is known or
  the centre's retention reaches: expired points are no gap.
* **标签 Labels.** Bounded by the site: tenant, system, tier, centre (`same-city`, `provincial`), plan, kind, stage;
  and by the program: flow, state, verdict, error_type; of notifications: channel; of drift: noun. Never the name
  of a recovery point or a run.
* **站点文件 Site files.** The site is read once, when the server starts: restart it after the site has changed.
* **没有服务时 Without a server.** `tricenter metrics write` writes the same metrics for node_exporter's textfile
  collector or to a Pushgateway, and when it did: see [metrics without a server](operations/metrics-without-server.md).
* **健康 Health.** `/healthz` answers 200 when the catalogue answers, 503 otherwise.

| 指标 Metric | 类型 Kind | 标签 Labels | 恒有 Always | 含义 Meaning |
|---|---|---|---|---|
"""
