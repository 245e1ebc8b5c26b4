#!/usr/bin/env python3
"""校验灾备演练证据包 Checks an evidence pack of a disaster recovery drill.

    python3 verify.py PACK.zip [--digest sha256:…]      退出码 exit code: 0 未改动 unchanged, 1 有改动 changed
    python3 verify.py [FOLDER]                          已解开的包 a pack that was unpacked

Only Python's standard library is needed, 3.8 or newer. Nothing is fetched, nothing is written.
What it cannot know is whether the pack as a whole was made anew: compare its digest, or those at either end of its part
of the chain, with what you got from elsewhere (the print, the signed report, another pack, the site's own chain).
"""

from __future__ import annotations

import argparse
import hashlib
import io
import json
import struct
import sys
import zipfile
from pathlib import Path
from typing import Any, Iterator  # noqa: UP035 - where Python 3.8 has it

MANIFEST, SEAL = "manifest.json", "manifest.digest"
DATE = (1980, 1, 1, 0, 0, 0)
LATER = ("findings", "signatures", "people", "manual")
ROW = ("id", "run", "generation", "step", "started_at", "ended_at", "outcome", "error_type", "error")


class Broken(Exception):
    """A fault, told in Chinese and English."""

    def __init__(self, zh: str, en: str) -> None:
        super().__init__(zh + "  " + en)


def need(condition: object, zh: str, en: str) -> None:
    if not condition:
        raise Broken(zh, en)


# --- digests


def sm3(data: bytes) -> str:
    """GB/T 32905-2016, here because not every Python has it."""
    mask = 0xFFFFFFFF
    state = [0x7380166F, 0x4914B2B9, 0x172442D7, 0xDA8A0600, 0xA96F30BC, 0x163138AA, 0xE38DEE4D, 0xB0FB0E4E]
    length = len(data) * 8
    data = data + b"\x80" + b"\x00" * ((55 - len(data)) % 64) + struct.pack(">Q", length)
    constants = []
    for j in range(64):
        t, k = (0x79CC4519 if j < 16 else 0x7A879D8A), j % 32
        constants.append(((t << k) | (t >> (32 - k))) & mask if k else t)
    for start in range(0, len(data), 64):
        w = list(struct.unpack(">16I", data[start : start + 64]))
        for j in range(16, 68):
            x = w[j - 16] ^ w[j - 9] ^ (((w[j - 3] << 15) | (w[j - 3] >> 17)) & mask)
            x ^= (((x << 15) | (x >> 17)) & mask) ^ (((x << 23) | (x >> 9)) & mask)
            w.append(x ^ (((w[j - 13] << 7) | (w[j - 13] >> 25)) & mask) ^ w[j - 6])
        a, b, c, d, e, f, g, h = state
        for j in range(64):
            a12 = ((a << 12) | (a >> 20)) & mask
            ss1 = (a12 + e + constants[j]) & mask
            ss1 = ((ss1 << 7) | (ss1 >> 25)) & mask
            if j < 16:
                ff, gg = a ^ b ^ c, e ^ f ^ g
            else:
                ff, gg = (a & b) | (a & c) | (b & c), (e & f) | (~e & mask & g)
            tt1 = (ff + d + (ss1 ^ a12) + (w[j] ^ w[j + 4])) & mask
            tt2 = (gg + h + ss1 + w[j]) & mask
            d, c, b, a = c, ((b << 9) | (b >> 23)) & mask, a, tt1
            h, g, f = g, ((f << 19) | (f >> 13)) & mask, e
            e = tt2 ^ (((tt2 << 9) | (tt2 >> 23)) & mask) ^ (((tt2 << 17) | (tt2 >> 15)) & mask)
        state = [old ^ new for old, new in zip(state, (a, b, c, d, e, f, g, h))]  # noqa: B905 - Python 3.8 knows no strict
    return "".join(f"{each:08x}" for each in state)


def hexdigest(algorithm: str, data: bytes) -> str:
    try:
        return hashlib.new(algorithm, data).hexdigest()
    except ValueError:
        need(algorithm == "sm3", "未知的摘要算法 " + algorithm, "unknown digest " + algorithm)
        return sm3(data)


