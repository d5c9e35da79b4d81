"""The service beside itself and beside a bare server: what it costs, how soon it answers."""
