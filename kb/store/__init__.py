"""The store: vectors in ChromaDB, files and text in the catalog, and the lock on both."""
