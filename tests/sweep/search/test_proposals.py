"""What the sampler proposes follows from what it was told, not from what it was asked."""

from __future__ import annotations

from typing import Any

from eyeshot.sweep.search.proposals import RANDOM_FIRST, Sampler
from eyeshot.sweep.search.space import read_space

SPACE = read_space(["training.learning_rate=1e-5..1e-3", "augmentation=none,mirror,mixup"])
COUNT = RANDOM_FIRST + 8


def value_of(proposed: dict[str, Any]) -> float:
    return -abs(proposed["training.learning_rate"] - 3e-4) + 1e-5 * (proposed["augmentation"] == "mirror")


def propose_all(asked_besides: int = 0) -> list[dict[str, Any]]:
    """Proposals of one sampler that is told of each, and asked in vain so often before each."""
    sampler, proposals = Sampler(SPACE, seed=5), []
    for number in range(COUNT):
        for besides in range(asked_besides):
            sampler._asked(1000 + number, besides)
        proposed, _ = sampler.propose(number)
        sampler.tell(number, proposed, None if number % 5 == 4 else value_of(proposed), failed=number % 5 == 4)
        proposals.append(proposed)
    return proposals


def test_what_was_asked_before_changes_no_proposal() -> None:
    assert propose_all(asked_besides=3) == propose_all()


def test_a_sampler_that_is_rebuilt_from_its_trials_proposes_the_same() -> None:
    proposals = propose_all()
    again = Sampler(SPACE, seed=5)
    for number, proposed in enumerate(proposals[:-1]):
        again.tell(number, proposed, None if number % 5 == 4 else value_of(proposed), failed=number % 5 == 4)
    assert again.propose(COUNT - 1)[0] == proposals[-1]
    other = Sampler(SPACE, seed=5)
    for number, proposed in enumerate(proposals[:-1]):
        other.tell(number, proposed, -value_of(proposed))
    assert other.propose(COUNT - 1)[0] != proposals[-1]
