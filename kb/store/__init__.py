"""What is kept: vectors in ChromaDB, files and full text in the catalog, and the lock that gives them one owner."""
