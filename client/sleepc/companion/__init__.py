"""The companion: a program on the desktop that shows what the daemon does and lets a person talk and govern memory."""
