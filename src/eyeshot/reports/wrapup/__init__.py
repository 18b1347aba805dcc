"""The wrap-up report: sections written from what is in the project, and nothing else."""
