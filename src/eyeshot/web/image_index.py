"""The images that the page can show: positions in the audit's table, looked up by id and by content."""

from __future__ import annotations

from collections import defaultdict

from eyeshot.auditing import AuditImages, ImageRef

NOT_HERE = -1


class ImageIndex:
    """Images by their position: training first, then test. Addresses hold positions and nothing else.

    Args:
        images: the images as `eyeshot audit` reads them.
    """

    def __init__(self, images: AuditImages) -> None:
        self.ids, self.paths, self.contents = images.ids, images.paths, images.contents
        self.in_test: list[bool] = images.in_test.tolist()
        self.classes = images.train.classes
        self.labels: list[str | None] = [
            None if number < 0 else self.classes[number] for number in images.labels.tolist()
        ]
        self.rows_of: defaultdict[str, list[int]] = defaultdict(list)
        self._by_id: dict[tuple[bool, str], int] = {}
        for position, content in enumerate(self.contents):
            self.rows_of[content].append(position)
            self._by_id[self.in_test[position], self.ids[position]] = position

    def __len__(self) -> int:
        return len(self.ids)

    def find(self, ref: ImageRef) -> int:
        """Position of an image of the report, also if its file was moved; `NOT_HERE` if it is gone."""
        test = ref.split == "test"
        same_id = self._by_id.get((test, ref.id), NOT_HERE)
        if same_id != NOT_HERE and self.contents[same_id] == ref.content:
            return same_id
        rows = [row for row in self.rows_of.get(ref.content, ()) if self.in_test[row] == test]
        same_label = [row for row in rows if self.labels[row] == ref.label]
        return (same_label or rows or [NOT_HERE])[0]

    def named(self, name: str) -> int:
        """Position of the training image with this id; `NOT_HERE` if there is none."""
        return self._by_id.get((False, name), NOT_HERE)

    def split(self, position: int) -> str:
        """`train` or `test`."""
        return "test" if self.in_test[position] else "train"
