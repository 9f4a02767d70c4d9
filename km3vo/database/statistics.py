"""Functions of statistics and of pixels in a database, in schema `public` (statistics.sql)."""

from __future__ import annotations

from importlib import resources
from typing import Any

import psycopg

# What queries call, and what these call.
OFFERED = ("km3_sigma", "km3_psf", "km3_containment", "km3_poisson_p", "km3_lima", "km3_binomial_p", "km3_healpix")
BEHIND = ("km3_stirling_rest", "km3_deviance", "km3_exp")


def ensure(connection: psycopg.Connection[Any]) -> None:
    """Make the functions, or bring them up to date. ``connection`` is the administrator's."""
    connection.execute(resources.files(__package__).joinpath("statistics.sql").read_text())
