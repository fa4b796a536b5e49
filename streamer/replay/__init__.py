"""Files of events, of known sources and of a center's own tables, published as if they came now."""
