"""Talking to models: the conversation loop, what is sent, what is stored of it."""
