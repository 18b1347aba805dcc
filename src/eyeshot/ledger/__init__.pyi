from .runs import RunRecord as RunRecord
from .runs import create_run as create_run
from .runs import find_run as find_run
from .runs import find_run_by_key as find_run_by_key
from .runs import list_runs as list_runs
from .runs import new_run_id as new_run_id
from .training_runs import create_training_run as create_training_run
from .training_runs import place_training as place_training
