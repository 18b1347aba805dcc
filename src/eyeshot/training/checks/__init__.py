"""What tells whether a training is sound: alarms, one batch, the range of learning rates, random batches."""
