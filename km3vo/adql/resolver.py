"""What the parts of the resolver need of one another, so that none has to import the other.

Values hold functions, and functions hold values; conditions and tables hold queries, which hold both.
"""

from __future__ import annotations

from typing import Protocol

from km3vo.adql.scope import Scope
from km3vo.adql.subquery import ResolvedQuery
from km3vo.adql.tree import Aggregate, Call, Node, Query, ValueNode
from km3vo.adql.value import Value
from km3vo.errors import AdqlError


class ValueResolver(Protocol):
    """Resolves values; what the functions of ADQL are given to resolve their arguments with (km3vo/adql/values.py)."""

    def error(self, node: Node, message: str, hint: str = "") -> AdqlError:
        """An error about a part of the query, to be raised by the caller."""

    def value(self, node: ValueNode, scope: Scope) -> Value:
        """Resolve a value. Raises AdqlError when it means nothing in this scope."""

    def number(self, node: ValueNode, scope: Scope) -> Value:
        """Resolve a value that has to be a number; a boolean counts as 0 or 1. Raises AdqlError when it is none."""

    def in_aggregate(self, node: Aggregate | Call, arguments: list[ValueNode], scope: Scope) -> list[Value]:
        """Resolve the arguments of an aggregate. Raises AdqlError where there can be none."""


class QueryResolver(Protocol):
    """Resolves queries; what conditions and FROM are given for their subqueries (km3vo/adql/queries.py)."""

    def query(self, node: Query, outer: Scope | None, *, hidden: bool = True, shown: bool = False) -> ResolvedQuery:
        """Resolve a query.

        Args:
            node: the query.
            outer: the scope around it, if it may name columns of that.
            hidden: whether it is to have hidden columns, for the query around.
            shown: whether its columns are those of the result, called as the user wrote.
        """
