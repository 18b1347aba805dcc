"""The rule by which experiments are judged."""
