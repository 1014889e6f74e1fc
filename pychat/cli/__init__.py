"""The click commands, one file each; heavy imports inside the command."""
