"""A tenant's file with its quota edited: only the lines of what is edited change, comments and all else stay.

A whole file written anew by a YAML writer would lose the shape that its people gave it: each key that is edited is
taken out with its lines, edited by itself, and put back.
"""

from __future__ import annotations

from io import StringIO
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.comments import CommentedMap
from ruamel.yaml.error import YAMLError
from ruamel.yaml.nodes import MappingNode, Node, SequenceNode

from policies.quota_change import CLASS, MULTIPLIER, Edits, put, trail_of

#: Long enough that no line is broken in two which was not.
WIDE = 1 << 20
#: A key that is not there yet comes after the last of these that is.
HEAD = ("tenant", "title", "unit_code", "mlps_level", "contact", "secret", CLASS, MULTIPLIER)


def edited_text(text: str, edits: Edits) -> str | None:
    """Return the text with edits in it. Pure. None when that cannot be done by its lines: an alias into another key."""
    for key in (CLASS, MULTIPLIER, "quota"):
        mine = {name: value for name, value in edits.items() if trail_of(name)[0] == key}
        try:
            if mine:
                text = _with_key(text, key, mine)
        except YAMLError:
            return None
    return text


def loaded(text: str) -> Any:
    """Return what a text says; None for what is no YAML."""
    try:
        return YAML(typ="safe", pure=True).load(text)
    except YAMLError:
        return None


def _with_key(text: str, key: str, edits: Edits) -> str:
    root = YAML(typ="safe", pure=True).compose(text)
    if not isinstance(root, MappingNode) or root.flow_style:
        return _dumped(text, edits)
    places = {name.value: (name.start_mark.line, _last_line(value) + 1) for name, value in root.value}
    last = max((places[name][1] for name in HEAD if name in places), default=0)
    start, end = places.get(key, (last, last))
    if end < start:  # what it says last stands elsewhere, and here an alias of it
        raise YAMLError(f"{key} is shared")
    lines = text.splitlines(keepends=True)
    if start and not lines[start - 1].endswith("\n"):
        lines[start - 1] += "\n"
    made = _dumped("".join(lines[start:end]), edits)
    return "".join([*lines[:start], made, *lines[end:]])


def _last_line(node: Node) -> int:
    """Return the last line of a value: what a block is followed by (empty lines, comments) is not of it."""
    if isinstance(node, MappingNode | SequenceNode) and not node.flow_style and node.value:
        last = node.value[-1]
        return _last_line(last[1] if isinstance(last, tuple) else last)
    end: int = node.end_mark.line
    return end


def _dumped(text: str, edits: Edits) -> str:
    """Return a mapping's text with edits in it; nothing when it becomes empty."""
    writer = YAML()
    writer.preserve_quotes = True
    writer.width = WIDE
    document = writer.load(text) or CommentedMap()
    for name, value in edits.items():
        trail = trail_of(name)
        if value is not None and len(trail) > 1:
            document.setdefault(trail[0], CommentedMap())
            if trail[1] not in document[trail[0]]:
                document[trail[0]][trail[1]] = CommentedMap()
                document[trail[0]][trail[1]].fa.set_flow_style()
        put(document, trail, value)
    sink = StringIO()
    if document:
        writer.dump(document, sink)
    return sink.getvalue()
