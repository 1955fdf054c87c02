"""How well questions find what they should, and how quick kb is on one's own notes."""
