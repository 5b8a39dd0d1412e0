"""Where tasks are worked: `local` on this machine or at given addresses, `on_ray` on a cluster."""
