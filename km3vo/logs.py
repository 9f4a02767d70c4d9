"""What the service writes down while it runs: readable lines on a terminal, JSON lines otherwise.

Every line that is written while a request is answered bears the request's id, in whatever thread; a run of a job has an
id as well. What goes into lines never holds events, queries' values or tokens.
"""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from contextvars import ContextVar, copy_context
from datetime import UTC, datetime
from typing import Any, TypeVar

import orjson

from km3vo.errors import Km3voError
from km3vo.settings import Log
from km3vo.terminal import visible

# The id of the request that is being answered, or of the run of a job; "" outside of them.
request_id: ContextVar[str] = ContextVar("request_id", default="")

T = TypeVar("T")

# Speak at INFO of every address that they visit, with its parameters.
# Not astropy: a logger of that name made before astropy is imported keeps astropy from being imported at all.
_TALKATIVE = ("httpx", "httpcore", "alembic", "asyncio")


def configuration(settings: Log) -> dict[str, Any]:
    """For ``logging.config.dictConfig``, and so for uvicorn, which configures each of its processes with it."""
    form = settings.format if settings.format != "auto" else "text" if sys.stderr.isatty() else "json"
    formatter = {"text": "km3vo.logs.Text", "json": "km3vo.logs.Json"}[form]
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "filters": {"noise": {"()": "km3vo.logs.WithoutNoise"}},
        "formatters": {"line": {"()": formatter}},
        "handlers": {
            "stderr": {"class": "logging.StreamHandler", "formatter": "line", "filters": ["noise"]},
        },
        "root": {"level": settings.level.upper(), "handlers": ["stderr"]},
        "loggers": {name: {"level": "WARNING"} for name in _TALKATIVE},
    }


class Threads(ThreadPoolExecutor):
    """Threads that work in the context of whoever gives them work, and so write its request's id into their lines."""

    def submit(self, work: Callable[..., T], /, *arguments: Any, **named: Any) -> Future[T]:
        """Have a thread do some work, as `ThreadPoolExecutor.submit`."""
        return super().submit(copy_context().run, work, *arguments, **named)


def text_of(error: Km3voError) -> str:
    """The text of an error for an answer; of one that is not the client's fault with the id of the request."""
    return with_request(str(error)) if error.status >= 500 else str(error)


def with_request(text: str) -> str:
    """A text for an answer with the id of the request, by which its lines are found in the log."""
    request = request_id.get()
    return f"{text} (request {request})" if request else text


class WithoutNoise(logging.Filter):
    """Leaves out what uvicorn says of answers that are broken off: exchange.py says why they were."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Whether a record is to be written."""
        return not (record.name == "uvicorn.error" and str(record.msg).startswith("ASGI callable returned without"))


class Json(logging.Formatter):
    """One JSON object a line."""

    def format(self, record: logging.LogRecord) -> str:
        """The line of a record."""
        line: dict[str, Any] = {
            "time": datetime.fromtimestamp(record.created, UTC),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        if request := request_id.get():
            line["request"] = request
        line.update(getattr(record, "fields", ()))
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return orjson.dumps(line, default=str, option=orjson.OPT_UTC_Z).decode()


class Text(logging.Formatter):
    """A line for people, with the rest of what is known at its end; a traceback below it."""

    def format(self, record: logging.LogRecord) -> str:
        """The line of a record."""
        time = datetime.fromtimestamp(record.created, UTC).strftime("%H:%M:%S.%f")[:-3]
        parts = [time, f"{record.levelname:<7}", _shown(record.getMessage())]
        parts += [f"{name}={_shown(str(value))}" for name, value in getattr(record, "fields", {}).items()]
        if request := request_id.get():
            parts.append(f"[{request}]")
        line = " ".join(parts)
        return f"{line}\n{self.formatException(record.exc_info)}" if record.exc_info else line


def _shown(text: str) -> str:
    return text if text.isascii() and text.isprintable() else visible(text)
