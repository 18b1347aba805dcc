"""Optimizers by situation: measured, advised, and tried against AdamW."""
