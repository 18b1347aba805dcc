"""Labels from a CSV file."""
