from __future__ import annotations

import shutil
import uuid
from pathlib import Path

import pytest
import xxhash
from review_made import Site, make_review, number_of, position_of, served

from eyeshot.auditing import audit, open_findings, read_report
from eyeshot.core.config import Project
from eyeshot.data import DecisionLog, compute_manifest, decide, read_images, undo_of


def stored(folder: Path) -> list[str]:
    return [one.kind for one in DecisionLog(folder / "decisions.jsonl").read().stored]


def test_the_queue_comes_by_worth_and_skips_what_was_decided(site: Site) -> None:
    kinds = [one["kind"] for one in site.get("queue?limit=200")["items"]]
    assert kinds[:2] == ["conflict", "leak"]
    assert kinds.index("near-copy") < kinds.index("identical") < kinds.index("one-colour")
    first = site.get("step?from=-1&by=1")
    assert first["item"]["kind"] == "conflict"
    assert (first["place"], first["open"]) == (1, first["all"])
    site.post("decide", action="drop-all", item=first["item"]["number"])
    after = site.get("step?from=-1&by=1")
    assert after["item"]["kind"] == "leak"
    assert after["open"] == after["all"] - 1
    assert site.get("step?from=-1&by=1&state=all")["item"]["decided"]


def test_filters_by_finding_class_and_split(site: Site) -> None:
    assert {one["kind"] for one in site.get("queue?kind=near-copy")["items"]} == {"near-copy"}
    assert site.get("queue?kind=nothing")["total"] == 0
    for one in site.get("queue?class=cat")["items"]:
        images = site.get(f"item/{one['number']}")["item"]["images"]
        assert "cat" in {image["given"] for image in images}
    assert site.get("queue?split=test&kind=leak")["total"] == 1
    assert [one["number"] for one in site.get("queue?from=3&limit=2")["items"]] == [2, 3]
    assert site.get("queue?split=train&kind=unlabelled")["total"] == 0


def test_a_sheet_shows_a_class(site: Site) -> None:
    told = site.get("sheet?class=dog&limit=3")
    assert [one["given"] for one in told["images"]] == ["dog"] * 3
    assert told["total"] == 9
    assert len(site.get("sheet?class=dog&offset=6&limit=3")["images"]) == 3


def test_every_action_means_what_it_says(folder: Path) -> None:
    review = make_review(folder)
    with served(review) as site:
        cat, turned = position_of(review, "cat/2.jpg"), position_of(review, "cat/turned.jpg")
        near = number_of(review, "near-copy")
        answers = [
            site.post("decide", action="keep", images=[cat], item=near),
            site.post("decide", action="relabel", images=[turned], item=near, label="dog"),
            site.post("decide", action="not-copy", item=near),
            site.post("decide", action="group", item=near),
            site.post("decide", action="keep-one", images=[cat], item=near),
            site.post("decide", action="drop-all", item=number_of(review, "conflict")),
            site.post("decide", action="drop-all", item=number_of(review, "identical")),
            site.post("decide", action="keep-all", item=number_of(review, "one-colour")),
        ]
    assert [status for status, _ in answers] == [200] * 8
    assert stored(folder) == ["keep", "relabel", "not-copy", "group", "keep-one", "drop-both", "drop", "keep"]
    table = read_images(folder / "train", cache=folder / "cache")
    manifest = compute_manifest(table, DecisionLog(folder / "decisions.jsonl").read())
    out = set(manifest.left_out["id"])
    assert out == {"cat/turned.jpg", "cat/0.jpg", "dog/same.jpg", "dog/3.jpg", "dog/again.jpg"}
    for row, name in enumerate(review.index.ids):
        if not review.index.in_test[row]:
            assert (review.refresh().standing(row).left_out is not None) == (name in out), name


def test_of_one_picture_under_two_labels_only_the_chosen_file_is_dropped(folder: Path) -> None:
    review = make_review(folder)
    with served(review) as site:
        dog = position_of(review, "dog/same.jpg")
        status, told = site.post("decide", action="drop", images=[dog], item=number_of(review, "conflict"))
    assert status == 200
    assert {one["name"]: one["out"] for one in told["images"]} == {"cat/0.jpg": False, "dog/same.jpg": True}


