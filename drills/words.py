"""The words of drills in Chinese and English: steps, stages, verdicts, probes. For the screen and for reports."""

from __future__ import annotations

from typing import NamedTuple


class Words(NamedTuple):
    zh: str
    en: str

    def __str__(self) -> str:
        return self.zh if self.zh == self.en else f"{self.zh} {self.en}"  # a name that is nobody's word


STEPS = {
    "declare": Words("宣告", "declare"),
    "approve": Words("批准", "approve"),
    "choose-point": Words("选定恢复点", "choose the recovery point"),
    "seal": Words("封存原中心的数据源", "seal the source"),
    "sync": Words("最后一次同步", "final sync"),
    "epoch": Words("提升纪元，隔离原中心", "raise the epoch, fence the old centre"),
    "ask": Words("记下请求批准的内容", "write down what is asked for"),
    "return-epoch": Words("交还纪元", "return the epoch"),
    "systems": Words("逐系统恢复", "recover the systems"),
    "key-access": Words("验证口令能打开备份库", "prove that the password opens the repository"),
    "prepare-scratch": Words("准备临时恢复环境", "prepare the scratch place"),
    "fetch-document": Words("取回恢复点清单", "fetch the point's document"),
    "restore": Words("恢复数据", "restore"),
    "import": Words("建立云硬盘", "make the volume"),
    "take-over": Words("接管沙箱", "take the sandbox over"),
    "adopt": Words("接管沙箱中验证过的云硬盘", "take the proved volume of the sandbox"),
    "swap": Words("换入恢复的数据", "put the restored data in place"),
    "network": Words("准备网络", "prepare the network"),
    "servers": Words("建立云主机", "make the servers"),
    "start": Words("启动服务", "start the server"),
    "probe": Words("校验", "probe"),
    "figure": Words("读取对账数", "read a figure"),
    "reconcile": Words("系统间对账", "reconcile"),
    "look-up": Words("查询域名", "look the name up"),
    "switch": Words("切换域名", "switch the name"),
    "script": Words("执行脚本", "run a script"),
    "prompt": Words("人工确认", "a person confirms"),
    "confirmed": Words("已确认", "confirmed"),
    "wait": Words("等待", "wait"),
    "reprotect": Words("重新建立保护", "protect again"),
    "release": Words("沙箱保留中", "the sandbox is kept"),
    "commit": Words("确认切换", "commit"),
    "undo": Words("撤销切换", "undo"),
    "record": Words("记录结果", "record the result"),
    "grade": Words("评定等级", "grade the systems"),
}

#: The steps of a plan and of a run as they stand in a line with many others.
SHORT = {
    "declare": Words("宣告", "declare"),
    "ask": Words("申请", "ask"),
    "approve": Words("批准", "approve"),
    "choose-point": Words("选点", "point"),
    "seal": Words("封存", "seal"),
    "sync": Words("末次同步", "sync"),
    "epoch": Words("纪元", "epoch"),
    "take-over": Words("接管沙箱", "sandbox"),
    "systems": Words("逐系统恢复", "systems"),
    "restore": Words("恢复", "restore"),
    "network": Words("网络", "network"),
    "servers": Words("云主机", "servers"),
    "start": Words("启动", "start"),
    "probe": Words("校验", "probe"),
    "switch": Words("域名", "names"),
    "script": Words("脚本", "script"),
    "prompt": Words("人工", "prompt"),
    "talk": Words("推演", "talk"),
    "reconcile": Words("对账", "reconcile"),
    "reprotect": Words("再保护", "protect"),
    "release": Words("沙箱保留", "kept"),
    "commit": Words("确认", "commit"),
    "undo": Words("撤销", "undo"),
    "record": Words("记录", "record"),
    "grade": Words("评级", "grade"),
}

STAGES = {
    "detect": Words("发现", "detect"),
    "decide": Words("决策", "decide"),
    "wait": Words("排队", "wait"),
    "restore": Words("恢复", "restore"),
    "start": Words("启动", "start"),
    "verify": Words("验证", "verify"),
    "switch": Words("切换", "switch"),
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
    "objects": Words("对象：大小、SHA-256 与元数据", "objects: size, SHA-256 and metadata"),
    "definition": Words("云上定义：逐字节一致", "cloud definition: byte for byte"),
    "tcp": Words("端口可连接", "port accepts connections"),
    "http": Words("网页内容", "page content"),
    "server-sql": Words("云主机内数据库查询", "query inside the server"),
    "command": Words("校验命令", "command"),
}

KINDS = {
    "tabletop": Words("桌面推演（专项、研究性）", "tabletop drill (special, research)"),
    "restore": Words("数据恢复演练（专项、实操、检验性）", "restore drill (special, hands-on, verification)"),
    "sandbox": Words("沙箱演练（综合、实操、检验性）", "sandbox drill (comprehensive, hands-on, verification)"),
    "switchover": Words("计划内切换", "switchover (planned)"),
    "failover": Words("灾难接管", "failover"),
    "failback": Words("回切", "failback"),
}

CENTRES = {
    "production": Words("生产中心", "production centre"),
    "same-city": Words("同城灾备中心", "same-city DR centre"),
    "provincial": Words("省级灾备中心（异地）", "provincial DR centre (remote)"),
}


def step_words(step: str) -> Words:
    """Return a step's words with what it works on: 恢复数据 · files, restore · files. Pure."""
    name, _, rest = step.partition("~")[0].partition(":")
    kind = name if name in STEPS else name.partition("-")[0]
    if kind not in STEPS:
        return Words(step, step)  # of a part that is no recovery: a last backup, a first copy
    words = STEPS[kind]
    if kind != name:
        rest = name.partition("-")[2]
    about = rest.partition(":")[2] if name == "probe" else rest
    return Words(f"{words.zh} · {about}", f"{words.en} · {about}") if about else words
