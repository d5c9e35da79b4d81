"""Arguments, rendering and exit codes; no decisions."""
