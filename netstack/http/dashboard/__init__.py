"""A page that shows the stack at work."""