def digest(algorithm: str, text: str | bytes) -> str:
    data = text.encode() if isinstance(text, str) else text
    return algorithm + ":" + hexdigest(algorithm, data)


def canonical(value: Any) -> str:
    return json.dumps(value, sort_keys=True, separators=(",", ":"))


def link(previous: str, entry_digest: str) -> str:
    return digest(entry_digest.partition(":")[0], previous + "\n" + entry_digest)


# --- reading


def read_folder(folder: Path) -> dict[str, bytes]:
    found = {}
    for place in sorted(folder.iterdir()):
        need(place.is_file(), "多出文件夹 " + place.name, "a folder that is not part of the pack: " + place.name)
        found[place.name] = place.read_bytes()
    return found


def read_zip(path: Path) -> dict[str, bytes]:
    raw = path.read_bytes()
    try:
        with zipfile.ZipFile(io.BytesIO(raw)) as archive:
            content = {name: archive.read(name) for name in archive.namelist()}
    except Exception as error:  # noqa: BLE001 - a damaged zip is many things to this library
        raise Broken(f"压缩包已损坏：{error}", f"the zip is damaged: {error}") from None
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w", zipfile.ZIP_STORED) as archive:
        for name, each in sorted(content.items()):
            info = zipfile.ZipInfo(name, DATE)
            info.create_system, info.external_attr = 3, 0o644 << 16
            archive.writestr(info, each)
    need(made.getvalue() == raw, "压缩包的结构被改动", "the structure of the zip was changed")
    return content


def lines(content: dict[str, bytes], name: str) -> list[Any]:
    return [json.loads(line) for line in content[name].decode("utf-8", "surrogatepass").splitlines()]


# --- checks: each returns what it found, in Chinese and English


def check_manifest(content: dict[str, bytes], expected: str | None) -> tuple[str, str]:
    need(MANIFEST in content and SEAL in content, "缺少清单", "the manifest is missing")
    told = content[SEAL].decode("ascii", "replace").splitlines()
    made = [digest(each, content[MANIFEST]) for each in ("sha256", "sm3")]
    need(told == made and content[SEAL].endswith(b"\n"), "清单与其摘要不符", "the manifest does not fit its digest")
    if expected:
        need(expected in made, "包的摘要不是所给的 " + expected, "the digest of the pack is not the one that was given")
    return f"清单 {made[0]}", f"the manifest: {made[1]}"


def check_files(content: dict[str, bytes], manifest: dict[str, Any]) -> tuple[str, str]:
    known = set(manifest["files"]) | {MANIFEST, SEAL}
    for name in sorted(known - set(content)):
        raise Broken("缺少文件 " + name, "a file is missing: " + name)
    for name in sorted(set(content) - known):
        raise Broken("多出文件 " + name, "a file that is not part of the pack: " + name)
    for name, facts in sorted(manifest["files"].items()):
        data = content[name]
        same = len(data) == facts["bytes"] and all(hexdigest(each, data) == facts[each] for each in ("sha256", "sm3"))
        need(same, "文件被改动 " + name, "a file was changed: " + name)
    count = len(manifest["files"])
    return f"{count} 个文件，SHA-256 与 SM3", f"{count} files, by SHA-256 and SM3"


