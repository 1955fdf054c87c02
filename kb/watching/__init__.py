"""Watches the folders for changes, to start index runs. Events are only hints; a scan decides what has changed."""
