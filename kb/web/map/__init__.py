"""The map: the vectors of all files in two dimensions, in clusters named by their distinctive words."""
