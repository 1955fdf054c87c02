"""The files of the watched folders: which belong to the index, what is there, and how they are read."""