def test_a_relabelled_picture_closes_the_finding_only_where_both_are_labelled_alike(folder: Path) -> None:
    review = make_review(folder)
    cat, dog = position_of(review, "cat/0.jpg"), position_of(review, "dog/same.jpg")
    conflict = number_of(review, "conflict")
    with served(review) as site:
        before = site.get(f"item/{conflict}")["item"]["words"]
        _, told = site.post("decide", action="relabel", images=[cat], item=conflict, label="fish")
        still = "Still different: cat/0.jpg is fish, dog/same.jpg is dog."
        assert told["words"] == f"cat/0.jpg: relabelled to fish. {still}"
        item = site.get(f"item/{conflict}")["item"]
        assert (item["decided"], item["words"]) == (False, f"{before} {still}")
        _, told = site.post("decide", action="relabel", images=[dog], item=conflict, label="fish")
        assert told["words"] == "dog/same.jpg: relabelled to fish"
        item = site.get(f"item/{conflict}")["item"]
        assert (item["decided"], item["words"]) == (True, before)
        site.post("undo", names=told["names"])
        assert not site.get(f"item/{conflict}")["item"]["decided"]


@pytest.mark.parametrize("action", ["keep", "keep-all", "drop"])
def test_a_conflict_is_closed_when_all_are_kept_or_one_label_is_left(folder: Path, action: str) -> None:
    review = make_review(folder)
    cat, dog = position_of(review, "cat/0.jpg"), position_of(review, "dog/same.jpg")
    conflict = number_of(review, "conflict")
    with served(review) as site:
        if action == "keep":  # one of two, which disagree as before
            site.post("decide", action="keep", images=[cat], item=conflict)
            item = site.get(f"item/{conflict}")["item"]
            assert (item["decided"], "Still different: cat/0.jpg is cat" in item["words"]) == (False, True)
        images = [] if action == "keep-all" else [dog]
        site.post("decide", action=action, images=images, item=conflict)
        assert site.get(f"item/{conflict}")["item"]["decided"]


def test_classes_merged_into_one_close_the_conflict_between_them(folder: Path) -> None:
    review = make_review(folder)
    conflict = number_of(review, "conflict")
    log = DecisionLog(folder / "decisions.jsonl")
    merged = decide("merge-classes", classes=["cat", "dog"], label="pet")
    with served(review) as site:
        log.append([merged])
        assert site.get(f"item/{conflict}")["item"]["decided"]
        log.append([undo_of(merged)])
        assert not site.get(f"item/{conflict}")["item"]["decided"]


def test_of_a_leak_the_copy_in_training_goes(folder: Path) -> None:
    review = make_review(folder)
    with served(review) as site:
        leak = number_of(review, "leak")
        assert site.post("decide", action="keep-one", item=leak, images=[position_of(review, "leaked.jpg")])[0] == 200
    assert review.refresh().standing(position_of(review, "cat/1.jpg")).left_out
    assert not review.refresh().standing(position_of(review, "leaked.jpg")).left_out


def test_a_broken_file_and_one_of_two_duplicates_are_settled_when_they_are_dropped(folder: Path) -> None:
    files = {"unreadable": "train/cat/broken.jpg", "near-copy": "train/cat/turned.jpg", "leak": "train/cat/1.jpg"}
    # The test image may be the same file, byte for byte; it stays.
    shutil.copy(folder / "train/cat/1.jpg", folder / "test/leaked.jpg")
    audit(folder / "train", folder / "test", cache=folder / "cache", workers=1, small_class=2).save(folder / "audit")
    review = make_review(folder)
    items = {kind: number_of(review, kind) for kind in files}
    assert not review.queue.decided[list(items.values())].any()
    keys = [xxhash.xxh3_128_hexdigest((folder / name).read_bytes()) for name in files.values()]
    DecisionLog(folder / "decisions.jsonl").append([decide("drop", [key]) for key in keys])
    review.refresh()
    assert review.queue.decided[list(items.values())].all()
    assert not review.refresh().standing(position_of(review, "leaked.jpg")).left_out
    open_kinds = {
        finding.kind
        for finding in open_findings(
            read_report(folder / "audit" / "audit.json"), DecisionLog(folder / "decisions.jsonl").read()
        )
    }
    assert not open_kinds & files.keys()


