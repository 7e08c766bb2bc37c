"""What a text says at every character, and how well units tell it. Numpy and re only."""
