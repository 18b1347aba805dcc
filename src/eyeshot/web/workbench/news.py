"""What happened in the ledger, as a stream of server-sent events.

Format: https://html.spec.whatwg.org/multipage/server-sent-events.html
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from pathlib import Path

from starlette.concurrency import run_in_threadpool

from eyeshot.ledger import open_ledger

LOOKED_EVERY_S = 0.4
ALIVE_EVERY_S = 15.0
MOST_EVENTS = 2_000
"""After more events than these, "everything" is cheaper to say than what."""


def news_since(root: Path, seq: int) -> tuple[int, list[str] | None]:
    """The last place of the ledger, and ids of experiments with events after `seq`; None: look at all again."""
    with open_ledger(root) as ledger:
        last = ledger.last_seq()
        if last == seq:
            return seq, []
        # A ledger that was rebuilt or merged may count anew.
        if last < seq or last - seq > MOST_EVENTS:
            return last, None
        events = ledger.events_since(seq)
    return events[-1].seq, list(dict.fromkeys(event.experiment for event in events))


async def stream(root: Path, seq: int, stopping: Callable[[], bool]) -> AsyncIterator[str]:
    """Messages with `seq` and `experiments` as soon as any process has written, until the server stops."""
    loop = asyncio.get_running_loop()
    said = loop.time()
    yield "retry: 2000\n\n"  # a browser that lost the server asks again after two seconds
    while not stopping():
        last, experiments = await run_in_threadpool(news_since, root, seq)
        if last != seq:
            seq, said = last, loop.time()
            message = json.dumps({"seq": seq, "experiments": experiments})
            yield f"id: {seq}\ndata: {message}\n\n"
        elif loop.time() - said > ALIVE_EVERY_S:
            said = loop.time()
            yield ": still here\n\n"
        await asyncio.sleep(LOOKED_EVERY_S)
