"""Messages of alerts: titles, sentences, the subgroups that moved a figure, links."""
