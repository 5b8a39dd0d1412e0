"""Makes the pictures of help pages and templates that show what detailing does: `python dev.py pictures`."""