def check_chain(content: dict[str, bytes], manifest: dict[str, Any]) -> tuple[str, str]:
    told, own = lines(content, "chain.jsonl"), 0
    count = len(told)
    need(count and manifest["chain"], "审计链片段为空", "the chain segment is empty")
    for segment in manifest["chain"]:
        previous, number = segment["before"], segment["first"]
        while number <= segment["last"]:
            need(bool(told), "审计链片段不完整", "the chain segment is not whole")
            each = told.pop(0)
            where = f"审计链第 {number} 条", f"entry {number} of the chain"
            need(each["number"] == number, where[0] + "不连续", where[1] + " is out of order")
            entry = each.get("entry")
            if entry is not None:
                need(entry["number"] == number, where[0] + "编号不符", where[1] + " has another number")
                own += 1
            made = each["withheld"] if entry is None else digest(each["digest"].partition(":")[0], canonical(entry))
            need(link(previous, made) == each["digest"], where[0] + "被改动", where[1] + " was changed")
            previous, number = each["digest"], number + 1
        after = segment["after"]
        if after:
            same = after["number"] == number and link(previous, after["entry"]) == after["digest"]
            need(same, "后一条审计记录不符", "the entry after the segment does not fit")
    need(not told, "审计链片段有多余的记录", "the chain segment holds more than it says")
    zh = f"审计链 {count} 条：{own} 条属于本演练，其余只有摘要"
    en = f"{count} entries of the chain, {own} of this drill, the others by digest only"
    return zh, en


def told_by(content: dict[str, bytes], kind: str) -> list[dict[str, Any]]:
    return [each["entry"] for each in lines(content, "chain.jsonl") if each.get("entry", {}).get("kind") == kind]


def check_attempts(content: dict[str, bytes], document: dict[str, Any]) -> tuple[str, str]:
    told = {(each["body"]["run"], each["body"]["id"]): each["body"] for each in told_by(content, "attempt")}
    rows = lines(content, "attempts.jsonl")
    for row in rows:
        name = "{run} / {step}".format(**row)
        body = told.pop((row["run"], row["id"]), None)
        need(body is not None, "审计链没有此步骤 " + name, "the chain does not tell of the step " + name)
        need(all(body[key] == row[key] for key in ROW), "步骤被改动 " + name, "a step was changed: " + name)
        made = (
            None
            if row["detail"] is None
            else digest((body["detail"] or "sha256:").partition(":")[0], canonical(row["detail"]))
        )
        need(made == body["detail"], "步骤内容被改动 " + name, "what a step left was changed: " + name)
    need(not told, "缺少步骤记录", "the chain tells of steps that are missing")
    places = ("run", "step", "started_at", "ended_at", "error")
    shown = {tuple(each[place] for place in places) for each in document["attempts"]}
    known = {tuple(row[place] for place in places) for row in rows}
    open_ones = {each for each in shown if each[3] is None}
    need(shown - open_ones == known, "报告中的步骤与记录不符", "the steps of the document are not those of the rows")
    return f"{len(rows)} 个步骤与审计链一致", f"{len(rows)} steps are as the chain tells"


def check_verdicts(content: dict[str, bytes], document: dict[str, Any]) -> tuple[str, str]:
    told = {each["body"]["tenant"] + "/" + each["body"]["system"]: each["body"] for each in told_by(content, "drill")}
    for each in document["systems"]:
        body, name = told.pop(each["system"], None), each["system"]
        need(body is not None, "审计链没有此系统的结论 " + name, "the chain has no verdict on " + name)
        same = (
            body["verdict"] == each["verdict"]
            and body["id"] == document["drill"]
            and body["rpo_seconds"] == each["measured"]["rpo_seconds"]
            and body["rto_seconds"] == each["measured"]["rto_seconds"]
            and body["stages"] == {key: value for key, value in each["measured"]["stages"].items() if value is not None}
        )
        need(same, "结论或实测值被改动 " + name, "verdict or figures were changed: " + name)
    need(not told, "报告缺少系统", "the document lacks systems")
    count = len(document["systems"])
    zh = f"{count} 个系统的结论与实测值与审计链一致"
    return zh, f"verdicts and figures of {count} systems are as the chain tells"


def check_document(content: dict[str, bytes], document: dict[str, Any]) -> tuple[str, str]:
    """What the report says was declared and found is what the steps left."""
    rows = lines(content, "attempts.jsonl")
    declared = [row["detail"] for row in rows if row["step"] == "declare" and row["outcome"] == "passed"]
    for key, value in (declared[0] if declared else {}).items():
        need(key == "systems" or document[key] == value, "情景被改动 " + key, "the scenario was changed: " + key)
    left: dict[str, list[Any]] = {}
    for row in rows:
        left.setdefault(row["step"], []).append(row["detail"])
    count = 0
    for system in document["systems"]:
        for each in system["probes"]:
            name = system["system"] + " " + each["step"]
            found = [one for one in left.get(each["step"], []) if one is None or one.items() <= each.items()]
            need(found, "校验结果被改动 " + name, "the result of a probe was changed: " + name)
            count += 1
    return f"{count} 项校验结果与步骤记录一致", f"{count} results of probes are as the steps left them"


