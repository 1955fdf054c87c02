"""Keeps the store up to date with the disk: plans what to do, and does it."""
