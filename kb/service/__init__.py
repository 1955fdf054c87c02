"""The daemon's HTTP service, and its client."""
