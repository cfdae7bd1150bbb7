"""What the MongoDB backend is made of; `agnocli.db.mongo` is its door."""
