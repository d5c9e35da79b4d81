"""How the models that travel with Holdfast were made."""
