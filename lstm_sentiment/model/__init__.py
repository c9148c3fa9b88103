"""batch -> embedding -> encoder -> head -> logit -> metrics."""
