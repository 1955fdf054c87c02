"""The formats that kb knows, in one table, and the version of the rules by which each of them is read."""
