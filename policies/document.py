"""YAML files as trees that know their file and line, and one tree laid over another.

The files are read down to YAML's node graph and no further: which text is a number and which key stands twice is
decided here, so that every value keeps its place, and a fault in one place hides none in another.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError, ReusedAnchorWarning, YAMLError
from ruamel.yaml.nodes import MappingNode, ScalarNode, SequenceNode
from ruamel.yaml.nodes import Node as YamlNode
from ruamel.yaml.reader import ReaderError

from policies.findings import Finding, spelled

_CORE = "tag:yaml.org,2002:"
_MERGE = f"{_CORE}merge"
_TEXT = (f"{_CORE}str", f"{_CORE}timestamp", f"{_CORE}value")
_PLAIN = (f"{_CORE}null", f"{_CORE}bool", f"{_CORE}int", f"{_CORE}float")

Trail = tuple[str | int, ...]


@dataclass(frozen=True, slots=True)
class Node:
    """A value of a YAML file with its place. A mapping's child stands at the line of its key."""

    value: str | int | float | bool | dict[str, Node] | list[Node] | None
    file: Path
    line: int

    def plain(self) -> Any:
        """Return the value without places, as Python's own dict, list and scalars."""
        if isinstance(self.value, dict):
            return {key: child.plain() for key, child in self.value.items()}
        if isinstance(self.value, list):
            return [child.plain() for child in self.value]
        return self.value

    def at(self, *trail: str | int) -> Node | None:
        """Return what stands below, or None when nothing does."""
        here: Node | None = self
        for step in trail:
            here = here.child(step) if here else None
        return here

    def child(self, step: str | int) -> Node | None:
        if isinstance(self.value, dict) and isinstance(step, str):
            return self.value.get(step)
        if isinstance(self.value, list) and isinstance(step, int) and step < len(self.value):
            return self.value[step]
        return None

    def items(self, *trail: str | int) -> list[tuple[str, Node]]:
        """Return the keys and children of the mapping below; none when there is no mapping."""
        below = self.at(*trail)
        return list(below.value.items()) if below and isinstance(below.value, dict) else []

    def text(self, *trail: str | int) -> str | None:
        """Return the text below; None when there is none, or it is no text."""
        below = self.at(*trail)
        return below.value if below and isinstance(below.value, str) else None


def overlaid(base: Node, over: Node) -> Node:
    """Return `base` with `over` laid on it: mappings key by key, everything else replaced. Places are kept."""
    if not (isinstance(base.value, dict) and isinstance(over.value, dict)):
        return over
    merged = dict(base.value)
    for key, child in over.value.items():
        merged[key] = overlaid(merged[key], child) if key in merged else child
    return Node(merged, base.file, base.line)


def read(file: Path) -> tuple[Node | None, list[Finding]]:
    """Return the mapping that `file` holds and what is wrong with its YAML; None when it holds none."""
    try:
        raw = file.read_bytes()
    except OSError as error:
        return None, [Finding(file, 1, "", f"{(error.strerror or 'an error').lower()}", "a file that can be read")]
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = raw.count(b"\n", 0, error.start) + 1
        return None, [Finding(file, line, "", f"byte 0x{raw[error.start]:02x}", "UTF-8", _encoding_hint(raw))]
    try:
        root = _compose(text)
        if root is None:
            return None, [Finding(file, 1, "", "an empty file", "a mapping (key: value)")]
        reader = _Reader(file)
        node = reader.node(root, root.start_mark.line + 1, ())
    except YAMLError as error:
        return None, [_syntax(file, text, error)]
    except RecursionError:
        return None, [Finding(file, 1, "", "values nested too deep", "at most some ten levels")]
    if not isinstance(node.value, dict):
        found = "a list" if isinstance(node.value, list) else "a single value"
        return None, [*reader.findings, Finding(file, node.line, "", found, "a mapping (key: value)")]
    return node, reader.findings


def _compose(text: str) -> YamlNode | None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ReusedAnchorWarning)
        root: YamlNode | None = YAML(typ="safe", pure=True).compose(text)
        return root


