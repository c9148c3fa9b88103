"""The networks: batch -> embedding -> encoder -> head -> logit -> metrics."""
