"""A revision in each form that can be asked for by the ending of its address."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable

from km3vo.alerts.messages import mail, notice, voevent
from km3vo.alerts.revision import Revision
from km3vo.errors import NotFoundError
from km3vo.settings import Settings

FORMS = {
    "json": "application/json",
    "xml": "application/xml",
    "txt": "text/plain",
    "fits": "application/fits",
    "fits.gz": "application/gzip",
    "moc.fits": "application/fits",
    "png": "image/png",
}
MAPS = 32  # sky maps that are remembered; each takes half a second to make, and 100 kB


class Documents:
    """Writes the documents of alerts, and remembers the last sky maps."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._maps: OrderedDict[tuple[str, str], bytes] = OrderedDict()
        self._lock = threading.Lock()

    def write(
        self, revision: Revision, form: str, version: voevent.Version = "2.0", skymap: bytes | None = None
    ) -> bytes:
        """A revision in one of ``FORMS``. Blocks for a second when a sky map has to be made.

        Args:
            version: of VOEvent, for ``xml``.
            skymap: the file that the pipeline sent, for a sky map.

        Raises:
            NotFoundError: a sky map is asked for, and there is no position.
        """
        if form == "json":
            return notice.document(revision, self._settings)
        if form == "xml":
            return voevent.packet(revision, self._settings, version)
        if form == "txt":
            return mail.text(revision, self._settings).encode()
        if revision.ra is None:
            raise NotFoundError(f"{revision.event_name} has no position, and so no sky map.")
        from km3vo.alerts.skymaps import files, picture  # numpy and astropy

        if form == "fits.gz":
            return files.packed(self.write(revision, "fits", skymap=skymap))
        if form == "fits":
            return self._map(revision, form, lambda: files.document(revision, skymap))
        if form == "png":
            return self._map(revision, form, lambda: picture.document(revision, skymap))
        return self._map(revision, form, lambda: files.region_document(revision, 0.9, skymap))

    def _map(self, revision: Revision, form: str, make: Callable[[], bytes]) -> bytes:
        key = revision.key, form
        with self._lock:
            known = self._maps.get(key)
        if known is None:
            known = make()
            with self._lock:
                self._maps[key] = known
                while len(self._maps) > MAPS:
                    self._maps.popitem(last=False)
        return known
