"""The words of drills in Chinese and English: steps, stages, verdicts, probes. For the screen and for reports."""

from __future__ import annotations

from typing import NamedTuple


class Words(NamedTuple):
    zh: str
    en: str

    def __str__(self) -> str:
        return f"{self.zh} {self.en}"


STEPS = {
    "declare": Words("宣告中断（演练）", "declare the outage (played)"),
    "choose-point": Words("选定恢复点", "choose the recovery point"),
    "prepare-scratch": Words("准备临时恢复环境", "prepare the scratch place"),
    "fetch-document": Words("取回恢复点清单", "fetch the point's document"),
    "restore": Words("恢复数据", "restore"),
    "start": Words("启动服务", "start the server"),
    "probe": Words("校验", "probe"),
    "record": Words("记录结果", "record the result"),
}

STAGES = {
    "detect": Words("发现", "detect"),
    "decide": Words("决策", "decide"),
    "restore": Words("恢复", "restore"),
    "start": Words("启动", "start"),
    "verify": Words("验证", "verify"),
}

VERDICTS = {
    "met": Words("达标", "met"),
    "missed": Words("不达标", "missed"),
    "failed": Words("失败", "failed"),
}

OUTCOMES = {
    "passed": Words("通过", "passed"),
    "failed": Words("失败", "failed"),
    "interrupted": Words("中断", "interrupted"),
    "started": Words("未结束", "not ended"),
}

PROBES = {
    "manifest": Words("文件清单：大小与 SHA-256", "files: size and SHA-256"),
    "fingerprint": Words("数据表：行数与摘要", "tables: rows and digest"),
    "sql": Words("业务查询", "query"),
    "image": Words("卷映像：大小与 SHA-256", "image: size and SHA-256"),
}

KINDS = {"restore": Words("数据恢复演练（专项、实操、检验性）", "restore drill (special, hands-on, verification)")}

CENTRES = {
    "production": Words("生产中心", "production centre"),
    "same-city": Words("同城灾备中心", "same-city DR centre"),
    "provincial": Words("省级灾备中心（异地）", "provincial DR centre (remote)"),
}


def step_words(step: str) -> Words:
    """Return a step's words with what it works on: 恢复数据 · files, restore · files. Pure."""
    name, _, rest = step.partition(":")
    words = STEPS[name]
    about = rest.partition(":")[2] if name == "probe" else rest
    return Words(f"{words.zh} · {about}", f"{words.en} · {about}") if about else words
