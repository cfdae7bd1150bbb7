"""Everything that is printed: listings, transcripts, streamed answers, notes. The only folder that imports rich."""
