"""What a run came to: figures from its log alone, as JSON and as one HTML page."""
