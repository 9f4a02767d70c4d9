"""Three hundred clients of all kinds beside hogs: who waits for how long, and what the service takes for it."""
