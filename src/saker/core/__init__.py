"""The words everyone speaks: errors, names, principals, requests, clocks. Standard library only."""
