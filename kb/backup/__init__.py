"""Backups of a store: what they hold, how they are written, checked and read, and what other tools are given."""
