"""One process owns a store and answers the others: where it listens, how it answers, how it is asked."""
