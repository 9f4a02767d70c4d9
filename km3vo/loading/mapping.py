"""What whoever loads a file says of its columns: which of ours they are, in which units, and what it does not have."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from difflib import get_close_matches

from km3vo.catalog.model import Recipe, ReleasedFile, Table
from km3vo.errors import SetupError
from km3vo.readers.mistakes import shown

Pairs = tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Mapping:
    """How a file's columns become ours, beside what names and the table's ``sources`` tell.

    Attributes:
        columns: (name in the file, ours).
        units: (name in the file, its unit there).
        values: (ours, what it is in every row, as text).
        ignored: names in the file of what is not loaded; "*" for all that has no place.
        required: names in the file of what a row needs; without a value there it is left out.
    """

    columns: Pairs = ()
    units: Pairs = ()
    values: Pairs = ()
    ignored: tuple[str, ...] = ()
    required: tuple[str, ...] = ()

    @property
    def fingerprint(self) -> str:
        """What tells contents that are read by it from the same that are read by another."""
        return "" if self == Mapping() else repr((self.columns, self.units, self.values, self.ignored, self.required))

    def check(self, table: Table) -> None:
        """Make sure that it speaks of the table's columns, and of each once.

        Raises:
            SetupError: it does not.
        """
        known = [column.name for column in table.columns]
        named = [ours for _, ours in self.columns] + [ours for ours, _ in self.values]
        for place, ours in enumerate(named):
            if ours not in known:
                near = get_close_matches(ours.lower(), known, 1)
                raise SetupError(
                    f"{table.qualified} has no column {ours}" + (f": do you mean {near[0]}?" if near else "")
                )
            if ours in named[:place]:
                raise SetupError(f"column {ours} of {table.qualified} is to be made twice: say once from what")
        for file, _ in self.units:
            if [name for name, _ in self.units].count(file) > 1:
                raise SetupError(f"column {file} is to have two units")

    def applied(self, table: Table, source: ReleasedFile | None, name: str) -> ReleasedFile | None:
        """How a file of that name is read; None when there is nothing to say."""
        if self == Mapping():
            return source
        recipes = dict(source.columns) if source else {}
        for file, ours in self.columns:
            recipes[ours] = replace(recipes.get(ours, Recipe()), column=file, line=None, value=None)
        for ours, value in self.values:
            recipes[ours] = Recipe(value=value)
        for file, unit in self.units:
            for column in table.columns:
                recipe = recipes.get(column.name, Recipe(column=column.name))
                if (recipe.column or "").lower() == file.lower():
                    recipes[column.name] = replace(recipe, unit=unit)
        base = source or ReleasedFile(file=name)
        return replace(
            base,
            columns=tuple(recipes.items()),
            ignore=(*base.ignore, *self.ignored, *self.required),
            required=(*base.required, *self.required),
        )

    def missing(self, names: Sequence[str]) -> Iterator[str]:
        """What it says of columns that a file of these does not have."""
        there = {name.lower() for name in names}
        told = (file for pair in (self.columns, self.units) for file, _ in pair)
        spoken = (*told, *self.ignored, *self.required)
        for file in dict.fromkeys(spoken):
            if file != "*" and file.lower() not in there:
                near = get_close_matches(file.lower(), sorted(there), 1)
                yield f"there is no column {shown(file)} in it" + (f" (did you mean {near[0]}?)" if near else "")


def pairs(option: str, given: Sequence[str], *, first: bool = False) -> Pairs:
    """The two sides of each "NAME=NAME" of an option; of several equal signs the last counts, or the first.

    Raises:
        SetupError: one is not written so.
    """
    found = []
    for text in given:
        left, sign, right = text.partition("=") if first else text.rpartition("=")
        if not sign or not left.strip() or not (right.strip() or first):
            raise SetupError(f"{option} {text}: write it as {option} NAME=NAME")
        found.append((left.strip(), right.strip()))
    return tuple(found)
