"""A process that writes to a ledger, killed at random points again and again: nothing said is lost, nothing doubled.

`python -m benchmarks.ledger_kills`; `--kills N` (default 1,000), `--seed N`; `--moved`: with EYESHOT_LEDGER, where at
times a database lies in the project's folder, as before the move. Between kills the file is sometimes set back to
version 1, damaged, or deleted, so that a kill also hits migration, repair and rebuilding. The writer notes what it is
about to say, and what has been stored, in a file of its own, which is compared with the ledger after each kill.
"""

from __future__ import annotations

import argparse
import collections
import json
import multiprocessing
import os
import random
import shutil
import signal
import sqlite3
import sys
import tempfile
import time
import warnings
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

from benchmarks.common import keep
from eyeshot.core import StorageError
from eyeshot.ledger import Ledger, merge_ledgers, open_ledger, rebuild_ledger
from eyeshot.ledger.store.folding import fold
from eyeshot.ledger.store.opening import LEDGER_VARIABLE, ledger_file

LONGEST_S = 0.25
"""A kill comes within this time; opening, a write or a migration takes 10 to 100 ms."""
STATES = ("old version", "damaged", "deleted", "new")
"""What is done to the file between kills, one time in two."""
UNMOVED = "before the move"
"""What is done too where the database is moved."""


def write_forever(root: str, diary: str, seed: int) -> None:
    """Say things until killed; each is in the diary before (`about`) and after it was stored (`stored`)."""
    warnings.simplefilter("ignore")  # a repair says so
    draw = random.Random(seed)
    with open(diary, "a", encoding="utf-8", buffering=1) as notes:
        number = 0

        def token() -> str:
            nonlocal number
            number += 1
            return f"{seed}-{number}"

        def note(word: str, tokens: list[str]) -> None:
            notes.write(json.dumps([word, tokens]) + "\n")

        while True:
            note("open", [])
            with open_ledger(root, write=True) as ledger:
                for _ in range(draw.randrange(1, 6)):
                    action = draw.choice(["add", "append", "append", "together", "rebuild", "merge"])
                    tokens = [token() for _ in range(3 if action == "together" else 1)]
                    experiments = [row["id"] for row in ledger.rows("id")]
                    if action == "rebuild":
                        note("rebuild", [])
                        rebuild_ledger(root=root)
                    elif action == "merge":
                        other = Path(root).parent / "other" / tokens[0]
                        with open_ledger(other, write=True) as another:
                            another.add(tokens[0])
                        note("about", tokens)
                        merge_ledgers([other], root=root)
                        note("stored", tokens)
                        shutil.rmtree(other)
                    elif action == "add" or not experiments:
                        note("about", tokens[:1])
                        ledger.add(tokens[0])
                        note("stored", tokens[:1])
                    else:
                        note("about", tokens)
                        if say_together(ledger, draw, experiments, tokens):
                            note("stored", tokens)


def say_together(ledger: Ledger, draw: random.Random, experiments: list[str], tokens: list[str]) -> bool:
    """Whether it is stored: damage that is found on the way is repaired, and the command has to be given again."""
    try:
        with ledger.together():
            for text in tokens:
                ledger.append(draw.choice(experiments), "note", text=text)
    except StorageError as error:
        if "Give the command again" not in str(error):
            raise
        return False
    return True


