"""wsroll beside its peers: servers and senders, in one run, on one machine, as ratios."""
