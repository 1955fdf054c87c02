"""The Model Context Protocol: agents search, read and list the files of a knowledge base.

``tools`` says what can be asked and answers it, from ``Knowledge`` alone; ``server`` serves that over standard input
and output or HTTP with the official SDK, the extra ``mcp``. ``sources`` says where the knowledge comes from: the
running daemon, one that is started in the background, or this process.
"""
