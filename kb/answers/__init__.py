"""Answers to questions: sentences of the files, and claims of a language model whose quotes were checked."""
