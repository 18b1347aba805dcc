"""The parts of a training recipe: catalogues, where settings come from, and what they do to a network."""
