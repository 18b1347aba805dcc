"""The workbench: a local page on the ledger that follows it while runs go on."""
