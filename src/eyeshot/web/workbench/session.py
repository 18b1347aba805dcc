"""`open_workbench()`: the project as a page that follows its ledger."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from urllib.parse import urlencode

from eyeshot.core import find_workspace, plural
from eyeshot.data import default_author, strict_pillow
from eyeshot.ledger import open_ledger
from eyeshot.web.serving import make_server, open_socket, run_server
from eyeshot.web.workbench.app import make_workbench
from eyeshot.web.workbench.edits import Edits
from eyeshot.web.workbench.live_report import LiveReport


def open_workbench(
    id: str | None = None,
    *,
    author: str | None = None,
    port: int = 0,
    served: Callable[[str, list[str]], object] | None = None,
) -> int:
    """Serve the project as a live page until Ctrl+C: the next step, results, experiments.

    Only this machine can open the page.

    Args:
        id: of the experiment that the address opens, or a unique beginning of it; None: the overview.
        author: who writes on the page; None: EYESHOT_AUTHOR, git's user.name or the login name.
        port: port on this machine; 0 takes any free port.
        served: called with the page's address and notes once the page can be opened; None prints them.

    Returns:
        how many edits were stored.

    Raises:
        InputError: there is no such experiment, or the port cannot be opened.
        StorageError: the ledger cannot be read.
    """
    root = find_workspace().root
    with open_ledger(root) as ledger:
        count = len(ledger.rows("id"))
        # The address of each start has a port and a token of its own: what lasts is the command with the id.
        query = "" if id is None else f"?{urlencode({'tab': 'experiments', 'open': ledger.experiment(id).id})}"
    listener = open_socket(port)
    token, number = secrets.token_urlsafe(24), listener.getsockname()[1]
    edits = Edits(root, author or default_author())
    stopping: list[Callable[[], bool]] = []
    live_report = LiveReport(root)
    app = make_workbench(
        root, edits, token=token, port=number, stopping=lambda: any(ends() for ends in stopping),
        live_report=live_report,
    )  # fmt: skip
    server = make_server(app)
    stopping.append(lambda: server.should_exit)
    notes = [f"{count:,} {plural(count, 'experiment')} in {root}."]
    (served or _print)(f"http://127.0.0.1:{number}/{token}/{query}", notes)
    try:
        with strict_pillow():  # the review decodes pictures
            run_server(server, listener)
    finally:
        live_report.close()
    return edits.stored_count


def _print(address: str, notes: list[str]) -> None:
    print(*notes, f"Page: {address}   (this machine only; Ctrl+C ends it)", sep="\n", flush=True)
