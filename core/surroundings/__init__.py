"""What a crop shows around the part, before and after: the ring, and what can be measured on it and undone."""
