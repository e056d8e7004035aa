"""Who the caller is and what they may do; the only place that decides."""
