"""What happens: the flow of a case, the plan, and the only async code."""
