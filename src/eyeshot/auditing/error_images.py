"""The images behind predictions: their files and properties, nearest training images, and where the network looks."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from eyeshot.auditing.error_report import WrongImage
from eyeshot.auditing.findings import ImageRef
from eyeshot.auditing.image_stats import ImageStatsCache
from eyeshot.auditing.images import AuditImages
from eyeshot.auditing.label_issues import directions
from eyeshot.auditing.train_vs_test import measured_properties
from eyeshot.core import InputError, Progress, find_project, listing, plural
from eyeshot.data import DataConfig, Dataset, PixelStore, load_dataset, project_data
from eyeshot.models import model_features, nearest_neighbours, radii
from eyeshot.predictions import Part, Predictions, match_ids, parts_of_numbers, parts_of_values
from eyeshot.training import FinishedRun, read_result, read_validation

MOST_PANELS = 36
NEAREST = 3
NEIGHBOURS = 5
"""k of coverage (Naeem et al. 2020), as everywhere in eyeshot."""

DISTANCE = "distance to training images (median: 1)"
COVERAGE = "coverage by training images"

Rows = NDArray[np.int64]


class SeenImages(NamedTuple):
    """What is known of the n images of predictions.

    Attributes:
        refs: each image; without a content key where its file is not known.
        parts: of the images, by property.
        paths: files by id, of these and of the training images that are named.
        maps: of images that are shown, by id: pixels uint8 (S, S, 3) and saliency float32 (S, S).
        neighbours: ids of the nearest training images, by row and class number.
        train: the folder of the training images; empty where it is not known.
        notes: what could not be done and why.
    """

    refs: list[ImageRef]
    parts: list[Part]
    paths: dict[str, str]
    maps: dict[str, tuple[NDArray[np.uint8], NDArray[np.float32]]]
    neighbours: dict[tuple[int, int], list[str]]
    train: str
    notes: list[str]

    def nearest(self, row: int, number: int) -> list[str]:
        """Ids of the training images of a class that are nearest to an image; empty where nobody looked."""
        return self.neighbours.get((row, number), [])


def see_images(
    lead: Predictions,
    folders: Sequence[Path],
    panel_rows: Rows,
    *,
    network: bool,
    device: str,
    cache: Path,
    workers: int | None,
    progress: Progress,
) -> SeenImages:
    """Find the files of n predicted images, measure them, and ask the networks that predicted them.

    Args:
        lead: predictions with labels.
        folders: of the runs that they are from, one for each fold; none for a file of the user's own.
        panel_rows: int64 (m,), the rows for which nearest training images and saliency are wanted.
        network: ask the networks.
        device: where they run.
        cache: folder of all caches.
        workers: threads that read.
        progress: called with the progress.
    """
    assert lead.labels is not None
    refs = [
        ImageRef(split="train", id=name, label=lead.classes[label])
        for name, label in zip(lead.ids, lead.labels, strict=True)
    ]
    seen = SeenImages(refs, [], {}, {}, {}, "", [])
    unread = "The images cannot be read, so there are no pictures, slices or saliency"
    try:
        config = _config(folders)
    except InputError as error:  # the training folder of the project is gone too
        seen.notes.append(f"{unread}: {error}")
        return seen
    if config is None:
        seen.notes.append(
            "The images of these predictions are not known, so there are no pictures, slices or saliency. Give "
            "predictions of a run, or write the folder down: eyeshot init TRAIN."
        )
        return seen
    seen = seen._replace(train=str(config.train))
    try:
        dataset = load_dataset(config, cache=cache, workers=workers, progress=progress.sub("reading images"))
    except InputError as error:
        seen.notes.append(f"{unread}: {error}")
        return seen
    rows = _rows_of(lead, dataset, own_file=not folders)
    known = np.flatnonzero(rows >= 0)
    if len(known) < len(lead):
        missing = [lead.ids[row] for row in np.flatnonzero(rows < 0)]
        seen.notes.append(
            f"{len(missing)} validation {plural(len(missing), 'image is', 'images are')} not among the images any "
            f"more, deleted or decided about since: {listing(missing, most=3)}. There are no pictures of "
            f"{plural(len(missing), 'it', 'them')}."
        )
    if not len(known):
        return seen
    images = dataset.images
    for row in known.tolist():
        ref = seen.refs[row]
        content = "" if config.val is not None else images.contents[rows[row]]  # decisions are about training folders
        seen.refs[row] = ref.model_copy(update={"id": images.ids[rows[row]], "content": content})
        seen.paths[images.ids[rows[row]]] = images.paths[rows[row]]
    seen.parts.extend(_measured_parts(dataset, rows, known, cache=cache, workers=workers, progress=progress))
    if config.val is not None:
        seen.notes.append(
            "The validation images have a folder of their own (--val), whose labels are no part of the review: wrong "
            "ones are shown here only."
        )
    if network and folders:
        _ask_networks(lead, folders, panel_rows, rows, seen, device=device, cache=cache, progress=progress)
    return seen


def find_panels(lead: Predictions, rows: Rows, seen: SeenImages, *, wrong_in: NDArray[np.integer]) -> list[WrongImage]:
    """The errors at `rows` with what was seen of them; `wrong_in`: int (n,), how many runs have each image wrong."""
    labels, chosen = lead.labels, lead.probabilities.argmax(1)
    assert labels is not None
    return [
        WrongImage(
            image=seen.refs[row],
            predicted=lead.classes[chosen[row]],
            probability=float(lead.probabilities[row, chosen[row]]),
            probability_label=float(lead.probabilities[row, labels[row]]),
            wrong_in=int(wrong_in[row]),
            nearest_label=tuple(seen.nearest(row, int(labels[row]))),
            nearest_predicted=tuple(seen.nearest(row, int(chosen[row]))),
        )
        for row in rows.tolist()
    ]


def _config(folders: Sequence[Path]) -> DataConfig | None:
    """Where the images of the first run are, or those of the project; None where nobody knows."""
    if folders:
        return _config_of(folders[0])
    return project_data(None) if "train" in find_project().data else None


def _config_of(folder: Path) -> DataConfig | None:
    """Where the images of a run are; those of the project where the run's are gone, as the project may have moved."""
    result = read_result(folder)
    config = None if result is None else result.data_config
    if result is None or "train" not in find_project().data:
        return config
    if config is None:
        fold = result.data.get("fold")
        return project_data(None, fold=fold if isinstance(fold, int) else None, val_share=None)
    places = (config.train, config.val, config.labels, config.split, config.decisions)
    if all(place.exists() for place in places if place is not None):
        return config
    return project_data(None, fold=config.fold, val_share=config.val_share, seed=config.seed)


