"""Making libraries and programs that we did not write work here: variables, links, overlay."""
