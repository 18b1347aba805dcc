"""The operations, one file per family; each file ends with its entries in the catalogue."""
