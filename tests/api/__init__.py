"""The API, from the outside. A package, so that its servers end with its last test."""
