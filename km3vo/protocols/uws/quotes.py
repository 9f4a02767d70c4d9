"""When a job is expected to have ended (UWS 1.1 §2.1.6).

Made of what the public may know: the planner's estimate from public rows, the public's own queue, the job's time limit.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from km3vo import times
from km3vo.jobs.job import Job, Standing
from km3vo.settings import Settings

UNKNOWN_SECONDS = 600.0  # of a long job of which nothing is known


def expected_end(job: Job, standing: Standing | None, settings: Settings) -> datetime | None:
    """When the job is expected to have ended; None when it has, or waits for its owner.

    Args:
        job: which.
        standing: how it stands in the queue; None when it is not there.
        settings: say how many run at once.
    """
    limits = settings.limits
    usual = limits.short_seconds if job.lane == "short" else UNKNOWN_SECONDS
    own = min(job.estimate if job.estimate is not None else usual, job.seconds)
    if job.phase == "EXECUTING" and job.started is not None:
        latest = job.started + timedelta(seconds=job.seconds)
        return min(max(job.started + timedelta(seconds=own), times.now()), latest)
    if job.phase == "QUEUED" and standing is not None:
        slots = settings.workers * (limits.jobs_short if job.lane == "short" else limits.jobs_running)
        return times.now() + timedelta(seconds=standing.ahead / slots + own)
    return None
