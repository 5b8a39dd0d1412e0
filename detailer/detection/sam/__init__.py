"""SAM 1 and SAM 2 from the files people have: read without running anything, told apart, built, asked."""
