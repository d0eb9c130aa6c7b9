"""What reads a report: each module turns the plain data of a run into one kind of output."""
