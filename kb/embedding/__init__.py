"""From text to unit vectors: where the model is, how long a text is in its tokens, and the model itself."""
