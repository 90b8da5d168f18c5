"""What flows: frozen values, standard library only."""
