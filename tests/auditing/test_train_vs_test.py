"""The area under the curve, against scikit-learn's."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import roc_auc_score

from eyeshot.auditing.train_vs_test import area_under_curve

row = st.tuples(st.booleans(), st.sampled_from([-1.5, 0.0, 0.1, 0.1 + 1e-12, 3.0]), st.integers(0, 3))


@given(rows=st.lists(row, max_size=30))
@settings(max_examples=60)
def test_the_area_is_that_of_scikit_learn_with_ties_and_weights(rows: list[tuple[bool, float, int]]) -> None:
    rows += [(True, 0.0, 1), (False, 0.1, 2)]  # both sides are there
    truth, scores, weights = (np.array(column) for column in zip(*rows, strict=True))
    assert area_under_curve(truth, scores) == pytest.approx(roc_auc_score(truth, scores))
    weighted = roc_auc_score(truth, scores, sample_weight=weights)
    assert area_under_curve(truth, scores, weights) == pytest.approx(weighted)
