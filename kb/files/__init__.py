"""The files of the watched folders: which belong to the index, which exist, and how they are read."""
