"""What is wrong with the service, and what to type."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from km3vo.jobs.quota import RESERVE
from km3vo.operating.state import State
from km3vo.settings import Settings

FEW_SESSIONS = 0.9  # of those that there may be
STUCK = 300  # seconds that an alert may wait to be sent
LATE = 5  # pauses between two looks for due events


def of(state: State, settings: Settings) -> list[str]:
    """What is wrong, each with what to do about it; empty when nothing is."""
    troubles = list(state.wrong)
    if state.free < 2 * RESERVE:
        troubles.append(f"little room in {settings.home}: below 1 GiB nothing is written any more; make room")
    if state.wrong:
        return troubles
    if state.sessions > FEW_SESSIONS * state.most_sessions:
        troubles.append("almost all connections to PostgreSQL are in use: look at KM3VO_WORKERS and max_connections")
    if state.clock:
        troubles.append(f"nothing is released: {state.clock}; look, and type `km3vo release run --clock-checked`")
    late = datetime.now(UTC) - timedelta(seconds=LATE * settings.promote_seconds + 60)
    for table in state.tables:
        if settings.promote_seconds and table.due and (table.checked_at is None or table.checked_at < late):
            troubles.append(f"{table.due} events of {table.table} are due, and nobody looks: is the service running?")
        if table.doubled:
            troubles.append(f"{table.doubled} due events of {table.table} are public already: `km3vo release status`")
    for phase, lane, count, seconds in state.jobs:
        if phase == "QUEUED" and lane == "short" and seconds > 600:
            troubles.append(f"{count} short jobs wait, the oldest for {seconds:.0f} s: is the service running?")
    for channel, waiting, seconds, failed in state.channels:
        if seconds > STUCK:
            troubles.append(
                f"{waiting} alerts wait for {channel}, the oldest for {seconds:.0f} s: `km3vo alert channels`"
            )
        if failed:
            troubles.append(f"{failed} alerts were given up on {channel} within a day: `km3vo alert log`")
    if state.held:
        troubles.append(f"{state.held} alerts wait for a person: `km3vo alert held`")
    for pipeline, detector, seconds in state.heartbeats:
        if seconds > settings.alerts.silent_seconds:
            troubles.append(f"pipeline {pipeline} of {detector} was last heard {seconds:.0f} s ago: is it running?")
    return troubles