def test_a_test_image_is_not_dropped_and_its_copies_in_training_are(folder: Path) -> None:
    review = make_review(folder)
    leaked, copy = position_of(review, "leaked.jpg"), position_of(review, "cat/1.jpg")
    with served(review) as site:
        leak = number_of(review, "leak")
        assert site.get(f"item/{leak}")["item"]["suggested"] == "drop-all"
        status, told = site.post("decide", action="drop", images=[leaked], item=leak)
        assert (status, "Only training images" in told["error"]) == (409, True)
        assert site.post("decide", action="drop-all", item=leak)[0] == 200
        assert site.post("decide", action="drop", images=[leaked, copy], item=leak)[0] == 200
    assert [one.images for one in DecisionLog(folder / "decisions.jsonl").read().stored] == [
        (review.index.contents[copy],)
    ] * 2
    assert not review.refresh().standing(leaked).left_out


def test_undo_takes_back_a_press_and_an_undo_can_be_seen_everywhere(site: Site) -> None:
    _, told = site.post("decide", action="drop", images=[0])
    assert told["images"][0]["out"]
    status, back = site.post("undo", names=told["names"])
    assert status == 200
    assert not back["images"][0]["out"]
    status, again = site.post("undo", names=told["names"])
    assert (status, "undone already" in again["error"]) == (409, True)
    assert site.post("undo", names=["0" * 32])[0] == 409
    status, refused = site.post("undo", names=back["names"])
    assert (status, "Make the undone decision again" in refused["error"]) == (409, True)


def test_a_press_that_is_sent_twice_is_stored_once(site: Site, folder: Path) -> None:
    press = uuid.uuid4().hex
    first = site.post("decide", press, action="drop", images=[0, 8])
    assert first == site.post("decide", press, action="drop", images=[0, 8])
    assert stored(folder) == ["drop", "drop"]
    undo = uuid.uuid4().hex
    assert site.post("undo", undo, names=first[1]["names"])[0] == 200
    assert site.post("undo", undo, names=first[1]["names"])[0] == 200
    assert stored(folder) == ["drop", "drop", "undo", "undo"]


def test_two_servers_on_one_file_lose_nothing_of_each_other(folder: Path) -> None:
    with served(make_review(folder)) as one, served(make_review(folder, author="bob")) as other:
        for number in range(6):
            assert (one, other)[number % 2].post("decide", action="drop", images=[number])[0] == 200
        for site in (one, other):
            sheet = site.get("sheet?limit=6")["images"]
            assert [image["out"] for image in sheet] == [True] * 6
    assert stored(folder) == ["drop"] * 6


def test_two_people_merge_their_files_by_id(folder: Path) -> None:
    for author, image in (("ann", 0), ("bob", 1)):
        with served(make_review(folder, decisions=folder / f"{author}.jsonl", author=author)) as site:
            site.post("decide", action="drop", images=[image])
    merged = DecisionLog(folder / "decisions.jsonl")
    assert merged.merge([folder / "ann.jsonl", folder / "bob.jsonl"]) == 2
    assert merged.merge([folder / "bob.jsonl"]) == 0
    review = make_review(folder)
    assert [review.refresh().standing(row).left_out is not None for row in range(3)] == [True, True, False]


def test_what_other_programs_decide_is_seen(site: Site, folder: Path) -> None:
    assert site.review is not None
    conflict = site.review.queue.items[0]
    contents = [site.review.index.contents[row] for row in conflict.here]
    DecisionLog(folder / "decisions.jsonl").append([decide("drop-both", contents, policy="drop-both")])
    assert site.get("item/0")["item"]["decided"]
    (folder / "decisions.jsonl").unlink()
    assert not site.get("item/0")["item"]["decided"]


