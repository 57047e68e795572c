"""The terminal console and the command line: draws the state of a cluster, sends intents."""
