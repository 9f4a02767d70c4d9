"""km3vo: the Virtual Observatory service for the events of KM3NeT."""

__version__ = "0.1.0"
