"""Bad inputs by the thousand, kills and flips: what may reach a command from outside."""
