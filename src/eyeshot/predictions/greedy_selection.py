"""Greedy forward selection of ensemble members with replacement, exact and fast for hundreds of members."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

BLOCK_BYTES = 64 << 20
ROUNDS = 50
TIE = 2.0**-30
"""Less than any difference between sums of float16 numbers, which are multiples of 2^-24."""


class GreedySelection:
    """Selects members whose mean probability is right most often: Caruana et al., ICML 2004, section 2.

    An image is right if no class beats its label in the sum. Only a class that some member prefers to the label can
    ever do that, so all other pairs of image and class are dropped once. In each round, a pair matters only if some
    candidate can change which of the two is ahead; the further the sum grows, the fewer do. Sums of float16 numbers are
    exact in float64, so the result is that of trying every candidate on all probabilities.

    Args:
        probabilities: M arrays float16 (n, C), not negative; may be mapped from the disk.
        labels: int64 (n,), a class number each.
    """

    def __init__(self, probabilities: Sequence[NDArray[np.float16]], labels: NDArray[np.int64]) -> None:
        self.image_count, class_count = probabilities[0].shape
        self.member_count = len(probabilities)
        step = max(1, BLOCK_BYTES // (2 * self.member_count * class_count))
        images, competing, tied = [], [], []
        own_bits = np.empty((self.member_count, self.image_count), np.uint16)
        for start in range(0, self.image_count, step):
            rows = slice(start, start + step)
            # Numbers in float16 that are not negative sort like their bits, and integers are compared 10 times faster.
            bits = np.stack([each[rows] for each in probabilities]).view(np.uint16)
            own = labels[rows]
            of_label = np.take_along_axis(bits, own[None, :, None], axis=2)
            first = np.arange(class_count) < own[:, None]  # equal sums: the class that comes first wins
            competes = (bits >= of_label).any(0) & first | (bits > of_label).any(0)
            image, number = np.nonzero(competes)
            own_bits[:, rows] = of_label[..., 0]
            images.append(image + start)
            competing.append(np.ascontiguousarray(bits[:, image, number]))
            tied.append(first[image, number])
        self._image = np.concatenate(images)
        self._lead = self._leads(competing, own_bits)
        """float32 (M, pairs): by how much a member prefers the class to the label; exact, since float16 numbers up to 1
        are multiples of 2^-24."""
        self._tie = np.where(np.concatenate(tied), TIE, 0.0)
        self._lowest, self._highest = self._lead.min(0), self._lead.max(0)

    def select(
        self, rows: NDArray[np.bool_], order: NDArray[np.int64], *, rounds: int = ROUNDS
    ) -> tuple[NDArray[np.int64], list[float]]:
        """Members that are right most often together on some images.

        Args:
            rows: bool (n,), the images that count.
            order: int64 (M,), the members; of equally good candidates the first in this order is taken.
            rounds: members added at most; the shortest selection with the best accuracy is kept.

        Returns:
            int64 (M,), how often each member was taken; and the accuracy after each round.
        """
        used = np.flatnonzero(rows[self._image])
        image, total = self._image[used], self._tie[used].copy()
        lowest, highest = self._lowest[used], self._highest[used]
        count = int(rows.sum())
        taken: list[int] = []
        accuracies: list[float] = []
        for _ in range(rounds):
            lost = np.zeros(self.image_count, np.bool_)
            lost[image[total + lowest > 0]] = True
            open_ = np.flatnonzero((total + highest > 0) & ~lost[image])
            wrong = self._wrong(used[open_], total[open_], image[open_], order) + int(lost.sum())
            best = int(order[int(wrong.argmin())])
            taken.append(best)
            accuracies.append(1 - int(wrong.min()) / max(count, 1))
            total += self._lead[best, used]
        kept = int(np.argmax(accuracies)) + 1
        return np.bincount(taken[:kept], minlength=self.member_count), accuracies

    def _leads(self, competing: list[NDArray[np.uint16]], own_bits: NDArray[np.uint16]) -> NDArray[np.float32]:
        """float32 (M, pairs), row after row in memory, from blocks (M, some pairs), each given up once used."""
        leads = np.empty((self.member_count, len(self._image)), np.float32)
        start = 0
        competing.reverse()
        while competing:
            block = competing.pop()
            part = slice(start, start + block.shape[1])
            leads[:, part] = block.view(np.float16)
            leads[:, part] -= own_bits[:, self._image[part]].view(np.float16)
            start = part.stop
        return leads

    def _wrong(
        self, pairs: NDArray[np.int64], total: NDArray[np.float64], image: NDArray[np.int64], order: NDArray[np.int64]
    ) -> NDArray[np.int64]:
        """int64 (M,), in `order`: images that are wrong once the member is added, among those still open."""
        which = np.cumsum(np.diff(image, prepend=-1) > 0) - 1  # images still open, numbered from 0
        wrong = np.empty(len(order), np.int64)
        for place, member in enumerate(order):
            beaten = np.zeros(len(pairs), np.bool_)  # by image; there are at most as many images as pairs
            beaten[which[total + self._lead[member].take(pairs) > 0]] = True
            wrong[place] = np.count_nonzero(beaten)
        return wrong
