"""The real command, killed at random while two windows press keys: nothing is lost, nothing doubled."""

from __future__ import annotations

import http.client
import json
import os
import random
import re
import signal
import subprocess
import sys
import threading
import time
import uuid
from collections import Counter
from pathlib import Path

import pytest

from eyeshot.data import DecisionLog

KILLS = int(os.environ.get("EYESHOT_KILLS", "3"))
CODE = "from eyeshot.cli import main; main()"


class Server:
    """`eyeshot review` as a process of its own."""

    def __init__(self, folder: Path, request: pytest.FixtureRequest) -> None:
        command = [sys.executable, "-c", CODE, "review", "train", "--test", "test", "--audit", "audit", "--no-open"]
        known = {**os.environ, "PYTHONPATH": os.pathsep.join(str(Path(one).absolute()) for one in sys.path if one)}
        self.process = subprocess.Popen(
            command, cwd=folder, env=known, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        request.addfinalizer(self.process.kill)  # of a test that fails
        assert self.process.stdout is not None
        found = None
        while found is None:
            line = self.process.stdout.readline()
            assert line, self.process.communicate()[1]
            found = re.search(r"http://(127\.0\.0\.1:\d+)(/\S+/)", line)
        self.host, self.base = found[1], found[2]

    def press(self, name: str, image: int) -> bool:
        """Whether the server said that it is stored."""
        body = json.dumps({"press": name, "action": "drop" if image % 2 else "keep", "images": [image]})
        headers = {"Content-Type": "application/json", "Origin": f"http://{self.host}"}
        connection = http.client.HTTPConnection(self.host, timeout=30)
        try:
            connection.request("POST", f"{self.base}api/decide", body, headers)
            answer = connection.getresponse()
            return answer.status == 200 and json.loads(answer.read())["names"] == [name]
        except (OSError, http.client.HTTPException, ValueError):
            return False
        finally:
            connection.close()


class Hand:
    """One window: presses in order, and presses again what was not answered."""

    def __init__(self, first: int) -> None:
        self.sent: list[str] = []
        self.stored: list[str] = []
        self.image = first

    def work(self, server: Server) -> None:
        while True:
            if len(self.sent) == len(self.stored):
                self.sent.append(uuid.uuid4().hex)
            if not server.press(self.sent[-1], self.image):
                return
            self.stored.append(self.sent[-1])
            self.image = (self.image + 2) % 10


@pytest.mark.slow
@pytest.mark.timeout(180 + 40 * KILLS)
def test_nothing_is_lost_or_doubled_when_the_server_is_killed_between_presses(
    folder: Path, request: pytest.FixtureRequest
) -> None:
    seed = random.SystemRandom().randrange(10**6)
    chance = random.Random(seed)
    print(f"seed {seed}")  # shown where the test fails
    hands = [Hand(0), Hand(1)]
    acknowledged: set[str] = set()
    for _ in range(KILLS):
        server = Server(folder, request)
        threads = [threading.Thread(target=hand.work, args=(server,)) for hand in hands]
        for thread in threads:
            thread.start()
        time.sleep(chance.uniform(0.0, 0.5))
        server.process.kill()
        server.process.wait()
        for thread in threads:
            thread.join()
        kept = Counter(one.id for one in DecisionLog(folder / "decisions.jsonl").read().stored)
        acknowledged = {name for hand in hands for name in hand.stored}
        assert acknowledged <= kept.keys()
        assert kept.keys() <= {name for hand in hands for name in hand.sent}
    server = Server(folder, request)
    for hand in hands:  # what was not answered is pressed again under the same id
        assert server.press(hand.sent[-1], hand.image)
    server.process.send_signal(signal.SIGINT)
    rest, _ = server.process.communicate(timeout=60)
    assert server.process.returncode == 0
    assert "decisions.jsonl" in rest
    assert "Then: eyeshot split" in rest
    lines = (folder / "decisions.jsonl").read_text("utf-8").splitlines()
    whole = [json.loads(line)["id"] for line in lines if line.endswith("}")]
    assert sorted(whole) == sorted(name for hand in hands for name in hand.sent)
    assert len(acknowledged) > KILLS
    print(f"{KILLS} kills, {len(whole)} presses, {len(lines) - len(whole)} lines cut off")
