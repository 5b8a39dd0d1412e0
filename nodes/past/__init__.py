"""What was saved years ago: prompts and files of past versions of our nodes, brought up to date."""
