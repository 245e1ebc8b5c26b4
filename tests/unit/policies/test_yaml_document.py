"""YAML read with places: what is told when it is wrong, and what anchors, merges and odd scalars come to."""

from __future__ import annotations

from pathlib import Path

import pytest

from policies.document import overlaid, read


def written(tmp_path: Path, content: str | bytes) -> Path:
    file = tmp_path / "file.yaml"
    file.write_bytes(content if isinstance(content, bytes) else content.encode())
    return file


@pytest.mark.parametrize(
    ("content", "line", "got", "hint"),
    [
        ("a: 1\nb:\n\tc: 1\n", 3, "a tab", "spaces"),
        ("a: 1\nb: @x\n", 2, "a sign that no value can begin with", "quotes"),
        ("a: b: c\n", 1, "a second ': '", "quotes"),
        ("a: *x\n", 1, "an alias", "quotes"),
        ("a: 1\nb: 'x\nc: 1\n", 2, "a quote that is never closed", "close"),
        ("a: 1\nb: [1, 2\nc: 3\n", 2, "a bracket that is never closed", "close"),
        ("a: 1\nfoo\nb: 2\n", 3, "a line without ': '", "key: value"),
        ("a:\n  - b\n c: 1\n", 3, "an indent that fits nothing above", "indent"),
        ("a: 1\n---\nb: 2\n", 2, "a second document", "one file"),
        ("a: 1\nb: \x07\n", 2, "a control character", "remove"),
        ("a: !secret x\n", 1, "a YAML tag", "quotes"),
        ("a: 1\nb: 2\na: 3\n", 3, "this key for the second time", "line 1"),
        ("a: {b: 1, b: 2}\n", 1, "this key for the second time", "line 1"),
        ("? [1]\n: 2\n", 1, "a list or mapping as a key", ""),
        ("a: &x [*x]\n", 1, "an alias inside what it stands for", ""),
        ("<<: 3\n", 1, "no mapping", ""),
        ("", 1, "an empty file", ""),
        ("# nothing\n", 1, "an empty file", ""),
        ("text\n", 1, "a single value", ""),
        ("- a\n", 1, "a list", ""),
        ("a: 城市\n".encode("gb18030"), 1, "byte 0xb3", "GB18030"),
        ("a: 1\n".encode("utf-16"), 1, "byte 0xff", "UTF-16"),
        (b"a: \xff\xff\n", 1, "byte 0xff", "UTF-8"),
        ("[" * 500, 1, "values nested too deep", ""),
    ],
)
def test_what_is_wrong_is_told_with_its_line(tmp_path, content, line, got, hint):
    _, (finding, *_) = read(written(tmp_path, content))
    assert finding.line == line
    assert finding.got.startswith(got)
    assert hint in finding.hint


@pytest.mark.parametrize(
    "content",
    [
        'password: "hunter2\n',
        "password: *hunter2\n",
        "password: !hunter2\n",
        "password: @hunter2\n",
        "password: hunter2: x\n",
    ],
)
def test_no_fault_quotes_the_file(tmp_path, content):
    _, findings = read(written(tmp_path, content))
    assert findings
    assert "hunter2" not in str(findings)


def test_every_value_knows_its_line(tmp_path):
    node, findings = read(written(tmp_path, "\ufeffa: 1\nb:\n  c:\n  - x\n  -\n    d: 2\n"))
    assert findings == []
    assert node is not None
    places = {
        trail: found.line
        for trail in (("a",), ("b",), ("b", "c"), ("b", "c", 0), ("b", "c", 1, "d"))
        if (found := node.at(*trail))
    }
    assert places == {("a",): 1, ("b",): 2, ("b", "c"): 3, ("b", "c", 0): 4, ("b", "c", 1, "d"): 6}


def test_anchors_and_merges_come_to_plain_values(tmp_path):
    text = "base: &b {x: 1, y: 2}\nmore: &m {y: 3, z: 4}\none: *b\ntwo: {<<: *b, y: 9}\nall: {<<: [*b, *m], w: 0}\n"
    node, findings = read(written(tmp_path, text))
    assert findings == []
    assert node is not None
    plain = node.plain()
    assert plain["one"] == {"x": 1, "y": 2}
    assert plain["two"] == {"x": 1, "y": 9}
    assert plain["all"] == {"x": 1, "y": 2, "z": 4, "w": 0}
    assert node.at("all", "z").line == 2  # type: ignore[union-attr]


def test_scalars_are_what_yaml_1_2_says_and_dates_stay_text(tmp_path):
    text = "a: yes\nb: true\nc: 010\nd: 1e3\ne: ~\nf:\ng: 2026-01-01\nh: 12:30\ni: '5'\nj: " + "9" * 5000
    node, _ = read(written(tmp_path, text))
    assert node is not None
    assert list(node.plain().values()) == ["yes", True, 10, 1000.0, None, None, "2026-01-01", "12:30", "5", "9" * 5000]


def test_an_overlay_replaces_lists_and_scalars_and_merges_mappings(tmp_path):
    base, _ = read(written(tmp_path, "a: {x: [1, 2], y: 1}\nb: 1\nc: {d: 1}\n"))
    over, _ = read(written(tmp_path, "a: {x: [3]}\nc: 5\ne: 6\n"))
    assert base is not None
    assert over is not None
    assert overlaid(base, over).plain() == {"a": {"x": [3], "y": 1}, "b": 1, "c": 5, "e": 6}
    assert base.plain() == {"a": {"x": [1, 2], "y": 1}, "b": 1, "c": {"d": 1}}
