"""Exclude patterns. What is said here of restic was measured with restic 0.14; the integration tests ask it again."""

from __future__ import annotations

import re

import pytest

from policies.excludes import Excludes, pattern_fault, place_fault

HERE = "/srv/app/tree"


@pytest.mark.parametrize(
    ("pattern", "out", "kept"),
    [
        ("*.tmp", ["a.tmp", "deep/b.tmp"], ["a.tmpx", "tmp"]),
        ("cache", ["cache", "k/cache"], ["caches", "cach"]),
        ("foo/bar", ["foo/bar", "k/foo/bar"], ["bar", "foo", "foo/x/bar"]),
        ("foo/**", ["foo", "k/foo", "foo/x"], ["k", "fo"]),
        ("foo/**/q", ["foo/q", "foo/a/b/q"], ["q", "foo"]),
        ("tree/*/b", ["x/b"], ["b", "x/y/b"]),
        ("/srv/app/tree/foo", ["foo"], ["k/foo"]),
        ("/srv/**/b", ["b", "x/y/b"], ["x/c"]),
        ("/srv/**/b/**", ["b/c"], ["b"]),
        ("w[1]", ["w1"], ["w[1]"]),
        ("w\\[1\\]", ["w[1]"], ["w1"]),
        ("[!w]1", ["w1", "!1"], ["x1"]),
        ("[^w]1", ["x1"], ["w1"]),
        ("\\!neg", ["!neg"], ["neg"]),
        ("?", ["é", "k/a"], ["ab"]),
        ("foo//bar/", ["foo/bar"], ["foo"]),
        ("**foo", ["xfoo", "foo"], ["foox"]),
    ],
)
def test_what_is_left_out_is_what_restic_leaves_out(pattern: str, out: list[str], kept: list[str]) -> None:
    assert pattern_fault(pattern) == place_fault(pattern, HERE) == ""
    excludes = Excludes([pattern], HERE)
    assert [each for each in out + kept if excludes.leave_out(each.split("/"))] == out


@pytest.mark.parametrize(
    ("pattern", "why"),
    [
        ("!keep", "takes files back"),
        ("a/../b", r"\. or \.\."),
        ("./a", r"\. or \.\."),
        ("[a", "not closed"),
        ("[]a]", "broken"),
        ("a\\", "ends with"),
        ("//", "everything"),
        ("*", "itself"),
        ("**", "itself"),
        ("app", "itself"),
        ("/srv/app", "itself"),
        ("/foo", "matches nothing below"),
        ("/srv/app/other/x", "matches nothing below"),
    ],
)
def test_what_cannot_be_honoured_is_refused_with_the_reason(pattern: str, why: str) -> None:
    assert re.search(why, pattern_fault(pattern) or place_fault(pattern, HERE))
