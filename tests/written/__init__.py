"""Every command that README, docs and ``--help`` show, run as it is written."""
