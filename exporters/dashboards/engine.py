"""引擎 Engine: is the work being done, what waits, what fails, and is what Prometheus reads fresh."""

from __future__ import annotations

from grafana_foundation_sdk.models import dashboard as model

from exporters import engine_metrics as e
from exporters import metrics as m
from exporters.dashboards import frame, parts
from exporters.dashboards.parts import Column, Query
from exporters.dashboards.promql import NOW, age, of, or_zero, top, total

#: How old the counts may be: they are read once a minute at most, the board every five seconds.
FRESH: parts.Steps = ((None, parts.GREEN), (120, parts.ORANGE), (300, parts.RED))
WAITING: parts.Steps = ((None, parts.GREEN), (300, parts.ORANGE), (1800, parts.RED))


def dashboard() -> model.Dashboard:
    return frame.board(
        frame.ENGINE,
        "引擎 Engine",
        "任务、队列、执行者、失败与指标视图。"
        "Runs, the queue, workers, failures, and the view that the metrics come from.",
        [
            frame.Row(4, [(4, each) for each in _headlines()]),
            frame.Row(9, [(12, _runs()), (12, _by_flow())]),
            frame.Row(8, [(12, _failing()), (12, _durations())], title="失败与耗时 Failures and durations"),
            frame.Row(8, [(12, _slowness()), (12, _failures())], title="分布 Distributions"),
            frame.Row(5, [(8, _epoch()), (8, _audit()), (8, _beats())], title="纪元、审计、时钟 Epoch, audit, clocks"),
            frame.Row(7, [(12, _scrapes()), (12, _workers())], title="指标与执行者 Metrics and workers"),
        ],
    )


def _state(state: str) -> str:
    return or_zero(total(of(m.RUNS, state=state)))


def _headlines() -> list[model.Panel]:
    return [
        parts.number(
            "执行者 Workers",
            "server 与 worker 进程数；为 0 时没有人执行任务。Processes that do the work; at 0 nobody does.",
            or_zero(total(of(m.WORKERS, kind="server|worker"))),
            steps=parts.SOME_NEEDED,
        ),
        parts.number("运行中 Running", "正在执行的任务数。Runs that are being worked on.", _state("running")),
        parts.number("排队 Queued", "等待执行者的任务数。Runs that wait for a worker.", _state("queued")),
        parts.number(
            "排队最久 Oldest queued",
            "排队最久的任务已等多久；“—”为无排队。How long the oldest queued run has waited; none: nothing waits.",
            age(m.QUEUE_OLDEST),
            unit=parts.SECONDS,
            steps=WAITING,
        ),
        parts.number(
            "等人批准 Waiting",
            "等待批准或回答的任务数：tricenter run list --state waiting。Runs that wait for a person.",
            _state("waiting"),
            steps=parts.FEW_WANTED,
        ),
        parts.number(
            "数据时延 Age of the view",
            "指标所依据的目录读取距今多久；旁为读取失败次数。"
            "How old the reading of the catalogue is; and failed readings.",
            [Query(age(m.VIEW_TIME), "秒 Seconds", FRESH), Query(of(m.VIEW_ERRORS), "失败 Errors", parts.FEW_WANTED)],
            beside=True,
            decimals=0,
        ),
    ]


def _runs() -> model.Panel:
    return parts.course(
        "各状态任务数 Runs by state",
        "目录中各状态的任务数；失败上升时看下表。Runs in the catalogue by state; where failures rise, see below.",
        [Query(total(of(m.RUNS), "state"), "{{state}}")],
        unit=parts.PLAIN,
    )


def _by_flow() -> model.Panel:
    failed = top(parts.OFFENDERS, of(m.RUNS, by=("flow",), state="failed|interrupted"))
    return parts.offenders(
        "失败最多的流程 Flows that fail most",
        "失败或中断最多的流程；旁为完成数。tricenter run list --state failed 列出。"
        "Flows with the most failed or interrupted runs, and how many were done.",
        {"flow": "流程 Flow"},
        [
            Column("失败 Failed", failed, parts.PLAIN, parts.FEW_WANTED),
            Column("完成 Done", f"{of(m.RUNS, by=('flow',), state='done')} and {failed}"),
        ],
    )


def _failing() -> model.Panel:
    return parts.bars(
        "失败的步骤 Failed attempts by error",
        f"失败的步骤尝试数，按错误类型，最多的 {parts.OFFENDERS} 类。"
        "Failed attempts by type of error, the most frequent.",
        [Query(top(parts.OFFENDERS, of(m.FAILURES)), "{{error_type}}")],
        unit=parts.PLAIN,
        steps=((None, parts.ORANGE),),
    )


