"""Files that a person changes while the daemon runs.

watch      word of changes from the operating system
reloading  the settings file
inbox      text that is dropped to be learned
"""
