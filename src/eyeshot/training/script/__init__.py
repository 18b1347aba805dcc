"""A plain PyTorch file that trains a finished run again without eyeshot."""