def _durations() -> model.Panel:
    slowest = top(parts.OFFENDERS, of(m.RUN_SECONDS))
    return parts.offenders(
        "最近一次耗时 Last durations",
        "各流程最近一次完成的耗时与距今，最慢者。How long the last run of each flow took, and how long ago it ended.",
        {"flow": "流程 Flow"},
        [
            Column("耗时 Took", slowest, parts.SECONDS),
            Column("距今 Ago", f"{NOW} - ({of(m.RUN_END)} and {slowest})", parts.SECONDS),
        ],
    )


def _slowness() -> model.Panel:
    name = f"{e.RUN_DURATION.name}_bucket"
    buckets = f'max by (flow, le) (increase({name}{{job="$job"}}[1h]))'
    return parts.course(
        "任务耗时 95 分位 Duration of runs",
        "近一小时结束的任务耗时的 95 分位，按流程。OpenMetrics 的样例给出任务编号。"
        "95th percentile of the durations of runs that ended within the last hour, by flow.",
        [Query(f"histogram_quantile(0.95, {buckets})", "{{flow}}")],
        unit=parts.SECONDS,
    )


def _failures() -> model.Panel:
    failed = f'max by (error_type) (increase({e.RUNS_FAILED.name}{{job="$job"}}[1h]))'
    return parts.course(
        "失败任务 Failed runs",
        "每小时失败的任务，按错误类型，最多的几类；Fenced 表示有旧中心被拒。"
        "Runs that failed in an hour, by type of error; Fenced: an old centre was refused.",
        [Query(top(parts.OFFENDERS, failed), "{{error_type}}")],
        unit=parts.PLAIN,
        stacked=True,
    )


def _epoch() -> model.Panel:
    return parts.number(
        "纪元 Epoch",
        "本程序遵循的最新纪元（0 为从未切换），与其距今。The epoch that this orchestrator goes by, and since when.",
        [
            Query(of(e.EPOCH), "纪元 Epoch", parts.NEUTRAL),
            Query(or_zero(f"({age(e.EPOCH_ADOPTED)}) / 86400"), "天前 Days ago", parts.NEUTRAL),
        ],
        beside=True,
        decimals=0,
    )


def _audit() -> model.Panel:
    return parts.number(
        "审计链 Audit chain",
        "最新已封记录的编号；有记录对不上为 1；距上次整链巡检的小时数。"
        "Number of the newest sealed entry; 1 when an entry does not fit; hours since the whole chain was last walked.",
        [
            Query(of(e.AUDIT_HEAD), "记录 Entries", parts.NEUTRAL),
            Query(of(e.AUDIT_BROKEN), "不符 Broken", parts.NONE_ALLOWED),
            Query(f"({age(e.AUDIT_WALKED)}) / 3600", "小时前 Hours", parts.NEUTRAL),
        ],
        beside=True,
        decimals=0,
    )


def _beats() -> model.Panel:
    return parts.number(
        "心跳与时钟 Beats and clocks",
        "沉默最久的执行者已沉默的秒数，按类；本机与数据库时钟之差。"
        "Time since the last sign of life of the worker that was silent for longest; this clock less the database's.",
        [
            Query(age(e.WORKER_BEAT), "{{kind}}"),
            Query(f"abs({of(e.CLOCK_SKEW)})", "时钟差 Skew", ((None, parts.GREEN), (1, parts.ORANGE), (5, parts.RED))),
        ],
        steps=((None, parts.GREEN), (15, parts.ORANGE), (60, parts.RED)),
        beside=True,
        unit=parts.SECONDS,
        decimals=0,
    )


def _scrapes() -> model.Panel:
    return parts.course(
        "抓取 Scrapes",
        "Prometheus 抓取耗时与视图时延；虚线为 5 分钟。How long a scrape takes, and the age of what it shows.",
        [
            Query('scrape_duration_seconds{job="$job"}', "抓取 scrape {{instance}}"),
            Query(age(m.VIEW_TIME), "视图时延 age"),
        ],
        unit=parts.SECONDS,
        steps=FRESH,
    )


def _workers() -> model.Panel:
    return parts.course(
        "执行者 Workers",
        "各类执行进程数随时间的变化。Processes that do the work, by kind.",
        [Query(total(of(m.WORKERS), "kind"), "{{kind}}")],
        unit=parts.PLAIN,
    )
