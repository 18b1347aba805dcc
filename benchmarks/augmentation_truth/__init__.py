"""Real trainings that check the ranking of augmentations: a runner that trains, and a judge of the ranking.

`python -m benchmarks.augmentation_truth run` fills the tables, `... check-recipe` shows that a recipe trains long
enough, `... judge` compares the ranking of `eyeshot rank augmentations` with them.
"""

import os

# One thread a process: two trainings at once are faster than one with two threads. Set before torch is imported.
for _name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
    os.environ[_name] = "1"
