"""Long work that a tab waits for: it goes on in a thread, and requests ask how far it is."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any

from eyeshot.core import EyeshotError, Progress


class Background:
    """One piece of work at a time, with its progress and what went wrong.

    It is the `Progress` that the work reports to.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._running = False
        self._began = 0.0
        self._told: tuple[int, int, str] = (0, 0, "")
        self.wrong = ""
        """Why the last work did not end; empty where it did."""

    def begin(self, work: Callable[[Progress], None]) -> bool:
        """Start `work` with its progress; False if other work is going on, which is left alone."""
        with self._lock:
            if self._running:
                return False
            self._running, self._began, self._told, self.wrong = True, time.monotonic(), (0, 0, ""), ""
        threading.Thread(target=self._run, args=(work,), daemon=True).start()
        return True

    @property
    def running(self) -> bool:
        """Whether work is going on."""
        return self._running

    def answer(self) -> dict[str, Any] | None:
        """How far the work is: `done`, `total` (0: unknown), `words`, `seconds`; None where none is going on."""
        if not self._running:
            return None
        done, total, words = self._told
        return {"done": done, "total": total, "words": words, "seconds": round(time.monotonic() - self._began, 1)}

    def __call__(self, done: int, total: int, text: str = "") -> None:
        """Report progress."""
        self._told = (done, total, text)

    def sub(self, text: str) -> Progress:
        """Progress of one step."""
        return self

    def say(self, text: str) -> None:
        """Lines that stay have no place on the page."""

    def _run(self, work: Callable[[Progress], None]) -> None:
        try:
            work(self)
        except EyeshotError as error:
            self.wrong = str(error)
        except Exception as error:  # a thread that ends silently would leave the page waiting
            self.wrong = f"This ended with an error of the program: {type(error).__name__}: {error}"
        finally:
            self._running = False
