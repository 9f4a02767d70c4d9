"""Small mistakes that could be made in a module: each changes one place of its text, Python or the SQL within it."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

COMPARISONS = {
    ast.Lt: "<=", ast.LtE: "<", ast.Gt: ">=", ast.GtE: ">", ast.Eq: "!=", ast.NotEq: "==",
    ast.In: "not in", ast.NotIn: "in", ast.Is: "is not", ast.IsNot: "is",
}  # fmt: skip
ARITHMETIC = {ast.Add: "-", ast.Sub: "+", ast.Mult: "/", ast.Div: "*", ast.FloorDiv: "*", ast.BitAnd: "|"}
SQL = re.compile(r"\b(SELECT|UPDATE|INSERT|DELETE|WHERE|VALUES)\b")
WORD = r"(?:[^\s()\"]+|\([^()\"]*\))"
IN_SQL = {
    rf"\bAND\s+{WORD}(?:\s+(?!(?:AND|OR|ORDER|RETURNING|FOR|LIMIT|GROUP)\b){WORD})*": "",
    r"\bOR\b": "AND",
    r"\bFOR (?:NO KEY )?UPDATE(?: OF \w+)?(?: SKIP LOCKED| NOWAIT)?": "",
    r"\bSKIP LOCKED\b": "",
    r"\bDESC\b": "",
    r"\bIS NULL\b": "IS NOT NULL",
    r"\bIS NOT NULL\b": "IS NULL",
    r"\bNOT EXISTS\b": "EXISTS",
    r"<=(?=\s)": "<",
    r">=(?=\s)": ">",
    r"(?<=\s)<(?=\s)": "<=",
    r"(?<=\s)>(?=\s)": ">=",
    r"(\b(?:WHERE|AND|OR|ON|WHEN)\s+[\w.]+\s+)=": r"\1<>",
    r"\b(?:max|greatest)\(": "min(",
    r"\btrue\b": "false",
}  # fmt: skip
# What is only said, to people or to the type checker.
SAID = re.compile(r"(log|logger|_log|warnings|click|cast|console)\b")


@dataclass(frozen=True)
class Mutant:
    """A changed module: where, what stood there, what stands there now, and the whole text."""

    path: Path
    line: int
    before: str
    after: str
    source: str
    # The function as Python qualifies it, or the name of the constant.
    name: str
    constant: bool

    def __str__(self) -> str:
        before, after = (" ".join(text.split()) for text in (self.before, self.after))
        return f"{self.path.name}:{self.line}: {before} → {after or '(nothing)'}"


def mutants(path: Path) -> Iterator[Mutant]:
    """All mutants of a file."""
    source = path.read_text()
    starts = [0]
    for text in source.encode().splitlines(keepends=True):
        starts.append(starts[-1] + len(text))
    for name, constant, node in _places(ast.parse(source)):
        at = starts[node.lineno - 1] + node.col_offset
        to = starts[(node.end_lineno or 0) - 1] + (node.end_col_offset or 0)
        raw = source.encode()
        before = raw[at:to].decode()
        for after in _changes(node, before, source):
            changed = (raw[:at] + after.encode() + raw[to:]).decode()
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                shown = _difference(before, after)
            else:
                shown = (before, after)
            yield Mutant(path, node.lineno, *shown, changed, name, constant)


def _places(tree: ast.Module) -> Iterator[tuple[str, bool, ast.expr | ast.stmt]]:
    for statement in tree.body:
        if isinstance(statement, ast.Assign) and isinstance(statement.targets[0], ast.Name):
            for node in ast.walk(statement.value):
                if isinstance(node, ast.Constant) and isinstance(node.value, str):  # numbers there are chosen freely
                    yield statement.targets[0].id, True, node
        if isinstance(statement, ast.FunctionDef | ast.AsyncFunctionDef):
            yield from ((statement.name, False, node) for node in _within(statement))
        if isinstance(statement, ast.ClassDef):
            for method in statement.body:
                if isinstance(method, ast.FunctionDef | ast.AsyncFunctionDef) and method.name != "__repr__":
                    yield from ((f"{statement.name}.{method.name}", False, node) for node in _within(method))


def _within(function: ast.FunctionDef | ast.AsyncFunctionDef) -> Iterator[ast.expr | ast.stmt]:
    """Nodes of a body, without annotations, docstrings, logging, and the words of errors."""
    pending: list[ast.AST] = list(function.body[1:] if ast.get_docstring(function) else function.body)
    while pending:
        node = pending.pop(0)
        if isinstance(node, ast.Raise | ast.Assert):
            continue
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Call) and SAID.match(ast.unparse(node.value.func)):
            continue
        if isinstance(node, ast.expr | ast.stmt):
            yield node
        for field, child in ast.iter_fields(node):
            if field not in ("annotation", "returns", "decorator_list"):
                pending += [one for one in (child if isinstance(child, list) else [child]) if isinstance(one, ast.AST)]


def _changes(node: ast.AST, text: str, source: str) -> Iterator[str]:
    match node:
        case ast.Compare(left=left, ops=[op], comparators=[right]):
            yield f"{_text(left, source)} {COMPARISONS[type(op)]} {_text(right, source)}"
        case ast.BoolOp(op=op, values=values):
            word = " or " if isinstance(op, ast.And) else " and "
            yield f"({word.join(f'({_text(value, source)})' for value in values)})"
        case ast.UnaryOp(op=ast.Not(), operand=operand):
            yield _text(operand, source)
        case ast.BinOp(left=left, op=op, right=right) if type(op) in ARITHMETIC:
            yield f"{_text(left, source)} {ARITHMETIC[type(op)]} {_text(right, source)}"
        case ast.IfExp(test=test, body=body, orelse=orelse):
            yield f"{_text(orelse, source)} if {_text(test, source)} else {_text(body, source)}"
        case ast.Return(value=ast.expr() as value) if not (isinstance(value, ast.Constant) and value.value is None):
            yield "return None"
        case ast.Expr(value=ast.Call() | ast.Await()):
            yield "pass"
        case ast.Constant(value=bool() as value):
            yield str(not value)
        case ast.Constant(value=int() | float() as value):
            yield f"{value + 1}"
        case ast.Constant(value=str() as value) if SQL.search(value):
            for pattern, word in IN_SQL.items():
                for found in re.finditer(pattern, text):
                    yield text[: found.start()] + found.expand(word) + text[found.end() :]


def _text(node: ast.AST, source: str) -> str:
    return f"({ast.get_source_segment(source, node)})"


def _difference(before: str, after: str) -> tuple[str, str]:
    """What differs between two texts of SQL, with a little around it."""
    start = next((at for at, (a, b) in enumerate(zip(before, after, strict=False)) if a != b), len(after))
    ends = zip(reversed(before[start:]), reversed(after[start:]), strict=False)
    same = next((at for at, (a, b) in enumerate(ends) if a != b), min(len(before), len(after)) - start)
    around = max(0, start - 25)
    return before[around : len(before) - same], after[around : len(after) - same]
