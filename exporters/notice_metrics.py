"""The metrics of what people are told, and of metrics that are written or pushed instead of being asked for."""

from __future__ import annotations

from exporters.metric import Metric

MESSAGE_STATES = ("waiting", "sent", "given-up")

MESSAGES = Metric(
    "tricenter_messages",
    "gauge",
    ("channel", "state"),
    f"Messages to the channel in the catalogue, by state: {', '.join(MESSAGE_STATES)}. 0 for every channel of the site "
    "from the start. A gauge: old ones are forgotten.",
    "目录中发往该渠道的消息数：待发、已送达、已放弃；站点的每个渠道恒有",
    always=False,
)
MESSAGE_SENT = Metric(
    "tricenter_message_last_sent_timestamp_seconds",
    "gauge",
    ("channel",),
    "When a message last got through to the channel. Absent before the first.",
    "最近一次送达该渠道的时间；从未送达则不存在",
    always=False,
)
MESSAGE_OLDEST = Metric(
    "tricenter_message_oldest_waiting_timestamp_seconds",
    "gauge",
    ("channel",),
    "When the message that the channel has not taken yet was made; absent when none waits.",
    "该渠道待发消息的生成时间；无待发时不存在",
    always=False,
)
WRITTEN = Metric(
    "tricenter_metrics_written_timestamp_seconds",
    "gauge",
    (),
    "When `tricenter metrics write` wrote these metrics. Absent where they are scraped from a server. What was written "
    "long ago is not what holds now: alert on its age.",
    "`tricenter metrics write` 写出本批指标的时间；由服务提供时不存在；过旧即不可信",
    always=False,
)

NOTICES = (MESSAGES, MESSAGE_SENT, MESSAGE_OLDEST, WRITTEN)