class _Reader:
    """Turns YAML's nodes into ours, and notes keys that stand twice, tags and aliases that bite their tail."""

    def __init__(self, file: Path) -> None:
        self.file = file
        self.findings: list[Finding] = []
        self._open: set[int] = set()
        self._constructor = YAML(typ="safe", pure=True).constructor

    def node(self, yaml: YamlNode, line: int, trail: Trail) -> Node:
        if id(yaml) in self._open:
            self._fault(yaml, trail, "an alias inside what it stands for", "values without a circle")
            return Node(None, self.file, line)
        self._open.add(id(yaml))
        try:
            return Node(self._value(yaml, trail), self.file, line)
        finally:
            self._open.discard(id(yaml))

    def _value(self, yaml: YamlNode, trail: Trail) -> Any:
        if isinstance(yaml, MappingNode):
            return self._mapping(yaml, trail)
        if isinstance(yaml, SequenceNode):
            return [self.node(each, each.start_mark.line + 1, (*trail, index)) for index, each in enumerate(yaml.value)]
        return self._scalar(yaml, trail)

    def _scalar(self, yaml: YamlNode, trail: Trail) -> Any:
        tag = str(yaml.tag)
        if tag in _TEXT:
            return yaml.value
        if tag in _PLAIN:
            try:
                return self._constructor.construct_object(yaml)
            except ValueError:  # more digits than Python takes for a number
                return yaml.value
        self._fault(yaml, trail, "a YAML tag (!)", "a plain value", "put text that begins with ! in quotes")
        return yaml.value

    def _mapping(self, yaml: MappingNode, trail: Trail) -> dict[str, Node]:
        own: dict[str, Node] = {}
        merged: dict[str, Node] = {}
        for key, value in yaml.value:
            if str(key.tag) == _MERGE:
                for each in self._merged(value, trail):
                    merged = {**each, **merged}
                continue
            if not isinstance(key, ScalarNode):
                self._fault(key, trail, "a list or mapping as a key", "a key of plain text")
                continue
            name = str(key.value)
            line = key.start_mark.line + 1
            if name in own:
                first = f"the first is in line {own[name].line}"
                self._fault(key, (*trail, name), "this key for the second time", "each key once", first)
            own[name] = self.node(value, line, (*trail, name))
        return {**merged, **own}

    def _merged(self, yaml: YamlNode, trail: Trail) -> Iterator[dict[str, Node]]:
        for each in yaml.value if isinstance(yaml, SequenceNode) else [yaml]:
            node = self.node(each, each.start_mark.line + 1, trail)
            if isinstance(node.value, dict):
                yield node.value
            else:
                self._fault(yaml, (*trail, "<<"), "no mapping", "a mapping to merge")

    def _fault(self, yaml: YamlNode, trail: Trail, got: str, want: str, hint: str = "") -> None:
        self.findings.append(Finding(self.file, yaml.start_mark.line + 1, spelled(trail), got, want, hint))


def _encoding_hint(raw: bytes) -> str:
    for encoding, name in (("gb18030", "GB18030 (GBK)"), ("utf-16", "UTF-16")):
        if (encoding == "utf-16") != raw.startswith((b"\xff\xfe", b"\xfe\xff")):
            continue
        try:
            raw.decode(encoding)
        except UnicodeDecodeError:
            continue
        return f"it reads as {name}: save it as UTF-8"
    return "save the file as UTF-8"


#: What the YAML parser says, and what that means to a person. Its own words may quote the file, and so a secret.
_SYNTAX: tuple[tuple[str, str, str], ...] = (
    ("found character '\\t'", "a tab", "indent with spaces"),
    ("cannot start any token", "a sign that no value can begin with", "put the text in quotes"),
    ("mapping values are not allowed", "a second ': ' in one line, or a wrong indent", "indent alike, or use quotes"),
    ("undefined alias", "an alias (*) of nothing", "put text that begins with * in quotes"),
    ("could not find expected ':'", "a line without ': '", "write key: value"),
    ("unexpected end of stream", "a quote that is never closed", "close the quote"),
    ("expected <block end>", "an indent that fits nothing above", "indent the keys of one mapping alike"),
    ("but found another document", "a second document (---)", "one file, one document"),
    ("expected ',' or", "a bracket that is never closed", "close the bracket"),
)


def _syntax(file: Path, text: str, error: YAMLError) -> Finding:
    if isinstance(error, ReaderError):
        line = text.count("\n", 0, error.position) + 1
        return Finding(file, line, "", "a control character", "YAML text", "remove it")
    problem, line = "", 1
    if isinstance(error, MarkedYAMLError):
        problem = error.problem or ""
        # A quote that is not closed ends at the end of the file; where it began is where to look.
        unclosed = "unexpected end of stream" in problem or "expected ',' or" in problem
        mark = error.context_mark if unclosed and error.context_mark else error.problem_mark
        line = mark.line + 1 if mark else 1
    for words, got, hint in _SYNTAX:
        if words in problem:
            return Finding(file, line, "", got, "YAML", hint)
    return Finding(file, line, "", "something that is no YAML", "YAML", "look at the indents and quotes in this line")
