"""The bytes of requests that are kept until they are answered, counted, so that uploads do not fill memory and disk."""

from __future__ import annotations

from threading import Lock

from km3vo.errors import FullError


class RequestQuota:
    """What this process keeps of requests until they are answered: ``most`` bytes at once."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._used = 0
        self._lock = Lock()  # files are read in threads

    @property
    def used(self) -> int:
        """Bytes that are kept."""
        return self._used

    def share(self) -> RequestShare:
        """The share of one request, empty as yet."""
        return RequestShare(self)

    def change(self, count: int) -> None:
        """Count bytes in or out.

        Raises:
            FullError: there is no room for them.
        """
        with self._lock:
            if count > 0 and self._used + count > self._most:
                raise FullError("the service holds as many uploaded tables as it can just now; try again in a minute")
            self._used += count


class RequestShare:
    """The bytes that are kept of one request."""

    def __init__(self, quota: RequestQuota) -> None:
        self._quota = quota
        self._reserved = 0

    def reserve(self, count: int) -> None:
        """Count ``count`` more bytes.

        Raises:
            FullError: the process keeps as many as it may.
        """
        self._quota.change(count)
        self._reserved += count

    def release(self) -> None:
        """Give all of them back: the request has been answered."""
        self._quota.change(-self._reserved)
        self._reserved = 0
