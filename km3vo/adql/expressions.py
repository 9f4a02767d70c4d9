"""The grammar of values and conditions (ADQL 2.1 §2.2.3, §2.3, §4, appendix A).

Values and conditions share the parenthesis, and only behind it can one be told from the other. So there is one
ladder for both, OR < AND < NOT < predicate < + - < * / < sign < primary, and each rung checks what it was given.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable

from km3vo.adql.arguments import GEOMETRIES, Arguments
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
    Name,
    Node,
    Not,
    Null,
    Number,
    Parenthesis,
    Query,
    Signed,
    String,
    Value,
)
from km3vo.adql.words import AGGREGATES, ARGUMENTS, CAST_TARGETS, NEW_IN_2_1

_COMPARISONS = frozenset({"=", "<>", "<", "<=", ">", ">="})
_STRING_FUNCTIONS = frozenset({"LOWER", "UPPER", "COORDSYS"})


class Expressions(Arguments):
    """Reads values and conditions."""

    @abstractmethod
    def query(self) -> Query:
        """<select_expression>"""

    @abstractmethod
    def subquery(self) -> Query:
        """<subquery>: what may stand in parentheses behind IN, EXISTS and FROM, the parenthesis being read."""

    # ------------------------------------------------------------------------------------ entrances

    def condition(self) -> Condition:
        """<search_condition>"""
        return self._condition(self._either())

    def value(self) -> Value:
        """<value_expression>"""
        self.enter()
        value = self._value(self._operand())
        self.leave()
        return value

    def _condition(self, node: Node) -> Condition:
        if isinstance(node, Condition):
            return node
        hint = "compare it with something, as in x > 0"
        if isinstance(node, Call) and node.name in ("CONTAINS", "INTERSECTS"):
            hint = f"write 1 = {node.name}(...)"
        # Where more could have followed, what could have is the better message.
        if self.key not in (")", "<end>", "AND", "OR"):
            self.fail()
        raise self.error("a condition is needed here, but this is a value", node, hint)

    def _value(self, node: Node) -> Value:
        if isinstance(node, Value):
            return node
        raise self.error("a value is needed here, but this is a condition", node)

    # ----------------------------------------------------------------------------------- conditions

    def _either(self) -> Node:
        """<search_condition>, or a value where a parenthesis turns out to hold one."""
        self.enter()
        node = self._logic("OR", self._and)
        self.leave()
        return node

    def _and(self) -> Node:
        """<boolean_term>"""
        return self._logic("AND", self._not)

    def _logic(self, operator: str, operand: Callable[[], Node]) -> Node:
        start = self.here.start
        first = operand()
        if self.accept(operator) is None:
            return first
        arguments: list[Condition] = [self._condition(first), self._condition(operand())]
        while self.accept(operator):
            # PostgreSQL keeps AND and OR flat, too: these chains need no bound.
            arguments.append(self._condition(operand()))
        return self.spanned(Logic(operator, arguments), start)

    def _not(self) -> Node:
        """<boolean_factor>"""
        start = self.here.start
        if self.accept("NOT"):
            return self.spanned(Not(self._condition(self._predicate())), start)
        return self._predicate()

    def _predicate(self) -> Node:
        """<predicate>, or the value it would have begun with."""
        start = self.here.start
        if self.accept("EXISTS"):
            self.expect("(")
            return self.spanned(Exists(self.subquery()), start)
        left = self._operand()
        key = self.key
        if key in _COMPARISONS:
            self._value(left)
            operator = self.next().key
            return self.spanned(Comparison(operator, self._value(left), self._value(self._operand())), start)
        negated = False
        if key == "NOT" and isinstance(left, Value):
            negated = True
            self.next()
        if self.accept("BETWEEN"):
            low = self._value(self._operand())
            self.expect("AND")
            return self.spanned(Between(self._value(left), low, self._value(self._operand()), negated), start)
        if self.accept("IN"):
            return self.spanned(In(self._value(left), self._choices(), negated), start)
        for operator in ("LIKE", "ILIKE"):
            if self.accept(operator):
                if operator == "ILIKE":
                    self.new_in_2_1("ILIKE")
                value, pattern = self._text(left), self._text(self._operand())
                return self.spanned(Like(operator, value, pattern, negated), start)
        if negated:
            self.fail()
        if isinstance(left, Condition):
            return left
        if self.accept("IS"):
            negated = self.accept("NOT") is not None
            self.expect("NULL")
            if not isinstance(left, ColumnRef):
                raise self.error("only a column can be tested with IS NULL", left)
            return self.spanned(IsNull(left, negated), start)
        self._expected += ["=", "<", ">"]
        return left

    def _choices(self) -> list[Value] | Query:
        """<in_predicate_value>"""
        self.expect("(")
        if self.behind_parentheses(0) in ("SELECT", "WITH"):
            return self.subquery()
        values = [self._choice()]
        while self.accept(","):
            values.append(self._choice())
        self.expect(")")
        return values

    def _choice(self) -> Value:
        """<value_expression>; the plain literals of a long list without going down the whole ladder."""
        if self.peek() in (",", ")"):
            start = self.here.start
            if self.key == "<number>":
                return self.spanned(Number(self.next().value), start)
            if self.key == "<string>":
                return self.spanned(String(self.next().value), start)
        return self.value()

    # --------------------------------------------------------------------------------------- values

    def _operand(self) -> Node:
        """<value_expression>: NULL, a numeric, a string or a geometry expression; or a condition in parentheses."""
        start = self.here.start
        if self.accept("NULL"):
            return self.spanned(Null(), start)
        first = self._sum()
        if self.accept("||") is None:
            return first
        rest: list[tuple[str, Value]] = []
        first = self._text(first)
        while True:
            self.counted(list(rest))
            rest.append(("||", self._text(self._primary())))
            if self.accept("||") is None:
                break
        if self.key in ("+", "-", "*", "/"):
            raise self.error(f"{self.key} cannot follow ||", hint="put the sum in parentheses")
        return self.spanned(Chain(first, rest), start)

    def _text(self, node: Node) -> Value:
        """<character_primary>: what may be joined by || and compared by LIKE."""
        value = self._value(node)
        if isinstance(value, Signed | Chain) and not (isinstance(value, Chain) and value.rest[0][0] == "||"):
            raise self.error("this number cannot be part of a string as it is", value, "put it in parentheses")
        if isinstance(value, Null):
            raise self.error("NULL cannot be part of a string", value)
        if isinstance(value, Call) and value.name in ARGUMENTS and value.name not in _STRING_FUNCTIONS | {"COALESCE"}:
            kind = "geometry" if value.name in GEOMETRIES else "number"
            hint = "" if kind == "geometry" else "put it in parentheses"
            raise self.error(f"{value.name} gives a {kind}, which cannot be part of a string as it is", value, hint)
        return value

    def _sum(self) -> Node:
        """<numeric_value_expression>"""
        return self._chain(("+", "-"), self._term)

    def _term(self) -> Node:
        """<term>"""
        return self._chain(("*", "/"), self._factor)

    def _chain(self, operators: tuple[str, str], operand: Callable[[], Node]) -> Node:
        start = self.here.start
        first = operand()
        if self.key not in operators:
            return first
        rest: list[tuple[str, Value]] = []
        value = self._number(first)
        while self.key in operators:
            if len(rest) >= 100:
                self.counted(list(rest))
            operator = self.next().key
            rest.append((operator, self._number(operand())))
        return self.spanned(Chain(value, rest), start)

    def _number(self, node: Node) -> Value:
        """<numeric_primary>: what can be reckoned with, as far as the grammar can tell."""
        value = self._value(node)
        if isinstance(value, Call) and value.name in GEOMETRIES:
            raise self.error(f"{value.name} is a geometry: it cannot be reckoned with", value)
        if isinstance(value, Null):
            raise self.error("NULL cannot be reckoned with", value)
        return value

    def _factor(self) -> Node:
        """<factor>"""
        start = self.here.start
        if self.key in ("+", "-"):
            sign = self.next().key
            return self.spanned(Signed(sign, self._number(self._primary())), start)
        return self._primary()

    def _primary(self) -> Node:
        """<value_expression_primary> and the functions; a condition in parentheses; else an error."""
        token = self.here
        key, start = token.key, token.start
        if key == "<number>":
            return self.spanned(Number(self.next().value), start)
        if key == "<string>":
            return self.spanned(String(self.next().value), start)
        if key == "(":
            return self._parenthesis()
        if key == "<name>":
            if self.peek() == "(" and token.kind == "regular":
                return self._call()
            return self.column()
        if key == "CAST":
            return self._cast()
        if key in AGGREGATES:
            return self._aggregate()
        if key in ARGUMENTS:
            return self._call()
        return self.fail("<name>", "<number>", "<string>", "(", "a function")

    def _parenthesis(self) -> Node:
        start = self.next().start
        if self.behind_parentheses(0) == "SELECT":
            raise self.error(
                "a subquery cannot stand for a value in ADQL",
                hint="use IN (SELECT ...), EXISTS (SELECT ...), or a subquery in FROM",
            )
        node = self._either()
        self.expect(")")
        if isinstance(node, Condition):
            return self.spanned(Grouped(node), start)
        return self.spanned(Parenthesis(self._value(node)), start)

    def dotted(self) -> tuple[Name, ...]:
        """Names joined by dots; stops before .*"""
        parts = [self.name()]
        while self.key == "." and self.peek() != "*":
            self.next()
            parts.append(self.name())
        return tuple(parts)

    def column(self) -> ColumnRef:
        """<column_reference>"""
        start = self.here.start
        node = self.spanned(ColumnRef(self.dotted()), start)
        if len(node.parts) > 4:
            raise self.error("a column has at most the form catalog.schema.table.column", node)
        return node

    # ------------------------------------------------------------------------------------ functions

    def _open(self) -> tuple[str, int]:
        """Read the name of a function and its parenthesis; gives the name in capitals and where it began."""
        token = self.next()
        name = token.value.upper()
        if self.key != "(":
            hint = f'to call it write {name}(...); as a name write "{token.value}"'
            raise self.error(f"{name} is a reserved word", token, hint)
        if name in NEW_IN_2_1:
            self.new_in_2_1(name, token)
        self.next()
        return name, token.start

    def _aggregate(self) -> Aggregate:
        """<set_function_specification>"""
        name, start = self._open()
        if name == "COUNT" and self.accept("*"):
            self.expect(")")
            return self.spanned(Aggregate(name, None), start)
        distinct = self.accept("DISTINCT") is not None
        if not distinct:
            self.accept("ALL")
        argument = self.value()
        self.expect(")")
        return self.spanned(Aggregate(name, argument, distinct), start)

    def _cast(self) -> Cast:
        """<cast_specification> (§4.7.1)"""
        _, start = self._open()
        argument = self.value()
        self.expect("AS")
        target, length = self.here, None
        if target.key not in CAST_TARGETS:
            self.fail(*CAST_TARGETS)
        name = self.next().key
        if name == "DOUBLE":
            self.expect("PRECISION")
        elif name in ("CHAR", "VARCHAR") and self.accept("("):
            size = self.here
            length = self.unsigned()
            if not 1 <= length <= 10_485_760:
                raise self.error("this length is out of range", size)
            self.expect(")")
        self.expect(")")
        return self.spanned(Cast(argument, name, length), start)

    def _call(self) -> Call:
        """A function of the grammar, or <user_defined_function>."""
        token = self.here
        name, start = self._open()
        arguments: list[Value] = []
        if self.accept(")") is None:
            arguments.append(self.value())
            while self.accept(","):
                arguments.append(self.value())
            self.expect(")")
        call = self.spanned(Call(name, arguments), start)
        if token.kind == "word":
            self.check(call)
        return call
