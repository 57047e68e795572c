"""A virtual cluster on one Linux machine, for tests that need several hosts."""
