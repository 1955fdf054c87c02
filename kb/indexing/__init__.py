"""Keeps the store in line with the disk: plan what to do, then do it."""
