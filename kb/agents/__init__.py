"""Installing kb into agents: the entry in their configuration files, and the skill for the command line.

``clients`` is the table of clients that start MCP servers. ``edit_json`` and ``edit_toml`` change one entry of a file
and keep every other byte; ``install`` puts kb's entry into a client and takes it out, ``check`` starts it as the client
would, and ``skill`` has the text of the skill.
"""
