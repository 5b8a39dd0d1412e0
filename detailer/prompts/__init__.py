"""What a segment's text says, and how it is read."""
