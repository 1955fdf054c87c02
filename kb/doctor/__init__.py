"""``kb doctor``: checks of everything that kb depends on, each with the command that mends what it finds.

``table`` lists the checks, ``run`` runs them within their time limits, ``report`` writes what can be attached to a bug
report. Nothing here changes anything, except a ``Fix`` that the user asked for.
"""
