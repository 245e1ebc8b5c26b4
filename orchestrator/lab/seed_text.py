"""Words for the lab's documents: Chinese and English office prose, names and addresses, from a seeded generator."""

from __future__ import annotations

import random

SURNAMES = "王李张刘陈杨赵黄周吴徐孙胡朱高林何郭马罗梁宋郑谢韩唐冯于董萧"
GIVEN = "伟芳娜敏静丽强磊军洋勇艳杰娟涛明超秀霞平刚桂英华玉建国文斌海燕宁晨"
DISTRICTS = (
    "中山区",
    "西岗区",
    "沙河口区",
    "甘井子区",
    "旅顺口区",
    "金州区",
    "普兰店区",
    "瓦房店市",
    "庄河市",
    "长海县",
)
STREETS = ("人民路", "中山路", "长江路", "黄河路", "解放路", "友好街", "五四路", "民主广场", "港湾街", "软件园路")
TOPICS = (
    "政务数据共享", "不动产登记", "社会保险参保", "营商环境建设", "防汛抗旱", "安全生产检查", "档案数字化",
    "电子证照应用", "城市更新", "环境影响评价", "信息系统等级保护", "预算执行", "市场主体年报", "户籍管理",
)  # fmt: skip
KINDS = ("通知", "请示", "批复", "会议纪要", "工作报告", "函", "公告", "办法")
CHINESE = (
    "为进一步规范{topic}工作，提高办事效率，现将有关事项通知如下。",
    "各区市县人民政府、各先导区管委会要高度重视{topic}，明确责任分工，按时报送材料。",
    "经{district}初审，申请材料齐全，符合法定形式，予以受理，受理编号为{number}。",
    "请{name}同志牵头，会同有关单位于{day}前完成整改，并将结果书面报告。",
    "会议认为，{topic}总体进展顺利，但仍存在数据口径不一致、更新不及时等问题。",
    "本年度共办结{number}件，群众满意率较上年提高，平均办理时限缩短{small}个工作日。",
    "重要业务数据应当每日备份，并在异地保存副本，定期开展恢复演练，保留演练记录。",
    "联系人：{name}，地址：{district}{street}{small}号，接收材料时间为工作日上午。",
)
ENGLISH = (
    "The bureau reviewed {number} applications this quarter and returned {small} of them for missing attachments.",
    "Records of {district} were reconciled with the provincial register; {small} entries differ and are listed below.",
    "The recovery exercise on {day} restored the register within its objective; two findings remain open.",
    "Data owners shall confirm the retention period of each series before the archive is transferred.",
    "The contractor delivered build {number}; acceptance is planned for {day}, subject to the security assessment.",
)


def generator(key: str) -> random.Random:
    """Return the generator that `key` alone determines: the same words on every machine."""
    return random.Random(key)  # noqa: S311 - to be repeatable is the point


def name(rng: random.Random) -> str:
    return rng.choice(SURNAMES) + "".join(rng.choices(GIVEN, k=rng.choice((1, 2, 2))))


def day(rng: random.Random) -> str:
    return f"{rng.randint(2019, 2026)}-{rng.randint(1, 12):02d}-{rng.randint(1, 28):02d}"


def address(rng: random.Random) -> str:
    return f"{rng.choice(DISTRICTS)}{rng.choice(STREETS)}{rng.randint(1, 300)}号"


def title(rng: random.Random) -> str:
    return f"关于{rng.choice(TOPICS)}的{rng.choice(KINDS)}"


def sentence(rng: random.Random, patterns: tuple[str, ...]) -> str:
    return rng.choice(patterns).format(
        topic=rng.choice(TOPICS),
        district=rng.choice(DISTRICTS),
        street=rng.choice(STREETS),
        name=name(rng),
        day=day(rng),
        number=rng.randint(100, 99999),
        small=rng.randint(1, 60),
    )


def prose(rng: random.Random, size: int, patterns: tuple[str, ...] = CHINESE) -> str:
    """Return about `size` bytes of paragraphs."""
    paragraphs: list[str] = []
    written = 0
    while written < size:
        gap = "" if patterns is CHINESE else " "
        paragraphs.append(gap.join(sentence(rng, patterns) for _ in range(rng.randint(3, 7))))
        written += len(paragraphs[-1].encode()) + 2
    return "\n\n".join(paragraphs) + "\n"
