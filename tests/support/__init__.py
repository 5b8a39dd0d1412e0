"""What the demo, `dev.py serve` and the tests share: a server, a client, a tiny checkpoint, pictures."""
