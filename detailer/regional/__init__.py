"""Regional prompts: one sampling in which parts of the latent go by prompts of their own."""
