"""From a file on the disk to text with places, and from there to passages."""
