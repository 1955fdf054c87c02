"""Python imports this when it starts, where the folder is in ``PYTHONPATH``."""

from pretend_windows import install

install()
