"""Reports: folders, pages and stored results; knows no experiment."""
