"""When to stop asking: a customer's connection that is Degraded, and the provider's own line."""
