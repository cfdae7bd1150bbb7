"""One SQL store, composed with a dialect value: what differs between databases is data, not subclasses."""
