from __future__ import annotations

from tests.harness import mongo


class Harness(mongo.Harness):
    """A replica set of one node: it has transactions."""

    replica_set = True
