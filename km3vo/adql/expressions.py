"""The grammar of values and conditions (ADQL 2.1 §2.2.3, §2.3, §4, appendix A).

Values and conditions share the parenthesis, and only behind it can one be told from the other. So there is one
chain of rules for both, OR < AND < NOT < predicate < + - < * / < sign < primary, and each checks what its operands are.
"""

from __future__ import annotations

from collections.abc import Callable

from km3vo.adql.arguments import GEOMETRIES, check
from km3vo.adql.token_stream import TokenStream
from km3vo.adql.tree import (
    Aggregate,
    Between,
    Call,
    Cast,
    Chain,
    ColumnRef,
    Comparison,
    Condition,
    Exists,
    Grouped,
    In,
    IsNull,
    Like,
    Logic,
    Node,
    Not,
    Null,
    Number,
    Parenthesis,
    Query,
    Signed,
    String,
    ValueNode,
)
from km3vo.adql.words import AGGREGATES, ARGUMENTS, CAST_TARGETS, NEW_IN_2_1

_COMPARISONS = frozenset({"=", "<>", "<", "<=", ">", ">="})
_STRING_FUNCTIONS = frozenset({"LOWER", "UPPER", "COORDSYS"})


class ExpressionParser:
    """Reads values and conditions.

    Args:
        tokens: of the query.
        subquery: reads what may stand in parentheses behind IN and EXISTS, the opening one being read.
    """

    def __init__(self, tokens: TokenStream, subquery: Callable[[], Query]):
        self._tokens = tokens
        self._subquery = subquery

    # ------------------------------------------------------------------------------------ entrances

    def condition(self) -> Condition:
        """<search_condition>"""
        return self._condition(self._either())

    def value(self) -> ValueNode:
        """<value_expression>"""
        self._tokens.enter()
        value = self._value(self._operand())
        self._tokens.leave()
        return value

    def _condition(self, node: Node) -> Condition:
        if isinstance(node, Condition):
            return node
        hint = "compare it with something, as in x > 0"
        if isinstance(node, Call) and node.name in ("CONTAINS", "INTERSECTS"):
            hint = f"write 1 = {node.name}(...)"
        # Where more could have followed, what could have is the better message.
        if self._tokens.key not in (")", "<end>", "AND", "OR"):
            self._tokens.fail()
        raise self._tokens.error("a condition is needed here, but this is a value", node, hint)

    def _value(self, node: Node) -> ValueNode:
        if isinstance(node, ValueNode):
            return node
        raise self._tokens.error("a value is needed here, but this is a condition", node)

    # ----------------------------------------------------------------------------------- conditions

    def _either(self) -> Node:
        """<search_condition>, or a value where a parenthesis turns out to hold one."""
        self._tokens.enter()
        node = self._logic("OR", self._and)
        self._tokens.leave()
        return node

    def _and(self) -> Node:
        """<boolean_term>"""
        return self._logic("AND", self._not)

    def _logic(self, operator: str, operand: Callable[[], Node]) -> Node:
        start = self._tokens.here.start
        first = operand()
        if self._tokens.accept(operator) is None:
            return first
        arguments: list[Condition] = [self._condition(first), self._condition(operand())]
        while self._tokens.accept(operator):
            # PostgreSQL keeps AND and OR flat, too: these chains need no bound.
            arguments.append(self._condition(operand()))
        return self._tokens.spanned(Logic(operator, arguments), start)

    def _not(self) -> Node:
        """<boolean_factor>"""
        start = self._tokens.here.start
        if self._tokens.accept("NOT"):
            return self._tokens.spanned(Not(self._condition(self._predicate())), start)
        return self._predicate()

    def _predicate(self) -> Node:
        """<predicate>, or the value it would have begun with."""
        start = self._tokens.here.start
        if self._tokens.accept("EXISTS"):
            self._tokens.expect("(")
            return self._tokens.spanned(Exists(self._subquery()), start)
        left = self._operand()
        key = self._tokens.key
        if key in _COMPARISONS:
            self._value(left)
            operator = self._tokens.next().key
            return self._tokens.spanned(Comparison(operator, self._value(left), self._value(self._operand())), start)
        negated = False
        if key == "NOT" and isinstance(left, ValueNode):
            negated = True
            self._tokens.next()
        if self._tokens.accept("BETWEEN"):
            low = self._value(self._operand())
            self._tokens.expect("AND")
            return self._tokens.spanned(Between(self._value(left), low, self._value(self._operand()), negated), start)
        if self._tokens.accept("IN"):
            return self._tokens.spanned(In(self._value(left), self._choices(), negated), start)
        for operator in ("LIKE", "ILIKE"):
            if self._tokens.accept(operator):
                if operator == "ILIKE":
                    self._tokens.new_in_2_1("ILIKE")
                value, pattern = self._text(left), self._text(self._operand())
                return self._tokens.spanned(Like(operator, value, pattern, negated), start)
        if negated:
            self._tokens.fail()
        if isinstance(left, Condition):
            return left
        if self._tokens.accept("IS"):
            negated = self._tokens.accept("NOT") is not None
            self._tokens.expect("NULL")
            if not isinstance(left, ColumnRef):
                raise self._tokens.error("only a column can be tested with IS NULL", left)
            return self._tokens.spanned(IsNull(left, negated), start)
        self._tokens.might_be("=", "<", ">")
        return left

    def _choices(self) -> list[ValueNode] | Query:
        """<in_predicate_value>"""
        self._tokens.expect("(")
        if self._tokens.behind_parentheses(0) in ("SELECT", "WITH"):
            return self._subquery()
        values = [self._choice()]
        while self._tokens.accept(","):
            values.append(self._choice())
        self._tokens.expect(")")
        return values

    def _choice(self) -> ValueNode:
        """<value_expression>; the plain literals of a long list without going down the whole ladder."""
        if self._tokens.peek() in (",", ")"):
            start = self._tokens.here.start
            if self._tokens.key == "<number>":
                return self._tokens.spanned(Number(self._tokens.next().value), start)
            if self._tokens.key == "<string>":
                return self._tokens.spanned(String(self._tokens.next().value), start)
        return self.value()

    # --------------------------------------------------------------------------------------- values

    def _operand(self) -> Node:
        """<value_expression>: NULL, a numeric, a string or a geometry expression; or a condition in parentheses."""
        start = self._tokens.here.start
        if self._tokens.accept("NULL"):
            return self._tokens.spanned(Null(), start)
        first = self._sum()
        if self._tokens.accept("||") is None:
            return first
        rest: list[tuple[str, ValueNode]] = []
        first = self._text(first)
        while True:
            self._tokens.counted(list(rest))
            rest.append(("||", self._text(self._primary())))
            if self._tokens.accept("||") is None:
                break
        if self._tokens.key in ("+", "-", "*", "/"):
            raise self._tokens.error(f"{self._tokens.key} cannot follow ||", hint="put the sum in parentheses")
        return self._tokens.spanned(Chain(first, rest), start)

    def _text(self, node: Node) -> ValueNode:
        """<character_primary>: what may be joined by || and compared by LIKE."""
        value = self._value(node)
        if isinstance(value, Signed | Chain) and not (isinstance(value, Chain) and value.rest[0][0] == "||"):
            raise self._tokens.error("this number cannot be part of a string as it is", value, "put it in parentheses")
        if isinstance(value, Null):
            raise self._tokens.error("NULL cannot be part of a string", value)
        if isinstance(value, Call) and value.name in ARGUMENTS and value.name not in _STRING_FUNCTIONS | {"COALESCE"}:
            kind = "geometry" if value.name in GEOMETRIES else "number"
            hint = "" if kind == "geometry" else "put it in parentheses"
            raise self._tokens.error(
                f"{value.name} gives a {kind}, which cannot be part of a string as it is", value, hint
            )
        return value

    def _sum(self) -> Node:
        """<numeric_value_expression>"""
        return self._chain(("+", "-"), self._term)

    def _term(self) -> Node:
        """<term>"""
        return self._chain(("*", "/"), self._factor)

    def _chain(self, operators: tuple[str, str], operand: Callable[[], Node]) -> Node:
        start = self._tokens.here.start
        first = operand()
        if self._tokens.key not in operators:
            return first
        rest: list[tuple[str, ValueNode]] = []
        value = self._number(first)
        while self._tokens.key in operators:
            if len(rest) >= 100:
                self._tokens.counted(list(rest))
            operator = self._tokens.next().key
            rest.append((operator, self._number(operand())))
        return self._tokens.spanned(Chain(value, rest), start)

    def _number(self, node: Node) -> ValueNode:
        """<numeric_primary>: what can be part of a sum or product, as far as the grammar can tell."""
        value = self._value(node)
        if isinstance(value, Call) and value.name in GEOMETRIES:
            raise self._tokens.error(f"{value.name} is a geometry: it cannot be part of a sum or product", value)
        if isinstance(value, Null):
            raise self._tokens.error("NULL cannot be part of a sum or product", value)
        return value

    def _factor(self) -> Node:
        """<factor>"""
        start = self._tokens.here.start
        if self._tokens.key in ("+", "-"):
            sign = self._tokens.next().key
            return self._tokens.spanned(Signed(sign, self._number(self._primary())), start)
        return self._primary()

    def _primary(self) -> Node:
        """<value_expression_primary> and the functions; a condition in parentheses; else an error."""
        token = self._tokens.here
        key, start = token.key, token.start
        if key == "<number>":
            return self._tokens.spanned(Number(self._tokens.next().value), start)
        if key == "<string>":
            return self._tokens.spanned(String(self._tokens.next().value), start)
        if key == "(":
            return self._parenthesis()
        if key == "<name>":
            if self._tokens.peek() == "(" and token.kind == "regular":
                return self._call()
            return self.column()
        if key == "CAST":
            return self._cast()
        if key in AGGREGATES:
            return self._aggregate()
        if key in ARGUMENTS:
            return self._call()
        return self._tokens.fail("<name>", "<number>", "<string>", "(", "a function")

    def _parenthesis(self) -> Node:
        start = self._tokens.next().start
        if self._tokens.behind_parentheses(0) == "SELECT":
            raise self._tokens.error(
                "a subquery cannot stand for a value in ADQL",
                hint="use IN (SELECT ...), EXISTS (SELECT ...), or a subquery in FROM",
            )
        node = self._either()
        self._tokens.expect(")")
        if isinstance(node, Condition):
            return self._tokens.spanned(Grouped(node), start)
        return self._tokens.spanned(Parenthesis(self._value(node)), start)

    def column(self) -> ColumnRef:
        """<column_reference>"""
        start = self._tokens.here.start
        node = self._tokens.spanned(ColumnRef(self._tokens.dotted()), start)
        if len(node.parts) > 4:
            raise self._tokens.error("a column has at most the form catalog.schema.table.column", node)
        return node

    # ------------------------------------------------------------------------------------ functions

    def _open(self) -> tuple[str, int]:
        """Read the name of a function and its parenthesis; gives the name in capitals and where it began."""
        token = self._tokens.next()
        name = token.value.upper()
        if self._tokens.key != "(":
            hint = f'to call it write {name}(...); as a name write "{token.value}"'
            raise self._tokens.error(f"{name} is a reserved word", token, hint)
        if name in NEW_IN_2_1:
            self._tokens.new_in_2_1(name, token)
        self._tokens.next()
        return name, token.start

    def _aggregate(self) -> Aggregate:
        """<set_function_specification>"""
        name, start = self._open()
        if name == "COUNT" and self._tokens.accept("*"):
            self._tokens.expect(")")
            return self._tokens.spanned(Aggregate(name, None), start)
        distinct = self._tokens.accept("DISTINCT") is not None
        if not distinct:
            self._tokens.accept("ALL")
        argument = self.value()
        self._tokens.expect(")")
        return self._tokens.spanned(Aggregate(name, argument, distinct), start)

    def _cast(self) -> Cast:
        """<cast_specification> (§4.7.1)"""
        _, start = self._open()
        argument = self.value()
        self._tokens.expect("AS")
        target, length = self._tokens.here, None
        if target.key not in CAST_TARGETS:
            self._tokens.fail(*CAST_TARGETS)
        name = self._tokens.next().key
        if name == "DOUBLE":
            self._tokens.expect("PRECISION")
        elif name in ("CHAR", "VARCHAR") and self._tokens.accept("("):
            size = self._tokens.here
            length = self._tokens.unsigned()
            if not 1 <= length <= 10_485_760:
                raise self._tokens.error("this length is out of range", size)
            self._tokens.expect(")")
        self._tokens.expect(")")
        return self._tokens.spanned(Cast(argument, name, length), start)

    def _call(self) -> Call:
        """A function of the grammar, or <user_defined_function>."""
        token = self._tokens.here
        name, start = self._open()
        arguments: list[ValueNode] = []
        if self._tokens.accept(")") is None:
            arguments.append(self.value())
            while self._tokens.accept(","):
                arguments.append(self.value())
            self._tokens.expect(")")
        call = self._tokens.spanned(Call(name, arguments), start)
        if token.kind == "word":
            check(self._tokens, call)
        return call
