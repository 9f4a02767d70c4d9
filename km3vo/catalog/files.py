"""Reading schemas/*.yaml: the one place where what is published is written down (docs/tables.md)."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Sequence
from datetime import date
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError
from yaml.constructor import SafeConstructor

from km3vo.catalog.entries import SchemaEntry
from km3vo.catalog.model import Catalog, Datatype, Schema
from km3vo.errors import SetupError

_FEW = 10  # mistakes told at once; more would not be read


def read_catalog(folder: Path) -> Catalog:
    """All published schemas, in the order of the files' names.

    Raises SetupError with file, line, key and repair for everything that is wrong in them.
    """
    files = sorted(folder.glob("*.yaml"))
    if not files:
        raise SetupError(
            f"No description of a published schema in {folder}: put a schemas/*.yaml there (docs/tables.md)."
        )
    catalog = Catalog(tuple(read_schema(file) for file in files))
    _check_keys(catalog)
    _check_aliases(catalog)
    return catalog


def read_schema(file: Path) -> Schema:
    """The schema that one file describes. Raises SetupError."""
    text = file.read_text(encoding="utf-8")
    try:
        root = _composed(text)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = f" line {mark.line + 1}" if mark else ""
        problem = getattr(error, "problem", None) or "cannot be read"
        raise SetupError(f"{file.name}{where}: not YAML: {problem}.") from None
    if root is None:
        raise SetupError(f"{file.name}: the file is empty; docs/tables.md shows what to write.")
    _refuse_repeated_keys(file, root)
    try:
        schema = SchemaEntry.model_validate(SafeConstructor().construct_document(root)).build()
    except ValidationError as error:
        raise SetupError(_report(file, root, error)) from None
    if schema.name != file.stem:
        raise SetupError(f"{file.name}: describes schema {schema.name}: call the file {schema.name}.yaml.")
    return schema


def _composed(text: str) -> yaml.Node | None:
    """The tree of a text, by libyaml where PyYAML has it: nine times as fast, but it knows less where a mistake is."""
    with contextlib.suppress(AttributeError, yaml.YAMLError):
        return yaml.compose(text, Loader=yaml.CSafeLoader)
    return yaml.compose(text, Loader=yaml.SafeLoader)


def _refuse_repeated_keys(file: Path, node: yaml.Node) -> None:
    """YAML readers keep the last of two equal keys without a word; half a column would be lost."""
    children: Iterable[yaml.Node] = ()
    if isinstance(node, yaml.MappingNode):
        seen: set[str] = set()
        for key, _ in node.value:
            if key.value in seen:
                raise SetupError(f"{file.name} line {key.start_mark.line + 1}: the key {key.value} is there twice.")
            seen.add(key.value)
        children = (value for _, value in node.value)
    elif isinstance(node, yaml.SequenceNode):
        children = node.value
    for child in children:
        _refuse_repeated_keys(file, child)


def _report(file: Path, root: yaml.Node, error: ValidationError) -> str:
    """One line per mistake: file, line, key, what to mend."""
    mistakes = error.errors(include_url=False)
    lines = [f"{file.name} line {_line(root, m['loc'])}: {_key(root, m['loc'])}: {_say(m)}" for m in mistakes[:_FEW]]
    if len(mistakes) > _FEW:
        lines.append(f"… and {len(mistakes) - _FEW} more.")
    return "\n".join(lines)


def _say(mistake: Any) -> str:
    """The mistake in words; pydantic's own where they are clear."""
    kind, value = mistake["type"], mistake.get("input")
    if kind == "extra_forbidden":
        return "there is no such key; docs/tables.md lists them all"
    if kind == "missing":
        return "is missing"
    if kind == "string_type" and isinstance(value, (bool, int, float, date)):
        return f'{value} is read as a number or date: write it in quotes, "{value}"'
    if kind == "string_pattern_mismatch":
        return f"{value!r} does not have the form {mistake['ctx']['pattern']}"
    return str(mistake["msg"]).removeprefix("Value error, ")


def _steps(root: yaml.Node, loc: Sequence[str | int]) -> list[tuple[str, yaml.Node]]:
    """The path to a mistake, as far as the file goes, with columns and tables called by their names."""
    steps: list[tuple[str, yaml.Node]] = []
    node = root
    for step in loc:
        if isinstance(node, yaml.MappingNode):
            found = [(key, value) for key, value in node.value if key.value == str(step)]
            if not found:
                steps.append((str(step), node))
                break
            key, value = found[0]
            # A scalar is blamed on its own line, a block on the line of its key.
            steps.append((str(step), value if isinstance(value, yaml.ScalarNode) else key))
            node = value
        elif isinstance(node, yaml.SequenceNode) and isinstance(step, int) and step < len(node.value):
            node = node.value[step]
            steps.append((_called(node) or str(step + 1), node))
        else:
            break
    return steps


def _called(node: yaml.Node) -> str | None:
    if isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            if key.value in ("name", "file") and isinstance(value, yaml.ScalarNode):
                return str(value.value)
    return None


def _line(root: yaml.Node, loc: Sequence[str | int]) -> int:
    steps = _steps(root, loc)
    return int((steps[-1][1] if steps else root).start_mark.line) + 1


def _key(root: yaml.Node, loc: Sequence[str | int]) -> str:
    return " > ".join(name for name, _ in _steps(root, loc)) or "the file"


def _check_keys(catalog: Catalog) -> None:
    """References must lead to columns of the same type (taplint E_FKLK, W_FTYP)."""
    tables = {table.qualified: table for table in catalog.tables}
    for table in catalog.tables:
        for key in table.keys:
            target = tables.get(key.target)
            if target is None:
                raise SetupError(f"{table.schema}.yaml: keys of {table.qualified}: no table {key.target} is published.")
            types: dict[str, Datatype] = {column.name: column.datatype for column in target.columns}
            for ours, theirs in key.columns:
                if types.get(theirs) != table.column(ours).datatype:
                    raise SetupError(
                        f"{table.schema}.yaml: keys of {table.qualified}: {ours} is to refer to {key.target}.{theirs}, "
                        "which is not there or of another datatype."
                    )
            if key is table.followed and (not target.release.embargoed or key.columns[0][1] != target.id):
                raise SetupError(
                    f"{table.schema}.yaml: release of {table.qualified}: it follows {key.target}, which has to be "
                    "embargoed, and the key has to lead to its id."
                )


def _check_aliases(catalog: Catalog) -> None:
    taken: dict[str, str] = {}
    for table in catalog.tables:
        for alias in table.aliases:
            if alias in taken:
                raise SetupError(f"{table.schema}.yaml: alias {alias} of {table.qualified} belongs to {taken[alias]}.")
            taken[alias] = table.qualified
