"""The catalogue of models: records, recipes, and finding them."""
