"""What `agnocli.db.redis` is made of. Only `server` and `failures` know the driver."""