def _rows_by_id(dataset: Dataset) -> dict[str, int]:
    """The row of each image; of a validation image where a folder of its own has a name that training images have."""
    place = {name: row for row, name in enumerate(dataset.images.ids)}
    return place | {dataset.images.ids[row]: row for row in dataset.val_rows.tolist()}


def _rows_of(lead: Predictions, dataset: Dataset, *, own_file: bool) -> Rows:
    """int64 (n,): the row of each image in the dataset, -1 where it is not there any more."""
    place = _rows_by_id(dataset)
    rows = np.array([place.get(name, -1) for name in lead.ids], np.int64)
    if own_file and (rows < 0).any():
        try:
            found, _ = match_ids(lead.ids, dataset.images.ids, what="ids of the file")
            rows = np.asarray(found, np.int64)
        except InputError:
            pass
    return rows


def _measured_parts(
    dataset: Dataset, rows: Rows, known: Rows, *, cache: Path, workers: int | None, progress: Progress
) -> list[Part]:
    """Parts by the properties that the audit measures; what it measured already is in its cache."""
    table = dataset.images.take(rows[known])
    images = AuditImages(table, None, (dataset.config.train, None), (), ())
    stats = ImageStatsCache(cache).get(table.contents, table.paths, workers=workers, progress=progress)
    usable = np.array([row for row in range(len(table)) if row not in stats.failed], np.int64)
    if not len(usable):
        return []
    parts: list[Part] = []
    for measured in measured_properties(images, stats, usable):
        if measured.numbers is not None:
            parts += parts_of_numbers(measured.name, measured.numbers)
        elif measured.values is not None:
            parts += parts_of_values(measured.name, measured.values)
    return [part._replace(inside=_spread(part.inside, known[usable], len(rows))) for part in parts]


def _spread(inside: NDArray[np.bool_], rows: Rows, count: int) -> NDArray[np.bool_]:
    everywhere = np.zeros(count, np.bool_)
    everywhere[rows[inside]] = True
    return everywhere