def check_messages(content: dict[str, bytes]) -> tuple[str, str]:
    own = lines(content, "messages.jsonl")
    need(own == told_by(content, "message"), "审批记录与审计链不符", "approvals are not as the chain tells")
    return f"{len(own)} 条审批与答复与审计链一致", f"{len(own)} approvals and answers are as the chain tells"


def check_signatures(content: dict[str, bytes], document: dict[str, Any], manifest: dict[str, Any]) -> tuple[str, str]:
    made = digest("sha256", canonical({key: value for key, value in document.items() if key not in LATER}))
    need(made == manifest["signed"], "签署内容摘要不符", "the digest of what is signed does not fit")
    told = {each["body"]["role"]: each["body"] for each in told_by(content, "signature")}
    for each in document["signatures"]:
        body, role = told.pop(each["role"], None), each["role"]
        same = body is not None and all(body[key] == each[key] for key in ("person", "signed_at", "digest"))
        need(same, "签名与审计链不符 " + role, "a signature is not as the chain tells: " + role)
        need(each["digest"] == made, "签署的是另一份内容 " + role, "another document was signed: " + role)
    need(not told, "缺少签名", "the chain tells of signatures that are missing")
    people = [each["person"].partition("@")[0].lower() for each in document["signatures"]]
    need(len(people) == len(set(people)), "一人签署了两个角色", "one person signed in two roles")
    return f"{len(people)} 个签名", f"{len(people)} signatures"


def check_configuration(content: dict[str, bytes], document: dict[str, Any]) -> tuple[str, str]:
    own = json.loads(content["configuration.json"])["digest"]
    ends = [each["body"] for each in told_by(content, "run") if each["run"] == document["drill"]]
    told = ends[-1]["configuration"] if ends else None
    need(own == told, "配置摘要与审计链不符", "the digest of the configuration is not as the chain tells")
    return f"配置 {own}", "the configuration"


def verify(content: dict[str, bytes], expected: str | None = None) -> Iterator[tuple[str, str]]:
    """Yield what was checked; raises Broken at the first fault."""
    yield check_manifest(content, expected)
    manifest = json.loads(content[MANIFEST])
    yield check_files(content, manifest)
    document = json.loads(content["document.json"])
    need(document["drill"] == manifest["drill"], "演练编号不符", "the manifest is of another drill")
    yield check_chain(content, manifest)
    yield check_attempts(content, document)
    yield check_document(content, document)
    yield check_messages(content)
    yield check_verdicts(content, document)
    yield check_signatures(content, document, manifest)
    yield check_configuration(content, document)


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description="校验灾备演练证据包 check an evidence pack")
    parser.add_argument(
        "pack",
        nargs="?",
        type=Path,
        default=Path(__file__).resolve().parent,
        help="证据包或解开的文件夹 the pack, or a folder",
    )
    parser.add_argument("--digest", help="从别处得到的包摘要 the digest of the pack as you got it from elsewhere")
    options = parser.parse_args(arguments)
    try:
        content = read_folder(options.pack) if options.pack.is_dir() else read_zip(options.pack)
        for zh, en in verify(content, options.digest):
            print(f"✓ {zh}  {en}")
    except Broken as broken:
        print(f"✗ {broken}")
        print("证据包已被改动 The pack is not as it was made.")
        return 1
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        print(f"✗ 证据包无法读取 the pack cannot be read: {type(error).__name__}: {error}")
        return 1
    print("证据包未被改动 The pack is as it was made.")
    return 0


if __name__ == "__main__":
    if hasattr(sys.stdout, "reconfigure"):
        sys.stdout.reconfigure(encoding="utf-8", errors="replace")
    sys.exit(main())
