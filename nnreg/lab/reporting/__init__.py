"""Reports of any experiment: folders, pages and stored results."""
