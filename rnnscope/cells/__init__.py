"""The recurrent cells: one file each, found by name. A module is imported only when its cell is used."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

from rnnscope import registry
from rnnscope.errors import UserError

if TYPE_CHECKING:
    from rnnscope.cells.base import Cell


def get(name: str) -> Cell:
    """Return the cell called `name` (a key of registry.CELLS).

    Raises:
        UserError: there is no such cell.
    """
    entry = registry.CELLS.get(name)
    if entry is None:
        raise UserError(f"unknown cell '{name}': choose one of {', '.join(registry.CELLS)}")
    cell: Cell = importlib.import_module(entry.module).make(name)
    return cell
