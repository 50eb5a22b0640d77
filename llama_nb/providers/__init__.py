"""What serves an API: one file for each provider type, in a folder for each API."""
