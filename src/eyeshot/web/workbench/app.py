"""The routes of the workbench. Every route is behind the guard."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import FileResponse, JSONResponse, PlainTextResponse, Response, StreamingResponse
from starlette.routing import Route

from eyeshot.ledger import ChangedMeanwhile, Ledger, experiment_curves, open_ledger
from eyeshot.web.bodies import NUMBER, page_of, read_body
from eyeshot.web.guard import Guard
from eyeshot.web.live_page import live_page
from eyeshot.web.workbench.answers import table_page, timeline_answer
from eyeshot.web.workbench.edits import KINDS, Edits
from eyeshot.web.workbench.expectations import expectations_answer
from eyeshot.web.workbench.experiment_answer import experiment_answer, run_file
from eyeshot.web.workbench.news import stream
from eyeshot.web.workbench.overview import overview_answer
from eyeshot.web.workbench.results import page_file
from eyeshot.web.workbench.tabs import TABS, picture_file, tab_answer

MODULES = (
    "workbench", "overview", "results", "experiments", "table", "details", "editing", "charts", "timeline", "address",
    "words",
)  # fmt: skip
MOST_CURVES = 10
# An exported page brings styles and scripts of its own, and may come from a colleague's project: in a sandbox it has no
# origin, so that the guard refuses whatever it asks for, and it can load nothing.
EXPORTED = {
    "Content-Security-Policy": (
        "sandbox allow-scripts; default-src 'none'; img-src data:; style-src 'unsafe-inline'; "
        "script-src 'unsafe-inline' 'unsafe-eval'; base-uri 'none'; form-action 'none'; frame-ancestors 'self'"
    ),
    "X-Frame-Options": "SAMEORIGIN",
    "Cache-Control": "no-store",
}


def make_workbench(
    root: Path, edits: Edits, *, token: str, port: int, stopping: Callable[[], bool] = lambda: False
) -> Guard:
    """Build the application of the workbench.

    Args:
        root: the folder of the ledger, read anew for each request, since any program may write to it.
        edits: stores what is written.
        token: the first part of every path.
        port: the port of the server.
        stopping: whether the server is about to stop, which ends the streams.
    """

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
        Route("/submissions.svg", picture),
        Route("/api/curves", asked(curves)),
        Route("/api/timeline", asked(lambda ledger, request: timeline_answer(ledger, request.query_params))),
        Route("/api/expectations", asked(lambda ledger, request: expectations_answer(ledger))),
        Route("/api/news", news),
        *(Route(f"/api/{kind}", press(kind), methods=["POST"]) for kind in KINDS),
    ]
    return live_page(
        "workbench", MODULES, routes, command="eyeshot open", token=token, port=port,
        errors={ChangedMeanwhile: _changed},
    )  # fmt: skip


def _changed(request: Request, error: Exception) -> Response:
    """Two people write the same field: the later one is shown what the earlier one wrote."""
    assert isinstance(error, ChangedMeanwhile)
    return JSONResponse({"error": str(error), "now": error.now, "author": error.author}, 409)
