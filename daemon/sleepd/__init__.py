"""The control process: sockets, scheduling, the ledger's single writer, supervision of the host. No torch.

app           the daemon put together, from its lock to its last breath
config paths  every setting; the home folder and who may touch it
core          what all services share; with clock and errors
protocol      what clients share with the daemon, and all that they may import
serving       requests, events, status           talk facts   conversation and memory
sleep         naps and nights                    hosting      the model's process
storage       the ledger's thread, the disk      watching     settings and inbox as they change
service       systemd, launchd                   observing    logs, metrics, crash reports
cli           the `sleepd` command
"""

__version__ = "0.1.0"
