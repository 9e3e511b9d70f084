"""The command-line programs, one file each. Only they assemble the parts."""
