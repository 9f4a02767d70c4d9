"""Simulated events: what the demonstration shows where no real ones may be shown, or none are at hand."""

from km3vo.simulation.events import events
from km3vo.simulation.lists import is_known, look_alike, simulate

__all__ = ["events", "is_known", "look_alike", "simulate"]
