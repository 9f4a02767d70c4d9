"""The documents of UWS 1.1: a job, a list of jobs, parameters and results, valid against UWS-v1.1.xsd."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime

from lxml import etree
from lxml.builder import ElementMaker

from km3vo.protocols.upload import split
from km3vo.results.xmltext import permitted
from km3vo.store.jobs import Job

UWS = "http://www.ivoa.net/xml/UWS/v1.0"
XLINK = "http://www.w3.org/1999/xlink"
XSI = "http://www.w3.org/2001/XMLSchema-instance"
NAMESPACES = {"uws": UWS, "xlink": XLINK, "xsi": XSI}
HREF = f"{{{XLINK}}}href"
VERSION = "1.1"

uws = ElementMaker(namespace=UWS, nsmap=NAMESPACES)
plain = ElementMaker()  # what the standard does not know, in no namespace: validators want a schema for any other


def time_text(time: datetime | None) -> str:
    """A time as DALI writes it: UTC, with milliseconds and a Z; empty when there is none."""
    if time is None:
        return ""
    return time.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%f")[:-3] + "Z"


def job_document(job: Job, url: str) -> bytes:
    """A job (UWS 1.1 §2.1); ``url`` is its own."""
    root = uws.job(
        uws.jobId(job.id), *_runid(job), _owner(job), uws.phase(job.phase), _nil("quote", None), version=VERSION
    )
    root.append(uws.creationTime(time_text(job.created)))
    root.append(_nil("startTime", job.started))
    root.append(_nil("endTime", job.ended))
    root.append(uws.executionDuration(str(job.seconds)))
    root.append(uws.destruction(time_text(job.destruction)))
    root.append(_parameters(job, url))
    root.append(_results(job, url))
    if job.error is not None:
        kind = "transient" if job.transient else "fatal"
        root.append(uws.errorSummary(uws.message(permitted(job.error)), type=kind, hasDetail="true"))
    if job.started is not None:
        info = uws.jobInfo(plain.rows(str(job.rows)))
        if job.phase == "COMPLETED":
            info.append(plain.overflow("true" if job.overflow else "false"))
        root.append(info)
    return _document(root)


def jobs_document(jobs: Iterable[Job], url: str) -> bytes:
    """A list of jobs (UWS 1.1 §2.2.2.1); ``url`` is the list's."""
    root = uws.jobs(version=VERSION)
    for job in jobs:
        reference = uws.jobref(uws.phase(job.phase), *_runid(job), _owner(job), id=job.id)
        reference.append(uws.creationTime(time_text(job.created)))
        reference.set(HREF, f"{url}/{job.id}")
        root.append(reference)
    return _document(root)


def parameters_document(job: Job, url: str) -> bytes:
    """The parameters of a job."""
    return _document(_parameters(job, url))


def results_document(job: Job, url: str) -> bytes:
    """The results of a job: one when it completed, else none."""
    return _document(_results(job, url))


def _parameters(job: Job, url: str) -> etree._Element:
    element = uws.parameters()
    uploads = [value for name, value in job.parameters if name == "UPLOAD"]
    for name, value in job.parameters:
        if name != "UPLOAD":
            element.append(uws.parameter(permitted(value), id=permitted(name)))
    if uploads:
        # In one parameter, since names must not repeat here; tables that came with the request lie under the job.
        shown = [f"{r.name},{url}/uploads/{r.name}" if r.label is not None else str(r) for r in split(uploads)]
        element.append(uws.parameter(permitted(";".join(shown)), id="UPLOAD"))
    return element


def _results(job: Job, url: str) -> etree._Element:
    element = uws.results()
    if job.phase == "COMPLETED":
        result = uws.result(id="result")
        result.set(HREF, f"{url}/results/result")
        result.set("mime-type", job.content_type or "")
        result.set("size", str(job.size))
        element.append(result)
    return element


def _runid(job: Job) -> list[etree._Element]:
    return [uws.runId(permitted(value)) for name, value in job.parameters if name == "RUNID"][:1]


def _owner(job: Job) -> etree._Element:
    if job.owner is None:
        return uws.ownerId({f"{{{XSI}}}nil": "true"})
    return uws.ownerId(permitted(job.owner))


def _nil(name: str, time: datetime | None) -> etree._Element:
    return uws(name, {f"{{{XSI}}}nil": "true"}) if time is None else uws(name, time_text(time))


def _document(root: etree._Element) -> bytes:
    return bytes(etree.tostring(root, xml_declaration=True, encoding="UTF-8", pretty_print=True))
