"""Operations on stored sessions that take more than one call to a backend."""
