"""From documents that are not plain text to text with places, in child processes that can harm nobody."""
