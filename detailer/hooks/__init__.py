"""Detailer hooks: the protocol, and the hooks we ship."""
