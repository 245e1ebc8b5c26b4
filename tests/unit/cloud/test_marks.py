"""Labels of a project: what Keystone takes as a tag, and what of a project's tags is a label."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from orchestrator.cloud.marks import LABELS, LONGEST_TAG, TAG, label, labels_of


@given(name=st.sampled_from(LABELS), value=st.text())
def test_whatever_a_site_says_is_a_tag_that_keystone_takes_and_that_is_found_again(name, value):
    made = label(name, value)
    assert 1 <= len(made) <= LONGEST_TAG
    assert not set(made) & {",", "/"}
    assert made == made.strip()
    assert labels_of([TAG, "theirs", made]) == (made,)


def test_the_mark_and_what_others_wrote_are_no_labels():
    assert labels_of([TAG, "mlps", "other=1", "unit-code=X", "mlps=3"]) == ("mlps=3", "unit-code=X")
