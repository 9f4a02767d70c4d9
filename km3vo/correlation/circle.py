"""Circles around sources."""

from __future__ import annotations

from dataclasses import dataclass

from km3vo.correlation.containment import factor
from km3vo.correlation.sphere import Floats
from km3vo.errors import ParameterError


@dataclass(frozen=True, slots=True)
class Circle:
    """Which separation still makes a pair.

    Attributes:
        share: of the combined error circle of event and source, such as 0.9; None for a fixed radius.
        degrees: the fixed radius, or the largest that an error circle may have.
    """

    share: float | None = 0.9
    degrees: float = 10.0

    def __post_init__(self) -> None:
        if self.share is not None:
            factor(self.share)
        if not 0 < self.degrees <= 60:
            raise ParameterError("A radius is above 0 and up to 60 degrees.")

    def bounds(self, squares: Floats) -> tuple[float, float, float]:
        """As the compiled loops want it: largest σ² of an event, combined σ of the radius (0 for a fixed one), degrees.

        Floats, since they are compiled by type.
        """
        return float(squares.max(initial=0)), 0.0 if self.share is None else factor(self.share), float(self.degrees)
