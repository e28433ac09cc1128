"""What tests share: independent statements, contracts and processes."""
