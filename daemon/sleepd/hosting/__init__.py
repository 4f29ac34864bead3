"""The model's process as the daemon sees it.

host_link   one life of it: starting, orders, results, its death
supervisor  keeps one alive, with back-off, and mounts memory into it
pulse       asks whether it makes progress, and feeds the service manager's watchdog
"""
