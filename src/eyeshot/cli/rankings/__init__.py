"""`eyeshot rank …`: one file a ranking."""