def _ask_networks(
    lead: Predictions,
    folders: Sequence[Path],
    panel_rows: Rows,
    rows: Rows,
    seen: SeenImages,
    *,
    device: str,
    cache: Path,
    progress: Progress,
) -> None:
    """Fill in nearest training images, saliency, and parts by distance and coverage: each fold by its own network."""
    position = {name: row for row, name in enumerate(lead.ids)}
    distances = np.full(len(lead), np.nan)
    covered = np.full(len(lead), "", dtype="U12")
    for folder in folders:
        config = _config_of(folder)
        assert config is not None
        dataset = load_dataset(config, cache=cache, progress=progress)
        run = FinishedRun(folder, device=device)
        own = [position[name] for name in read_validation(folder).ids if name in position]
        own_rows = np.array([row for row in own if rows[row] >= 0], np.int64)
        place = _rows_by_id(dataset)
        in_data = np.array([place.get(lead.ids[row], -1) for row in own_rows], np.int64)
        own_rows, in_data = own_rows[in_data >= 0], in_data[in_data >= 0]
        training = np.setdiff1d(dataset.train_rows, in_data)
        if not len(own_rows) or not len(training):
            continue
        asked = np.concatenate([training, in_data])
        readable, features = model_features(
            dataset.images, asked, run.trained_backbone(), cache=cache, device=device, progress=progress
        )
        vectors = directions(features)
        of_row = {int(row): number for number, row in enumerate(readable)}
        sources = np.array([of_row[int(row)] for row in training if int(row) in of_row], np.int64)
        here = np.array([int(row) in of_row for row in in_data])
        own_rows, points = own_rows[here], np.array([of_row[int(row)] for row in in_data[here]], np.int64)
        if not len(points) or not len(sources):
            continue
        distance = np.sqrt(nearest_neighbours(vectors[points], vectors[sources], 1)[1][:, 0])
        # Networks of different folds have scales of their own.
        distances[own_rows] = distance / max(float(np.median(distance)), 1e-12)
        if len(points) > NEIGHBOURS:
            covered[own_rows] = np.where(distance <= radii(vectors[points], NEIGHBOURS), "covered", "not covered")
        _nearest_of_classes(lead, panel_rows, own_rows, points, sources, readable, vectors, dataset, seen)
        _saliency_of(lead, panel_rows, own_rows, run, dataset, place, seen, cache=cache, progress=progress)
    if np.isfinite(distances).any():
        seen.parts.extend(parts_of_numbers(DISTANCE, distances))
    if (covered != "").any():
        seen.parts.extend(part for part in parts_of_values(COVERAGE, covered) if part.side)


def _nearest_of_classes(
    lead: Predictions,
    panel_rows: Rows,
    own_rows: Rows,
    points: Rows,
    sources: Rows,
    readable: Rows,
    vectors: NDArray[np.float32],
    dataset: Dataset,
    seen: SeenImages,
) -> None:
    """For the shown images: the nearest training images of the label and of the predicted class."""
    chosen, labels = lead.probabilities.argmax(1), lead.labels
    assert labels is not None
    names = np.array(
        [dataset.classes[number] if number >= 0 else "" for number in dataset.images.labels[readable[sources]]]
    )
    point_of = dict(zip(own_rows.tolist(), points.tolist(), strict=True))
    for row in panel_rows.tolist():
        if row not in point_of:
            continue
        for number in (int(labels[row]), int(chosen[row])):
            of_class = sources[names == lead.classes[number]]
            if len(of_class):
                order, _ = nearest_neighbours(vectors[[point_of[row]]], vectors[of_class], NEAREST)
                found = readable[of_class[order[0]]]
                seen.neighbours[row, number] = [dataset.images.ids[each] for each in found]
                seen.paths.update({dataset.images.ids[each]: dataset.images.paths[each] for each in found})


def _saliency_of(
    lead: Predictions,
    panel_rows: Rows,
    own_rows: Rows,
    run: FinishedRun,
    dataset: Dataset,
    place: dict[str, int],
    seen: SeenImages,
    *,
    cache: Path,
    progress: Progress,
) -> None:
    shown = np.intersect1d(panel_rows, own_rows)
    if not len(shown):
        return
    in_data = [place[lead.ids[row]] for row in shown]
    pixels = PixelStore(cache, run.backbone.geometry).load(dataset.images, in_data, progress=progress.sub("decoding"))
    number_of = {int(row): number for number, row in enumerate(pixels.rows)}
    kept = [row for row, data_row in zip(shown.tolist(), in_data, strict=True) if data_row in number_of]
    values = np.stack([np.asarray(pixels.images[number_of[place[lead.ids[row]]]]) for row in kept])
    # Columns of the predictions may be in another order than the classes of the run.
    number = {name: column for column, name in enumerate(run.result.classes)}
    chosen = lead.probabilities[kept].argmax(1)
    maps = run.saliency(values, np.array([number[lead.classes[column]] for column in chosen], np.int64))
    for row, image, map_ in zip(kept, values, maps, strict=True):
        seen.maps[seen.refs[row].id] = (image, map_)
