"""What real training says of the ranking of augmentations: a runner that trains, and a judge of the ranking.

`python -m benchmarks.augmentation_truth run` fills the tables, `... check-recipe` shows that a recipe trains far
enough, `... judge` compares the ranking of `eyeshot cover` with them.
"""

import os

# One thread a process: two trainings at once beat one with two threads. Before torch is imported.
for _name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
    os.environ[_name] = "1"
