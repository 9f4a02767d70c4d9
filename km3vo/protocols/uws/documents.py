"""The documents of UWS 1.1: a job, a list of jobs, parameters and results, valid against UWS-v1.1.xsd."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from lxml import etree
from lxml.builder import ElementMaker

from km3vo import times
from km3vo.jobs.job import Job, Standing
from km3vo.jobs.runner import Other
from km3vo.protocols.tap.upload import split
from km3vo.registry.elements import XSI
from km3vo.results.xmltext import permitted

UWS = "http://www.ivoa.net/xml/UWS/v1.0"
XLINK = "http://www.w3.org/1999/xlink"
NAMESPACES = {"uws": UWS, "xlink": XLINK, "xsi": XSI}
HREF = f"{{{XLINK}}}href"
VERSION = "1.1"

uws = ElementMaker(namespace=UWS, nsmap=NAMESPACES)
plain = ElementMaker()  # what the standard does not know, in no namespace: validators want a schema for any other


def job_document(
    job: Job, url: str, standing: Standing | None = None, quote: datetime | None = None, others: Iterable[Other] = ()
) -> bytes:
    """A job (UWS 1.1 §2.1).

    Args:
        job: which.
        url: its own.
        standing: how it stands in the queue, if it is there.
        quote: when it is expected to have ended.
        others: files that it leaves beside its result.
    """
    root = uws.job(
        uws.jobId(job.id), *_runid(job), _owner(job), uws.phase(job.phase), _nil("quote", quote), version=VERSION
    )
    root.append(uws.creationTime(times.milliseconds(job.created)))
    root.append(_nil("startTime", job.started))
    root.append(_nil("endTime", job.ended))
    root.append(uws.executionDuration(str(job.seconds)))
    root.append(uws.destruction(times.milliseconds(job.destruction)))
    root.append(_parameters(job, url))
    root.append(_results(job, url, others))
    if job.error is not None:
        kind = "transient" if job.transient else "fatal"
        root.append(uws.errorSummary(uws.message(permitted(job.error)), type=kind, hasDetail="true"))
    if standing is not None:
        info = uws.jobInfo(plain.position(str(standing.position)), plain.queue(job.lane))
        if job.estimate is not None:
            info.append(plain.expectedSeconds(f"{job.estimate:.0f}"))
        root.append(info)
    elif job.started is not None:
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
        reference.append(uws.creationTime(times.milliseconds(job.created)))
        reference.set(HREF, f"{url}/{job.id}")
        root.append(reference)
    return _document(root)


def parameters_document(job: Job, url: str) -> bytes:
    """The parameters of a job."""
    return _document(_parameters(job, url))


def results_document(job: Job, url: str, others: Iterable[Other] = ()) -> bytes:
    """The results of a job: when it completed one, and the ``others``; else none."""
    return _document(_results(job, url, others))


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


def _results(job: Job, url: str, others: Iterable[Other]) -> etree._Element:
    element = uws.results()
    if job.phase == "COMPLETED":
        result = uws.result(id="result")
        result.set(HREF, f"{url}/results/result")
        result.set("mime-type", job.content_type or "")
        result.set("size", str(job.size))
        element.append(result)
        for other in others:
            result = uws.result(id=other.name)
            result.set(HREF, f"{url}/results/{other.name}")
            result.set("mime-type", other.content_type)
            element.append(result)
    return element


def _runid(job: Job) -> list[etree._Element]:
    return [uws.runId(permitted(value)) for name, value in job.parameters if name == "RUNID"][:1]


def _owner(job: Job) -> etree._Element:
    if job.owner is None:
        return uws.ownerId({f"{{{XSI}}}nil": "true"})
    return uws.ownerId(permitted(job.owner))


def _nil(name: str, time: datetime | None) -> etree._Element:
    return uws(name, {f"{{{XSI}}}nil": "true"}) if time is None else uws(name, times.milliseconds(time))


def _document(root: etree._Element) -> bytes:
    return bytes(etree.tostring(root, xml_declaration=True, encoding="UTF-8", pretty_print=True))
