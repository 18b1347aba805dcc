"""Which augmentation fits this model on this data: coverage, label preservation, short runs, ranking."""