class Trial:
    """One ledger under fire, and what must be true of it."""

    def __init__(self, folder: Path, seed: int) -> None:
        self.root, self.diary = folder / "eyeshot-out", folder / "diary"
        self.file = ledger_file(self.root)
        self.draw = random.Random(seed)
        # A process that is forked has everything loaded; where there is no fork, a kill costs seconds.
        self.processes = multiprocessing.get_context("fork" if hasattr(os, "fork") else "spawn")
        self.counts: collections.Counter[str] = collections.Counter()
        self.diary.touch()
        self.checks = 0
        self.hidden = False
        """A page is damaged that nothing has needed since."""

    def kill_once(self) -> None:
        """Do something to the file, start a writer, kill it at a random time, and check."""
        self._disturb()
        begun = self.diary.stat().st_size
        seed = self.draw.randrange(10**9)
        writer = self.processes.Process(target=write_forever, args=(str(self.root), str(self.diary), seed))  # type: ignore[attr-defined]
        writer.start()
        until = time.monotonic() + 60
        while self.diary.stat().st_size == begun and writer.is_alive() and time.monotonic() < until:
            time.sleep(0.001)
        time.sleep(self.draw.uniform(0, LONGEST_S))
        assert writer.is_alive(), f"the writer ended by itself with {writer.exitcode}"
        os.kill(writer.pid, getattr(signal, "SIGKILL", signal.SIGTERM))
        writer.join()
        with self.diary.open("rb") as opened:
            opened.seek(begun)
            last = opened.read().decode().strip().split("\n")[-1]
        with suppress(ValueError):  # it may be cut
            self.counts[f"killed at: {json.loads(last)[0]}"] += 1
        self.check()

    def check(self) -> None:
        """Compare the ledger, its files and the diary.

        Raises:
            AssertionError: something is lost, doubled, half there, or unreadable.
        """
        about, stored = self._diary()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            with open_ledger(self.root) as ledger:
                events, experiments = ledger.events_since(0), ledger.experiments()
        texts = collections.Counter(str(event.data.get("why") or event.data["text"]) for event in events)
        assert max(texts.values(), default=1) == 1, f"said twice: {texts.most_common(3)}"
        assert stored <= texts.keys(), f"lost: {sorted(stored - texts.keys())}"
        assert texts.keys() <= set().union(*about, stored), "said by nobody"
        for tokens in about:
            there = [token in texts for token in tokens]
            assert all(there) or not any(there), f"half of what was said together: {tokens}"
        groups = collections.defaultdict(list)
        for event in events:
            groups[event.experiment].append(event)
        assert {experiment.id: experiment for experiment in experiments} == {
            name: fold(group) for name, group in groups.items()
        }, "experiments are not what their events come to"
        self.hidden = self.hidden and self._aside() == self.asides
        if self.file.is_file() and not self.hidden:
            with closing(sqlite3.connect(self.file)) as connection:
                assert connection.execute("PRAGMA integrity_check").fetchone()[0] == "ok"
        # What a kill left unwritten is in the files after the next write, once.
        with open_ledger(self.root, write=True) as ledger:
            self.checks += 1
            ledger.add(f"check-{self.checks}")
            ids = [event.id for event in ledger.events_since(0)]
            self._note("stored", [f"check-{self.checks}"])
        written = collections.Counter(
            fields["id"]
            for file in (self.root / "experiments").glob("*/events.jsonl")
            for fields in map(_parsed, file.read_bytes().split(b"\n"))
            if fields
        )
        assert written == collections.Counter(ids), "the files hold other events than the ledger"
        self.counts["events"] = len(ids)

    def _disturb(self) -> None:
        file, states = self.file, (*STATES, UNMOVED) if self.file.parent != self.root else STATES
        state = self.draw.choice(states) if self.draw.random() < 0.5 else "as it was"
        if not file.is_file():
            state = "new"
        self.counts[f"before: {state}"] += 1
        self.hidden = self.hidden and state not in ("deleted", "new")
        if state == "old version":
            with closing(sqlite3.connect(file)) as connection, suppress(sqlite3.DatabaseError):  # a damaged page
                connection.executescript("BEGIN; DROP TABLE experiments; PRAGMA user_version = 1; COMMIT")
        elif state == "damaged":
            with closing(sqlite3.connect(file)) as connection:
                connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
                pages = connection.execute("PRAGMA page_count").fetchone()[0]
            with file.open("r+b") as opened:
                opened.seek(4096 * self.draw.randrange(pages))
                opened.write(b"\x5a" * 4096)
            self.hidden, self.asides = True, self._aside()
        elif state == "deleted":
            for ending in ("", "-wal", "-shm"):
                Path(f"{file}{ending}").unlink(missing_ok=True)
        elif state == UNMOVED:
            with closing(sqlite3.connect(file)) as connection, suppress(sqlite3.DatabaseError):  # a damaged page
                connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
            file.rename(self.root / file.name)
        elif state == "new" and self.root.exists():
            shutil.rmtree(self.root)
            shutil.rmtree(file.parent, ignore_errors=True)
            shutil.rmtree(self.root.parent / "other", ignore_errors=True)
            self.diary.write_bytes(b"")

    def _aside(self) -> list[Path]:
        return sorted(self.file.parent.glob("*.damaged-*"))

    def _note(self, word: str, tokens: list[str]) -> None:
        with self.diary.open("a", encoding="utf-8") as notes:
            notes.write("\n" + json.dumps([word, tokens]) + "\n")  # the writer's last line may be cut

    def _diary(self) -> tuple[list[list[str]], set[str]]:
        """What was about to be said, and what was stored."""
        entries = [entry for entry in map(_parsed, self.diary.read_bytes().split(b"\n")) if entry]
        about = [tokens for word, tokens in entries if word == "about"]
        return about, {token for word, tokens in entries if word == "stored" for token in tokens}


def _parsed(line: bytes) -> Any:
    try:
        return json.loads(line) if line.strip() else None
    except ValueError:
        return None


def main() -> None:
    """Kill, check, count."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--moved", action="store_true")
    options = parser.parse_args()
    begun = time.perf_counter()
    with tempfile.TemporaryDirectory() as folder:
        os.environ[LEDGER_VARIABLE] = str(Path(folder) / "local") if options.moved else ""
        trial = Trial(Path(folder), options.seed)
        for number in range(options.kills):
            try:
                trial.kill_once()
            except (AssertionError, StorageError):
                print(f"after kill {number + 1} of seed {options.seed}", file=sys.stderr)
                raise
    counts = {name: count for name, count in sorted(trial.counts.items()) if name != "events"}
    keep("ledger_kills_moved" if options.moved else "ledger_kills", {
        "kills": options.kills, "seed": options.seed, "lost": 0, "doubled": 0, "counts": counts,
        "seconds": round(time.perf_counter() - begun, 1),
    })  # fmt: skip


if __name__ == "__main__":
    main()
