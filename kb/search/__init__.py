"""A question becomes ranked hits: filters, exact cosine, the order of ties."""
