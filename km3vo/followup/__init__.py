"""What one does with a single event: where it lies, what lies near it, where else to look, from which telescopes."""
