"""What `agnocli.db.mysql` is made of."""
