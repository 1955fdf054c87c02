"""How well questions find what they should: judged questions asked, measured, and compared."""
