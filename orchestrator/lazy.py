"""Groups of commands whose modules are imported when a command is used: a backup does not pay for what restores."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from typing import Any

import click


class LazyGroup(click.Group):
    """A group of commands that are named by `module:attribute`, beside those that were added to it."""

    def __init__(self, *args: Any, where: Mapping[str, str], **attributes: Any) -> None:
        super().__init__(*args, **attributes)
        self._where = where

    def list_commands(self, ctx: click.Context) -> list[str]:
        return [*self.commands, *self._where]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in self._where:
            return super().get_command(ctx, cmd_name)
        module, _, attribute = self._where[cmd_name].partition(":")
        command: click.Command = getattr(importlib.import_module(module), attribute)
        return command
