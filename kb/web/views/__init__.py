"""The views, a module each: ``routes`` of each gives its routes, for a context."""
