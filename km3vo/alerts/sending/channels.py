"""Where alerts are sent: the operator's file of channels."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

import yaml
from pydantic import BaseModel, ConfigDict, Field, model_validator

from km3vo.alerts.messages import mail, notice, voevent
from km3vo.alerts.revision import Revision
from km3vo.alerts.standard import Tense
from km3vo.errors import SetupError
from km3vo.settings import Settings
from km3vo.yamlfiles import told_of

LOCAL = ("localhost", "127.0.0.1", "::1")
MAILING = ("mail", "subscriptions", "operators")
APART = ("subscriptions", "operators")  # nothing lies in the outbox for them
_TYPES = {"json": "application/json", "xml": "application/xml", "txt": "text/plain"}


class Channel(BaseModel):
    """One place to which alerts are sent.

    Attributes:
        name: for the log, and in the outbox; a channel that is renamed is another.
        kind: how they get there; ``subscriptions`` is the mail server for those who subscribed, and ``operators`` tells
            people what is wrong with the service.
        to: the topic (kafka), the addresses with commas between (mail), the URL (webhook), host:port (vtp).
        format: GCN notice, VOEvent or text; mails are texts and have the others attached.
        tenses: which alerts.
        detectors, pipelines: which alerts; none named is all.
        options: of the transport: librdkafka's for kafka; host, port, from, tls, user for mail.
        secrets: options whose values stand in files: name of the option → the file.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9-]{0,39}$")]
    kind: Literal["kafka", "mail", "webhook", "vtp", "subscriptions", "operators"]
    to: str = ""
    format: Literal["json", "xml", "txt"] = "json"
    tenses: tuple[Tense, ...] = ("current", "archival", "injection", "test")
    detectors: tuple[Literal["ARCA", "ORCA"], ...] = ()
    pipelines: tuple[str, ...] = ()
    options: dict[str, str | int | bool] = {}
    secrets: dict[str, Path] = {}

    @model_validator(mode="after")
    def _consistent(self) -> Channel:
        if self.kind != "subscriptions" and not self.to:
            raise ValueError("to says where alerts are sent")
        if self.kind == "webhook":
            place = urlsplit(self.to)
            if place.scheme != "https" and not (place.scheme == "http" and place.hostname in LOCAL):
                raise ValueError("a webhook is an https address")
        if self.kind == "vtp" and (self.format != "xml" or not re.fullmatch(r"[^:\s]+:\d+", self.to)):
            raise ValueError("vtp sends format: xml, to: host:port")
        if self.kind in MAILING and not {"host", "from"} <= self.options.keys():
            raise ValueError(f"{self.kind} needs options host and from")
        if self.kind == "kafka" and "bootstrap.servers" not in self.options:
            raise ValueError("kafka needs the option bootstrap.servers")
        return self

    def wants(self, revision: Revision) -> bool:
        """Whether a revision goes there."""
        return (
            self.kind not in APART
            and revision.tense in self.tenses
            and (not self.detectors or revision.detector in self.detectors)
            and (not self.pipelines or revision.pipeline in self.pipelines)
        )

    def payload(self, revision: Revision, settings: Settings) -> tuple[bytes, str]:
        """The bytes that are sent of a revision, and their media type."""
        if self.kind == "mail":
            attached = "" if self.format == "txt" else self.format
            letter = mail.message(revision, settings, sender=str(self.options["from"]), attached=attached)
            # Nobody learns who else gets it.
            letter["To"] = "undisclosed-recipients:;" if "," in self.to else self.to
            letter["List-Unsubscribe"] = f"<mailto:{settings.publisher.contact_email}?subject=unsubscribe>"
            return letter.as_bytes(policy=letter.policy.clone(linesep="\r\n")), "message/rfc822"
        write: dict[str, Callable[[Revision, Settings], bytes]] = {
            "json": notice.document,
            "xml": voevent.packet,
            "txt": lambda one, settings: mail.text(one, settings).encode(),
        }
        return write[self.format](revision, settings), _TYPES[self.format]

    def values(self) -> dict[str, Any]:
        """All options, those from files read anew. Raises SetupError when a file cannot be read."""
        return option_values(self.options, self.secrets, f"channel {self.name}")


def option_values(options: Mapping[str, str | int | bool], secrets: Mapping[str, Path], whose: str) -> dict[str, Any]:
    """Options, and beside them those whose values stand in files.

    Raises:
        SetupError: a file cannot be read.
    """
    found: dict[str, Any] = dict(options)
    for option, file in secrets.items():
        try:
            found[option] = file.read_text().strip()
        except (OSError, UnicodeDecodeError):
            raise SetupError(f"{whose}: the file with {option} cannot be read: {file}") from None
    return found


def read(settings: Settings) -> tuple[Channel, ...]:
    """The channels that the settings name, or none.

    Raises:
        SetupError: the file cannot be read, or is wrong.
    """
    file = settings.alerts.channels
    if file is None:
        return ()
    with told_of(file, "KM3VO_ALERTS_CHANNELS"):
        entries = yaml.safe_load(file.read_text()) or []
        if not isinstance(entries, list):
            raise SetupError(f"{file} holds no list of channels: begin each with - name:")
        channels = tuple(Channel.model_validate(entry) for entry in entries)
    names = [channel.name for channel in channels]
    if len(set(names)) < len(names):
        raise SetupError(f"{file}: two channels have the same name")
    return channels
