"""The interface for programs: kb's operations as typed requests and responses, over HTTP and for Python.

``operations`` is the table of what can be asked. The server (``http``), its OpenAPI document (``openapi``) and the
client that ``KnowledgeBase`` uses while a daemon runs (``client``) are made from it.
"""