def test_labels_on_test_images_follow_the_rules(folder: Path) -> None:
    file = folder / "eyeshot.toml"
    file.write_text('[rules]\ntest_images = "features"\n', encoding="utf-8")
    with served(make_review(folder, project=Project(file, {}, "features"))) as site:
        assert site.get("queue?kind=unlabelled")["total"] == 0
        assert site.review is not None
        image = position_of(site.review, "2.jpg")
        status, told = site.post("decide", action="relabel", images=[image], label="cat")
    assert status == 409
    assert "line 2" in told["error"]
    assert 'test_images = "hand-labels"' in told["error"]
    assert stored(folder) == []
    with served(make_review(folder, project=Project(file, {}, "hand-labels"))) as site:
        queue = site.get("queue?kind=unlabelled")
        assert queue["total"] == 5
        image = site.get(f"item/{queue['items'][0]['number']}")["item"]["images"][0]["image"]
        status, told = site.post(
            "decide", action="relabel", images=[image], label=" cat ", item=queue["items"][0]["number"]
        )
        assert status == 200
        assert told["images"][0]["label"] == "cat"
        assert site.get("queue?kind=unlabelled")["total"] == 4


def test_what_makes_no_sense_is_refused_with_a_reason(site: Site) -> None:
    assert site.review is not None
    conflict, broken = number_of(site.review, "conflict"), number_of(site.review, "unreadable")
    for sent in (
        {"action": "relabel", "images": [0], "label": "  "},
        {"action": "not-copy", "item": conflict},  # equal bytes
        {"action": "keep-one", "images": [0]},
        {"action": "drop", "item": broken},
        {"action": "drop-all", "item": broken},
    ):
        status, told = site.post("decide", **sent)  # type: ignore[arg-type]
        assert (status, told["error"] != "") == (409, True), sent
    assert site.review.stored_count == 0


def test_the_example_of_a_class_is_not_taken_for_all_of_it(folder: Path) -> None:
    audit(folder / "train", folder / "test", cache=folder / "cache", workers=1, small_class=50).save(folder / "audit")
    review = make_review(folder)
    number = number_of(review, "small-class")
    with served(review) as site:
        item = site.get(f"item/{number}")["item"]
        assert item["examples"]
        status, told = site.post("decide", action="drop-all", item=number)
        assert (status, "examples of classes" in told["error"]) == (409, True)
        image = item["images"][0]["image"]
        assert site.post("decide", action="keep", item=number, images=[image])[0] == 200  # looked at
        assert site.get(f"item/{number}")["item"]["decided"]
    assert stored(folder) == ["keep"]


def test_pictures_are_served_and_a_turned_copy_is_laid_like_the_first(site: Site) -> None:
    import io

    import numpy as np
    from PIL import Image
    from review_made import TOKEN

    assert site.review is not None
    one, other = position_of(site.review, "cat/2.jpg"), position_of(site.review, "cat/turned.jpg")

    def picture(path: str) -> Image.Image:
        status, headers, body = site.ask("GET", f"/{TOKEN}/{path}")
        assert (status, headers["content-type"]) == (200, "image/jpeg")
        return Image.open(io.BytesIO(body))

    first, laid = picture(f"large/{one}"), picture(f"aligned/{one}/{other}")
    assert first.size == laid.size == (240, 180)
    assert picture(f"large/{other}").size == (180, 240)
    apart = np.abs(np.asarray(first, np.float32) - np.asarray(laid, np.float32)).mean()
    assert apart < 8
    grey = np.asarray(picture(f"difference/{one}/{other}"), np.float32)
    assert abs(grey.mean() - 128) < 3
    assert grey.std() < 12


@pytest.mark.parametrize("count", [1, 3])
def test_several_images_are_decided_at_once(site: Site, count: int) -> None:
    _, told = site.post("decide", action="relabel", images=list(range(count)), label="fish")
    assert {one["label"] for one in told["images"]} >= {"fish"}
    assert "fish" in {one["label"] for one in site.get("start")["classes"]}
