"""The runbooks: a page for every alert, and no command in it that does not exist."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from exporters.rules.command import ROUTES, RULES
from exporters.rules.table import with_table
from exporters.rules.write import alerts, rules_file
from orchestrator.cli import cli
from orchestrator.process import run

DOCS = Path(__file__).parents[3] / "docs"
PAGES = {each.stem: each for each in sorted((DOCS / "runbooks").glob("*.md"))}


def test_every_alert_has_a_page_that_names_it_and_no_page_is_left_over() -> None:
    wanted: dict[str, set[str]] = {}
    for each in alerts():
        wanted.setdefault(each.runbook, set()).add(each.name)
    told = {name: set(re.findall(r"`(Tricenter\w+)`", page.read_text("utf-8"))) for name, page in PAGES.items()}
    assert told == wanted


@pytest.mark.parametrize("name", PAGES)
def test_a_page_says_what_it_means_what_to_look_at_and_what_to_do(name: str) -> None:
    text = PAGES[name].read_text("utf-8")
    assert re.findall("^## (.*)", text, re.MULTILINE) == [
        "含义 What it means",
        "查看 What to look at",
        "处理 What to do",
    ]
    for link in re.findall(r"\]\(([^)]+)\)", text):
        assert (PAGES[name].parent / link).exists(), link


def commands(path: Path) -> Iterator[list[str]]:
    """Yield every command of ours in the code of a page, without its comment."""
    for block in re.findall(r"```sh\n(.*?)```", path.read_text("utf-8"), re.DOTALL):
        for line in block.splitlines():
            words = shlex.split(line, comments=True)
            if words[:1] == ["tricenter"]:
                yield words[1:]


@pytest.mark.parametrize("name", PAGES)
def test_commands_exist_with_their_options(name: str) -> None:
    found = list(commands(PAGES[name]))
    for words in found:
        parse(cli, words)
    assert found or "curl" in PAGES[name].read_text("utf-8")


def parse(command: click.Command, words: list[str]) -> None:
    """Read a command's words as it would, and run nothing. Raises UsageError for what it does not know."""
    context: click.Context | None = None
    while True:
        try:
            context = command.make_context(command.name, list(words), parent=context)
        except click.exceptions.Exit:
            return  # it was asked for its help
        if not isinstance(command, click.Group):
            return
        _, found, words = command.resolve_command(context, [*context._protected_args, *context.args])
        assert found
        command = found


def test_a_command_that_does_not_exist_would_be_seen() -> None:
    for words in (["backup", "mend"], ["backup", "run", "--sooner"], ["vault", "probe"]):
        with pytest.raises(click.UsageError):
            parse(cli, words)


def test_the_document_has_the_table_of_all_alerts() -> None:
    text = (DOCS / "monitoring.md").read_text("utf-8")
    assert text == with_table(text), "python -m exporters.rules.table docs/monitoring.md"
    for each in commands(DOCS / "monitoring.md"):
        parse(cli, each)


def test_rules_are_written_for_who_has_no_repository(tmp_path: Path) -> None:
    folder, runner = tmp_path / "rules", CliRunner()
    words = ["monitoring", "rules", str(folder), "--docs", "https://docs.example/r"]
    assert runner.invoke(cli, [*words, "--dry-run"]).exit_code == 0
    assert not folder.exists()
    assert runner.invoke(cli, words).exit_code == 0
    assert (folder / RULES).read_text("utf-8") == rules_file(docs="https://docs.example/r")
    run(["amtool", "check-config", str(folder / ROUTES)], deadline_seconds=30)
    (folder / ROUTES).write_text("mine", "utf-8")
    assert runner.invoke(cli, words).exit_code == 0
    assert (folder / ROUTES).read_text("utf-8") == "mine"
    assert runner.invoke(cli, ["monitoring", "rules"]).output == rules_file()
    assert {each.name for each in alerts()} <= set(runner.invoke(cli, ["monitoring", "alerts"]).output.split())
