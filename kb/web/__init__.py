"""The page: find, read, ask and write in a browser, served by the daemon.

``app`` puts the views together behind ``guard``. Pages are rendered here by templates; the script adds what a page
cannot do without one, such as results while typing. Documents are made into HTML by ``kb.web.documents`` alone, which
sanitizes them.
"""
