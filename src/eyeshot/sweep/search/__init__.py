"""A search over models and settings: trials that go from rung to rung within a budget, each an experiment."""
