"""Speed on this machine beside what else there is, for computations first shown to be the same."""
