"""The words that only reports have, in both languages. Outcomes are those of a government drill's archive."""

from __future__ import annotations

from drills.words import Words

#: 达标: recovered, proved, in time. 基本达标: recovered and proved, and an objective was missed. 不达标: not recovered.
OUTCOME_WORDS = {
    "met": Words("达标", "pass"),
    "missed": Words("基本达标", "partial"),
    "failed": Words("不达标", "fail"),
}

SWITCHED = {
    "real": Words("真实接管：业务已切换到该中心", "real: service was switched to the centre"),
    "simulated": Words("模拟接管：未切换业务", "simulated: no service was switched"),
    "none": Words("不接管业务，不涉及回切", "no service is taken over, so nothing is switched back"),
}

STATES = {
    "open": Words("待整改", "open"),
    "done": Words("已整改，待复测", "done, to be re-tested"),
    "verified": Words("复测通过", "verified by re-test"),
}

ROLES = {
    "prepared": Words("编制", "prepared by"),
    "reviewed": Words("审核", "reviewed by"),
    "approved": Words("批准（单位盖章）", "approved by, seal"),
}
