from .table import Accuracy as Accuracy
from .table import Predictions as Predictions
from .table import load_predictions as load_predictions
