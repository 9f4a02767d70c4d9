"""ADQL 2.0 and 2.1: from the text of a query to PostgreSQL with pgSphere, and what its result means."""

from km3vo.adql.capabilities import FEATURES, FUNCTIONS, Feature
from km3vo.adql.parser import parse
from km3vo.adql.query_tables import QueryTable, QueryTables, texts_of
from km3vo.adql.translate import Translation, translate

__all__ = [
    "FEATURES",
    "FUNCTIONS",
    "Feature",
    "QueryTable",
    "QueryTables",
    "Translation",
    "parse",
    "texts_of",
    "translate",
]
