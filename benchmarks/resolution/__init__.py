"""How well lookups are resolved: as written, misspelt, reworded, and where there is nothing to find."""
