"""From a person's file to clean rows, to what is wrong with them, to the tokens that training really sees."""
