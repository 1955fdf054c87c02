"""Hints that something changed on the disk, so that a scan looks there sooner. A hint is never the truth."""
