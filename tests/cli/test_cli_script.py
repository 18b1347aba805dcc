from __future__ import annotations

import ast
import json
import subprocess
import sys
from pathlib import Path

from command_line import MODEL, Digits, Eyeshot


def test_the_script_of_the_latest_run_is_written_and_named(eyeshot: Eyeshot, digits: Digits):
    eyeshot("train", digits.train, *MODEL, "--epochs", "1", "--batch-size", "32")
    done = eyeshot("script", "latest")
    assert done.code == 0, done.err
    (folder,) = Path("eyeshot-out/runs").resolve().iterdir()
    assert done.out.splitlines()[0] == f"Script: {folder / 'script.py'}"
    assert "It lists 130 images in script.csv." in done.out
    assert done.out.splitlines()[-1] == f"Next: python {folder / 'script.py'}"
    assert not [
        node for node in ast.walk(ast.parse((folder / "script.py").read_text("utf-8")))
        if isinstance(node, ast.Import | ast.ImportFrom) and "eyeshot" in ast.unparse(node)
    ]  # fmt: skip
    assert len((folder / "script.csv").read_text("utf-8").splitlines()) == 131
    told = json.loads(eyeshot("script", folder.name[:13], "--out", "own.py", "--json").out)
    assert told == {"script": "own.py", "notes": ["It lists 130 images in own.csv."]}
    assert Path("own.py").is_file()


def test_a_run_that_does_not_exist_is_told_before_torch_is_loaded(tmp_path: Path):
    code = (
        "import sys\nfrom eyeshot.cli import main\nsys.argv = ['eyeshot', 'script', 'nothing']\n"
        "try:\n    main()\nexcept SystemExit as end:\n    print(end.code, 'torch' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["2", "False"], done.stderr
    assert "is called 'nothing'. There are no runs yet." in done.stderr


def test_an_ensemble_is_refused(eyeshot: Eyeshot, tmp_path: Path):
    from eyeshot.ledger import create_run

    folder = create_run(
        Path("eyeshot-out/runs"), kind="ensemble", key="k", model="ensemble", augmentations=(), seed=0, config={}
    )
    (folder / "ensemble.json").write_text("{}")
    done = eyeshot("script", folder.name)
    assert done.code == 2
    assert "is an ensemble. Write the scripts of its members." in done.err
