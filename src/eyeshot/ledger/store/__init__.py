"""The store of experiments: a table of events, which are only added, and the experiments that follow from them."""
