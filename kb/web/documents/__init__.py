"""Documents as HTML: a module a form of document, ``markup`` with what they share, ``read`` that chooses among them."""
