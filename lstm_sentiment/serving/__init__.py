"""Use: what was trained, put to work on other texts."""
