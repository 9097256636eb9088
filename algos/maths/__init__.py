"""Pure functions with closed-form tests."""
