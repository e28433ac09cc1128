"""What a hostile or unlucky user does, and how it ends."""
