"""Measures kb on somebody's own notes, for ``kb bench``: on copies in a temporary folder, so nothing is touched."""
