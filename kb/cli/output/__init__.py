"""Output: answers, reports, notices and progress, for terminals, pipes and programs."""
