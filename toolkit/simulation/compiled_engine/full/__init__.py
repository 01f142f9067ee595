"""The loop for everything a design can say: ``loop`` first, then ``world``."""
