"""Sessions from any source to any sink, durable at every step and proven at the end."""
