"""From the tree of a query back to ADQL. Reading the text again gives the same tree."""

from __future__ import annotations

from km3vo.adql.tree import (
    Aggregate,
    Between,
    Body,
    Call,
    Cast,
    Chain,
    ColumnRef,
    Comparison,
    Condition,
    Derived,
    Exists,
    From,
    Grouped,
    In,
    IsNull,
    Item,
    Join,
    Like,
    Logic,
    Name,
    Node,
    Not,
    Null,
    Number,
    Order,
    Parenthesis,
    Query,
    Select,
    SetChain,
    Signed,
    Star,
    String,
    TableRef,
    ValueNode,
)


def unparse(node: Query) -> str:
    """The query as ADQL, on one line."""
    return _query(node)


def _query(node: Query) -> str:
    text = _body(node.body)
    if node.tables:
        common = ", ".join(f"{name} AS ({_query(query)})" for name, query in node.tables)
        text = f"WITH {common} {text}"
    if node.order:
        text += " ORDER BY " + ", ".join(map(_order, node.order))
    if node.offset is not None:
        text += f" OFFSET {node.offset}"
    return text


def _order(node: Order) -> str:
    return _value(node.value) + (" DESC" if node.descending else "")


def _body(node: Body) -> str:
    if isinstance(node, Query):
        return f"({_query(node)})"
    if isinstance(node, SetChain):
        rest = "".join(f" {operator}{' ALL' if keep else ''} {_body(body)}" for operator, keep, body in node.rest)
        return _body(node.first) + rest
    return _select(node)


def _select(node: Select) -> str:
    words = ["SELECT"]
    if node.distinct:
        words.append("DISTINCT")
    if node.top is not None:
        words.append(f"TOP {node.top}")
    words.append(", ".join(map(_item, node.items)))
    words.append("FROM " + ", ".join(map(_table, node.tables)))
    if node.where is not None:
        words.append("WHERE " + _condition(node.where))
    if node.group:
        words.append("GROUP BY " + ", ".join(map(_value, node.group)))
    if node.having is not None:
        words.append("HAVING " + _condition(node.having))
    return " ".join(words)


def _item(node: Item | Star) -> str:
    if isinstance(node, Star):
        return ".".join([*map(str, node.parts), "*"])
    return _value(node.value) + _alias(node.alias)


def _alias(alias: Name | None) -> str:
    return f" AS {alias}" if alias is not None else ""


def _table(node: From) -> str:
    if isinstance(node, TableRef):
        return ".".join(map(str, node.parts)) + _alias(node.alias)
    if isinstance(node, Derived):
        return f"({_query(node.query)})" + _alias(node.alias)
    kind = "" if node.kind == "INNER" else f"{node.kind} "
    right = f"({_table(node.right)})" if isinstance(node.right, Join) else _table(node.right)
    text = f"{_table(node.left)} {'NATURAL ' if node.natural else ''}{kind}JOIN {right}"
    if node.on is not None:
        return f"{text} ON {_condition(node.on)}"
    if node.using is not None:
        return f"{text} USING ({', '.join(map(str, node.using))})"
    return text


def _value(node: ValueNode) -> str:
    match node:
        case Number():
            return node.text
        case String():
            return _string(node.text)
        case Null():
            return "NULL"
        case ColumnRef():
            return ".".join(map(str, node.parts))
        case Parenthesis():
            return f"({_value(node.argument)})"
        case Signed():
            # Two minus signs would begin a comment.
            return f"{node.sign}{_value(node.argument)}"
        case Chain():
            return _value(node.first) + "".join(f" {operator} {_value(operand)}" for operator, operand in node.rest)
        case Call():
            arguments = [node.system, *node.arguments] if node.system is not None else node.arguments
            return f"{node.name}({', '.join(map(_value, arguments))})"
        case Aggregate():
            if node.argument is None:
                return f"{node.name}(*)"
            return f"{node.name}({'DISTINCT ' if node.distinct else ''}{_value(node.argument)})"
        case Cast():
            target = "DOUBLE PRECISION" if node.target == "DOUBLE" else node.target
            length = f"({node.length})" if node.length is not None else ""
            return f"CAST({_value(node.argument)} AS {target}{length})"
    raise TypeError(f"not a value: {node!r}")


def _string(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


def _condition(node: Condition) -> str:
    match node:
        case Comparison():
            return f"{_value(node.left)} {node.operator} {_value(node.right)}"
        case Logic():
            return f" {node.operator} ".join(map(_condition, node.arguments))
        case Not():
            return f"NOT {_condition(node.argument)}"
        case Grouped():
            return f"({_condition(node.argument)})"
        case Between():
            return f"{_value(node.argument)} {_not(node)}BETWEEN {_value(node.low)} AND {_value(node.high)}"
        case In():
            inside = _query(node.choices) if isinstance(node.choices, Query) else ", ".join(map(_value, node.choices))
            return f"{_value(node.argument)} {_not(node)}IN ({inside})"
        case Like():
            return f"{_value(node.argument)} {_not(node)}{node.operator} {_value(node.pattern)}"
        case IsNull():
            return f"{_value(node.argument)} IS {_not(node)}NULL"
        case Exists():
            return f"EXISTS ({_query(node.query)})"
    raise TypeError(f"not a condition: {node!r}")


def _not(node: Node) -> str:
    return "NOT " if getattr(node, "negated", False) else ""
