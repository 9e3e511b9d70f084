"""From face videos, or ready crops, to a data set with splits that can be trusted."""
