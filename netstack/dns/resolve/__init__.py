"""Finding things out: what is known and for how long, the life of a query, and who asks whom."""
