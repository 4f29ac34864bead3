"""The `sleepd` command: starts, stops and describes the daemon, and manages models, settings and logs.

options    --home and --json, accepted before and after a subcommand
launching  starting and stopping a daemon process
commands   the commands themselves
observing  logs, metrics
services   service install, uninstall, status
storage    fsck, backup, restore
"""
