"""Stars drawn from a bank while a network learns: the simulator's arithmetic in torch."""
