"""The daemon under a service manager.

install  systemd units and launchd agents
notify   telling systemd how it is
"""
