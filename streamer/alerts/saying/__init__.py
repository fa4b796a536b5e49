"""What is said of an alert: titles, sentences, the parts that moved a figure, addresses."""
