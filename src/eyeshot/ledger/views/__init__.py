"""The ledger as people read it: tables and words."""
