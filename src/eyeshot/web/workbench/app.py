"""The routes of the workbench. Every route is behind the guard."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import FileResponse, JSONResponse, PlainTextResponse, Response, StreamingResponse
from starlette.routing import Mount, Route

from eyeshot.ledger import ChangedMeanwhile, Ledger, experiment_curves, open_ledger
from eyeshot.web.bodies import NUMBER, page_of, read_body
from eyeshot.web.guard import Guard
from eyeshot.web.live_page import live_page
from eyeshot.web.workbench.answers import table_page, timeline_answer
from eyeshot.web.workbench.edits import KINDS, Edits
from eyeshot.web.workbench.expectations import expectations_answer
from eyeshot.web.workbench.experiment_answer import experiment_answer, run_file
from eyeshot.web.workbench.live_report import FORMATS, LANGUAGES, LiveReport
from eyeshot.web.workbench.live_review import LiveReview
from eyeshot.web.workbench.news import stream
from eyeshot.web.workbench.overview import overview_answer
from eyeshot.web.workbench.results import map_file, page_file
from eyeshot.web.workbench.tabs import TABS, picture_file, tab_answer

COMMAND = "eyeshot open"
MODULES = (
    "workbench", "overview", "results", "experiments", "table", "details", "editing", "charts", "timeline", "address",
    "words", "report", "document", "clash", "review",
)  # fmt: skip
MOST_CURVES = 10
# An exported page brings styles and scripts of its own, and may come from a colleague's project: in a sandbox it has no
# origin, so that the guard refuses whatever it asks for, and it can load nothing.
EXPORTED = {
    "Content-Security-Policy": (
        "sandbox allow-scripts; default-src 'none'; img-src data:; font-src data:; style-src 'unsafe-inline'; "
        "script-src 'unsafe-inline' 'unsafe-eval'; base-uri 'none'; form-action 'none'; frame-ancestors 'self'"
    ),
    "X-Frame-Options": "SAMEORIGIN",
    "Cache-Control": "no-store",
}


def make_workbench(
    root: Path,
    edits: Edits,
    *,
    token: str,
    port: int,
    stopping: Callable[[], bool] = lambda: False,
    live_report: LiveReport | None = None,
) -> Guard:
    """Build the application of the workbench.

    Args:
        root: the folder of the ledger, read anew for each request, since any program may write to it.
        edits: stores what is written.
        token: the first part of every path.
        port: the port of the server.
        stopping: whether the server is about to stop, which ends the streams.
        live_report: the report on its tab; None: one that is made from the project in the folder above `root`.
    """
    live_report = live_report or LiveReport(root)
    live_review = LiveReview(root, edits.author)

    def asked(make: Callable[[Ledger, Request], dict[str, Any]]) -> Callable[[Request], Response]:
        def answer(request: Request) -> Response:
            with open_ledger(root) as ledger:
                return JSONResponse(make(ledger, request))

        return answer

    def start(ledger: Ledger, request: Request) -> dict[str, Any]:
        return {"author": edits.author, "project": root.resolve().parent.name, "seq": ledger.last_seq()}

    def table(ledger: Ledger, request: Request) -> dict[str, Any]:
        offset, limit = page_of(request)
        return table_page(ledger, request.query_params, offset=offset, limit=limit)

    def experiment(ledger: Ledger, request: Request) -> dict[str, Any]:
        return experiment_answer(ledger, ledger.experiment(request.query_params.get("id", "")))

    def tab(ledger: Ledger, request: Request) -> dict[str, Any]:
        name = request.query_params.get("name", "")
        if name not in TABS:
            raise HTTPException(404, "There is no such tab.")
        return tab_answer(ledger, name)

    def report_now(ledger: Ledger, request: Request) -> dict[str, Any]:
        lang, since = language(request), number(request, "since")
        if request.query_params.get("make"):
            live_report.begin(ledger, lang)
        return live_report.answer(ledger, lang, since=since)

    def write_report(ledger: Ledger, request: Request) -> dict[str, Any]:
        lang = language(request)
        formats = [name for name in FORMATS if name in request.query_params.get("formats", "").split(",")]
        if not formats or not live_report.write(lang, formats):
            raise HTTPException(409, "The report is being made. Wait until it is there, then write it.")
        return live_report.answer(ledger, lang, since=number(request, "since"))

    def figure(request: Request) -> Response:
        found = live_report.figure(language(request), number(request, "version"), number(request, "place"))
        if found is None:
            raise HTTPException(404, "There is no such figure. Make the report anew.")
        return Response(found[0], media_type=found[1])

    def report_page(request: Request) -> Response:
        found = live_report.file(request.query_params.get("name", ""))
        if found is None:
            raise HTTPException(404, "There is no such file of the report. Write it first.")
        if found.suffix == ".html":
            return FileResponse(found, media_type="text/html", headers=EXPORTED)
        return FileResponse(found, filename=found.name)

    def review(request: Request) -> Response:
        if request.method == "POST":
            live_review.begin()
        return JSONResponse(live_review.answer())

    def page(request: Request) -> Response:
        found = page_file(root, request.query_params.get("of", ""), request.query_params.get("part", ""))
        if found is None:
            raise HTTPException(404, "There is no such page in this project. Run its command.")
        return FileResponse(found, media_type="text/html", headers=EXPORTED)

    def picture(request: Request) -> Response:
        found = picture_file(root)
        if found is None:
            raise HTTPException(404, "There is no picture of submissions yet.")
        return FileResponse(found, media_type="image/svg+xml")

    def map_picture(request: Request) -> Response:
        found = map_file(root, request.query_params.get("part", ""))
        if found is None:
            raise HTTPException(404, "There is no picture of this ranking.")
        return FileResponse(found, media_type="image/svg+xml")

    def file(request: Request) -> Response:
        asked_for = [request.query_params.get(name, "") for name in ("id", "run", "name")]
        with open_ledger(root) as ledger:
            text = run_file(ledger, ledger.experiment(asked_for[0]), *asked_for[1:])
        return PlainTextResponse(text)

    def curves(ledger: Ledger, request: Request) -> dict[str, Any]:
        ids = [name for name in request.query_params.get("ids", "").split(",") if name][:MOST_CURVES]
        return experiment_curves(ledger, ids, request.query_params.get("metric", "val_accuracy"))

    async def news(request: Request) -> Response:
        since = request.headers.get("last-event-id") or request.query_params.get("since", "0")
        if not NUMBER.match(since):
            raise HTTPException(422, "`since` must be a number.")
        return StreamingResponse(stream(root, int(since), stopping), media_type="text/event-stream")

    def press(kind: str) -> Callable[[Request], Awaitable[Response]]:
        async def answer(request: Request) -> Response:
            body = await read_body(request)
            return JSONResponse(await run_in_threadpool(edits.store, kind, body))

        return answer

    routes = [
        Route("/api/start", asked(start)),
        Route("/api/experiments", asked(table)),
        Route("/api/experiment", asked(experiment)),
        Route("/api/file", file),
        Route("/api/overview", asked(lambda ledger, request: overview_answer(ledger))),
        Route("/api/tab", asked(tab)),
        Route("/page", page),
        Route("/map.svg", map_picture),
        Route("/api/report", asked(report_now)),
        Route("/api/write", asked(write_report), methods=["POST"]),
        Route("/figure", figure),
        Route("/report-file", report_page),
        Route("/api/review", review, methods=["GET", "POST"]),
        Mount("/review/{number:int}", live_review),
        Route("/submissions.svg", picture),
        Route("/api/curves", asked(curves)),
        Route("/api/timeline", asked(lambda ledger, request: timeline_answer(ledger, request.query_params))),
        Route("/api/expectations", asked(lambda ledger, request: expectations_answer(ledger))),
        Route("/api/news", news),
        *(Route(f"/api/{kind}", press(kind), methods=["POST"]) for kind in KINDS),
    ]
    app = live_page("workbench", MODULES, routes, command=COMMAND, documents=True, errors={ChangedMeanwhile: _changed})
    return Guard(app, token=token, port=port, command=COMMAND)


def language(request: Request) -> str:
    """The language that a request names.

    Raises:
        HTTPException: the report does not have it.
    """
    lang = request.query_params.get("lang", "en")
    if lang not in LANGUAGES:
        raise HTTPException(422, f"`lang` must be {' or '.join(LANGUAGES)}.")
    return lang


def number(request: Request, name: str) -> int:
    """A number of a request, 0 where it is not named.

    Raises:
        HTTPException: it is none.
    """
    text = request.query_params.get(name, "0")
    if not NUMBER.match(text):
        raise HTTPException(422, f"`{name}` must be a number.")
    return int(text)


def _changed(request: Request, error: Exception) -> Response:
    """Two people write the same field: the later one is shown what the earlier one wrote."""
    assert isinstance(error, ChangedMeanwhile)
    return JSONResponse({"error": str(error), "now": error.now, "author": error.author}, 409)
