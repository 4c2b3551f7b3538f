"""Human text: where it comes from, and how it is split."""
