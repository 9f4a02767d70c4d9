"""The list of all routes, each with what is asked of it: a route that is not on it fails the suite.

Whoever adds a route adds a line here: the addresses and parameters by which it shows most of what it knows. Every
address is asked with every method. A route that says nothing without credentials gets the reason instead, as a text.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from fastapi import FastAPI
from starlette.routing import compile_path

from km3vo.alerts.documents import FORMS
from km3vo.app import TAP_PREFIXES
from km3vo.web.events import FORMS as EVENT_FORMS
from tests.embargo.differential.question import Question
from tests.support.server import patterns

METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE")
Parameters = dict[str, str]
# The parameters of each question at an address; or why there is none.
Addresses = dict[str, tuple[Parameters, ...]]
Asked = Addresses | str

NOTHING: tuple[Parameters, ...] = ({},)
CORRELATION = {"EVENTS": "lab.events", "CATALOGUE": "lab.known", "METHOD": "likelihood", "SCRAMBLES": "3"}
CONE = {"RA": "10", "DEC": "20", "SR": "5"}
QUERY = {"LANG": "ADQL", "QUERY": "SELECT COUNT(*), MAX(mjd), MIN(energy) FROM lab.events"}
# What ties alerts to events, and what would count or fail on rows of links that are not to be seen.
ALERT_QUERIES = [
    {"LANG": "ADQL", "QUERY": query}
    for query in (
        "SELECT * FROM km3net.alerts",
        "SELECT * FROM km3net.alerts_latest WHERE DISTANCE(POINT(ra, dec), POINT(94.3, -7.8)) < err90",
        "SELECT * FROM km3net.alert_events_online NATURAL JOIN km3net.alert_counterparts",
        "SELECT * FROM km3net.alert_links",
        "SELECT event_name, COUNT(*), MAX(obs_time) FROM km3net.alert_links GROUP BY event_name",
        "SELECT alert_key, link_id FROM km3net.alerts AS a LEFT JOIN km3net.alert_links AS l "
        "ON a.event_name = l.event_name",
        "SELECT a.alert_key, e.* FROM km3net.alerts AS a JOIN km3net.alert_links AS l ON a.event_name = l.event_name "
        "JOIN lab.events AS e ON e.event_id = l.event_id",
        "SELECT event_name FROM km3net.alerts AS a WHERE NOT EXISTS "
        "(SELECT 1 FROM km3net.alert_links AS l WHERE l.event_name = a.event_name AND l.event_id <> 'e17')",
        "SELECT CAST(event_id AS INTEGER) FROM km3net.alert_links WHERE event_id = 'nothing'",
        "SELECT e.event_id, a.alert_key FROM lab.events AS e JOIN km3net.alerts AS a "
        "ON e.mjd BETWEEN a.mjd - 9 AND a.mjd + 9",
        "SELECT * FROM km3net.candidates",
        "SELECT * FROM km3net.alert_links_embargo",
        "SELECT * FROM km3net.candidates_public",
    )
]
CONDITIONS = (
    "EXISTS (SELECT 1 FROM km3net.alert_links AS l WHERE l.event_name = alerts.event_name AND l.event_id <> 'e17')",
    "ra < (nonsense",
    "1 / (revision - 1) > 0",
    "EXISTS (SELECT 1 FROM lab.events_embargo)",
)
ALERT_TABLES = ("alerts", "alerts_latest", "alert_links", "candidates")
PRODUCT = {"LANG": "ADQL", "QUERY": "SELECT * FROM ivoa.obscore NATURAL JOIN ivoa.obscore_hea"}
# Tables of each kind: embargoed with a position, embargoed without, public; and names that must not exist.
TABLES = ("events", "alerts", "known")
PRODUCTS = ("ivoa/obscore", "ivoa/obscore_hea")
NO_TABLES = ("none", "events_embargo", "events_public", "events_observed")
FILES = ("parquet", "fits", "vot", "csv", "ecsv", "csv.sha256", "json")
JOB = "/async/{id}"
# Public, under embargo, and not there.
EVENTS = ("e17", "h5", "secret1", "none")
EVENING = {"date": "2026-01-15"}  # not the one of now, which may end meanwhile
ALERTS = ("KM3-230213A", "TEST-KM3-230213A", "KM3-230213B", "none")


def names(
    pattern: str, tables: Iterable[str] = (*TABLES, *NO_TABLES), parameters: Iterable[Parameters] = NOTHING
) -> Addresses:
    """An address for each table."""
    return {pattern.format(name): tuple(parameters) for name in tables}


def uws(prefix: str, question: Parameters) -> dict[str, Asked]:
    """The routes of jobs. What they say of jobs that are there, test_asynchronous_jobs and test_correlations ask."""
    jobs = ("", "/phase", "/parameters", "/quote", "/owner", "/executionduration", "/destruction", "/error", "/results")
    return {
        f"{prefix}/async": {f"{prefix}/async": ({}, question, {"LAST": "3"}, {"PHASE": "COMPLETED"})},
        **{f"{prefix}{JOB}{part}": {f"{prefix}/async/x{part}": NOTHING} for part in (*jobs, "/results/result")},
        f"{prefix}{JOB}/uploads/{{name}}": {f"{prefix}/async/x/uploads/mine": NOTHING},
    }


def tap(prefix: str) -> dict[str, Asked]:
    """The routes of a TAP service."""
    return {
        f"{prefix}/sync": {
            f"{prefix}/sync": (
                *({}, QUERY, PRODUCT, QUERY | {"QUERY": "SELECT"}, {"REQUEST": "getCapabilities"}),
                *ALERT_QUERIES,
            )
        },
        f"{prefix}/check": {f"{prefix}/check": ({}, QUERY, QUERY | {"QUERY": "SELECT * FROM lab.events_embargo"})},
        f"{prefix}/schema.json": {f"{prefix}/schema.json": NOTHING},
        **uws(prefix, QUERY),
        f"{prefix}/deletejobs": {f"{prefix}/deletejobs": ({}, {"JOB_IDS": "x,y"})},
        f"{prefix}/examples": {f"{prefix}/examples": NOTHING},
        **vosi(prefix),
    }


def vosi(prefix: str) -> dict[str, Asked]:
    """What every service tells of itself (VOSI 1.1)."""
    return {
        f"{prefix}/capabilities": {f"{prefix}/capabilities": NOTHING},
        f"{prefix}/availability": {f"{prefix}/availability": ({}, {"detail": "max"})},
        f"{prefix}/tables": {f"{prefix}/tables": ({}, {"detail": "min"}, {"detail": "max"}, {"tables": "lab.events"})},
        f"{prefix}/tables/{{name}}": names(f"{prefix}/tables/lab.{{}}", (*TABLES, *NO_TABLES))
        | names(f"{prefix}/tables/km3net.{{}}", ALERT_TABLES),
    }


def cones(path: str) -> dict[str, Asked]:
    """The cone search of a table, and what it tells of itself."""
    asked: tuple[Parameters, ...] = (
        {},
        CONE,
        CONE | {"VERB": "3", "MAXREC": "20000"},
        CONE | {"SR": "0"},
        CONE | {"SR": "180"},
        {"RA": "94", "DEC": "-8", "SR": "5"},
    )
    return {path: {path: asked}, **vosi(path)}


def harvests() -> tuple[Parameters, ...]:
    """Requests to the publishing registry."""
    records = [{"metadataPrefix": prefix} for prefix in ("ivo_vor", "oai_dc")]
    one = {"verb": "GetRecord", "metadataPrefix": "ivo_vor"}
    return (
        {},
        {"verb": "Identify"},
        {"verb": "ListSets"},
        {"verb": "ListMetadataFormats"},
        *({"verb": verb} | record for verb in ("ListRecords", "ListIdentifiers") for record in records),
        {"verb": "ListRecords", "metadataPrefix": "ivo_vor", "from": "2020-01-01"},
        *(one | {"identifier": f"ivo://km3net.org/lab/{table}"} for table in TABLES),
        *(one | {"identifier": f"ivo://km3net.org/km3net/{table}"} for table in ALERT_TABLES),
    )


CONES = ("/scs/lab/events", "/scs/lab/known", "/scs/km3net/alerts_latest")

ROUTES: dict[str, Asked] = {
    **{path: asked for prefix in TAP_PREFIXES for path, asked in tap(prefix).items()},
    **{path: asked for cone in CONES for path, asked in cones(cone).items()},
    "/scs/km3net/alerts": {"/scs/km3net/alerts": ({}, {"RA": "94", "DEC": "-8", "SR": "5"})},
    **uws("/correlate", CORRELATION),
    f"/correlate{JOB}/results/{{name}}": {"/correlate/async/x/results/pairs": NOTHING},
    # What is asked by POST runs as a job: test_correlations looks at what comes out.
    "/correlate": {"/correlate": ({}, {"EVENTS": "lab.events"})},
    "/correlate/{id}": {"/correlate/x": NOTHING},
    "/configurations": {"/configurations": NOTHING},
    "/configurations.json": {"/configurations.json": NOTHING},
    "/configurations.{form}": {f"/configurations.{form}": NOTHING for form in ("csv", "vot", "none")},
    # test_maps makes maps, and asks for every file.
    "/skymaps": {"/skymaps": NOTHING},
    "/skymaps.json": {"/skymaps.json": NOTHING},
    "/skymaps/{schema}/{file}": names("/skymaps/lab/{}.fits"),
    "/maps/{schema}/{file}": names(
        "/maps/lab/{}",
        (*TABLES, *NO_TABLES, "events.json", "events.png", "events.hottest.moc.fits"),
        ({"of": "density", "ra": "10", "dec": "20"}, {"at.x": "100", "at.y": "80"}),
    ),
    "/response/{schema}/{file}": names("/response/lab/{}.fits"),
    "/hips/{schema}/{table}/{path:path}": names("/hips/lab/{}/properties"),
    "/": {"/": NOTHING},
    "/api": {"/api": NOTHING},
    "/openapi.json": {"/openapi.json": NOTHING},
    "/index.json": {"/index.json": NOTHING},
    "/licences": {"/licences": NOTHING},
    "/static": {"/static/style.css": NOTHING, "/static/none": NOTHING},
    "/tap": {"/tap": NOTHING},
    # What is asked by POST runs as a job, like those of /tap/async.
    "/query": {"/query": ({}, {"sql": "SELECT * FROM lab.events"})},
    "/jobs/{id}": {"/jobs/x": NOTHING},
    "/browse": {"/browse": NOTHING},
    "/browse/{schema}": {f"/browse/{name}": NOTHING for name in ("lab", "lab.json", "none")},
    "/browse/{schema}/{table}": names("/browse/lab/{}", (*TABLES, *(f"{name}.json" for name in TABLES), *NO_TABLES))
    | names("/browse/{}.json", (*PRODUCTS, *(f"km3net/{name}" for name in ALERT_TABLES)))
    | names("/browse/km3net/{}", ALERT_TABLES),
    "/browse/{schema}/{table}/search": names(
        "/browse/lab/{}/search",
        parameters=(
            {},
            {"target": "10 20", "radius": "5", "sort": "mjd"},
            *({"target": name} for name in ("e17", "e40", "h17")),
            {"c.energy": ">1 TeV", "c.mjd": "x"},
            {"target": "10 20", "c.mjd": "50000..60000", "run": "1"},
        ),
    ),
    "/cite/{schema}/{file}": names(
        "/cite/lab/{}", [f"{name}.{form}" for name in TABLES for form in ("bib", "datacite.json", "jsonld", "none")]
    ),
    "/coverage/{schema}/{table}": names(
        "/coverage/lab/{}", parameters=({}, {"format": "ascii"}, {"format": "json"}, {"format": "svg"})
    ),
    "/datalink": {
        "/datalink": (
            {},
            *({"ID": f"ivo://km3net.org/lab/{name}"} for name in (*TABLES, *NO_TABLES)),
            *({"ID": f"ivo://km3net.org/km3net/{name}"} for name in ALERT_TABLES),
            *({"ID": f"ivo://km3net.org/VOEvent#KM3-230213A_{number}"} for number in (1, 2, 3)),
        )
    },
    "/auxiliary/{schema}/{table}/{name}": names("/auxiliary/lab/{}/area.fits"),
    "/download/{schema}/{file}": names(
        "/download/lab/{}",
        (*TABLES, *NO_TABLES, *(f"{name}.{form}" for name in TABLES for form in FILES)),
        ({}, {"edition": "1"}),
    )
    | names("/download/km3net/{}", [f"{name}.{form}" for name in ALERT_TABLES for form in ("csv", "json")]),
    "/download/{schema}/{table}/{file}": names(
        "/download/lab/{}",
        [f"{name}/{number}" for name in TABLES for number in ("1.csv", "1.parquet", "2.csv", "9.fits")],
    ),
    "/alerts": {
        "/alerts": (
            {},
            {"test": "1"},
            {"ra": "94", "dec": "-8"},
            {"text": "muon", "sort": "far", "page": "1"},
            {"since": "x"},
        )
    },
    "/alerts.json": {"/alerts.json": ({}, {"test": "1"})},
    "/alerts/heartbeat": {"/alerts/heartbeat": NOTHING},
    "/alerts/schema.json": {"/alerts/schema.json": NOTHING},
    "/alerts/feed.atom": {"/alerts/feed.atom": ({}, {"test": "1"}, {"state": "update"})},
    "/alerts/stream": {
        "/alerts/stream": ({"follow": "0", "last": "0"}, {"follow": "0", "last": "0", "test": "1"}, {"last": "x"})
    },
    "/alerts/subscribe": {
        # What would count or find embargoed events, if a condition could: whether it is one is all that is said.
        "/alerts/subscribe": ({}, *({"where": where} for where in CONDITIONS), {"address": "ada@example.org"})
    },
    "/alerts/subscriptions/{token}": {"/alerts/subscriptions/x": NOTHING},
    "/alerts/{alert}": {
        f"/alerts/{name}": (EVENING,) for name in (*ALERTS, *(f"{ALERTS[0]}.{form}" for form in FORMS))
    },
    "/alerts/{alert}/{revision}": {
        f"/alerts/{ALERTS[0]}/{number}.{form}": ({}, {"version": "2.1"}) for number in (1, 2, 3) for form in FORMS
    },
    "/events": {"/events": ({}, *({"id": id, "table": "lab.events"} for id in EVENTS), *({"id": id} for id in EVENTS))},
    "/events/{id}": {f"/events/{id}": NOTHING for id in EVENTS},
    "/events/{schema}/{table}/{id:path}": names(
        "/events/lab/{}/e17", (*TABLES, *NO_TABLES), (EVENING, EVENING | {"radius": "45"})
    )
    | {f"/events/lab/events/{id}": (EVENING, *(EVENING | {"format": form} for form in EVENT_FORMS)) for id in EVENTS}
    | {f"/events/lab/alerts/{number}": ({}, {"format": "json"}) for number in ("7", "107", "07")}
    | {"/events/ivoa/obscore/ivo://km3net.org/lab/events": NOTHING},
    "/visibility.json": {"/visibility.json": ({}, {"ra": "10", "dec": "20", "radius": "5"} | EVENING)},
    "/oai": {"/oai": harvests()},
    "/healthz": {"/healthz": NOTHING},
    "/readyz": {"/readyz": NOTHING},
    "/login": {"/login": ({}, {"username": "ada", "password": "wrong"})},
    # Without a provider nobody can log in; with one test_sessions.py asks.
    "/auth/login": {"/auth/login": ({}, {"next": "/browse/lab/events"})},
    "/auth/callback": {"/auth/callback": ({}, {"state": "x", "code": "x"})},
    "/auth/logout": {"/auth/logout": NOTHING},
    "/auth/view": {"/auth/view": ({}, {"as": "public", "next": "/browse/lab/events"})},
}
# Where nothing is to be found in tests/embargo/schemas, without credentials or without a job.
NEVER_FOUND = {path for path in ROUTES if JOB in path} | {
    *("/auth/login", "/auth/callback", "/auth/logout", "/auth/view"),
    "/alerts/subscriptions/{token}",
    *("/alerts/heartbeat", "/auxiliary/{schema}/{table}/{name}", "/correlate/{id}", "/jobs/{id}", "/login"),
    "/skymaps/{schema}/{file}",
    "/hips/{schema}/{table}/{path:path}",
    "/response/{schema}/{file}",
    "/events/{id}",  # e17 is in two tables
}
BESIDE = ("/no/such/page", "/robots.txt", "/favicon.ico", "/tap//sync", "/browse/lab/", "/auth/tap/capabilities")


def unlisted(app: FastAPI) -> set[str]:
    """The routes of an application that are not on the list."""
    return patterns(app) - set(ROUTES)


def pattern_of(path: str) -> str | None:
    """The route that an address belongs to: of several the one that names most of it."""
    fitting = [
        pattern
        for pattern in ROUTES
        if compile_path(pattern)[0].match(path) or (pattern == "/static" and path.startswith("/static/"))
    ]
    return min(fitting, key=lambda pattern: pattern.count("{"), default=None)


def makes_files(path: str) -> bool:
    """Whether what is asked at an address decides what is answered at others: which files of a list were made."""
    return path.startswith("/download/")


def telling() -> list[Question]:
    """The addresses that tell something of the tables, each asked once."""
    twin = TAP_PREFIXES[1]
    return [
        question
        for question in questions()
        if question.method == "GET" and not question.path.startswith(twin) and not question.path.endswith(NO_TABLES)
    ]


def one_of_each() -> list[Question]:
    """A question of each route that tells something, the last of its list: it asks for most."""
    return list({pattern_of(question.path): question for question in telling()}.values())


def questions() -> Iterator[Question]:
    """Every address of the list with every method, and addresses beside it.

    Those that make files come first: answers about files depend on which were made.
    """
    for _, asked in sorted(ROUTES.items(), key=lambda route: not makes_files(route[0])):
        if isinstance(asked, str):
            continue
        for address, choices in asked.items():
            for parameters in choices:
                yield Question("GET", address, parameters)
                yield Question("POST", address, parameters)
            yield from (Question(method, address, choices[0]) for method in METHODS if method not in ("GET", "POST"))
    yield from (Question("GET", address) for address in BESIDE)
